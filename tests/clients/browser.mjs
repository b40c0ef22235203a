#!/usr/bin/env node
// A browser for tests: goes through consent and sign-in pages as a user does, without JavaScript, and reaches the client.
// Usage: browser.mjs URL         opens the client's callback, as $BROWSER should
//        browser.mjs --print URL prints the callback's URL instead of opening it
import { appendFileSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CookieJar } from './browser/cookies.mjs';
import { readPage } from './browser/html.mjs';
import { formActionAllows, navigate } from './browser/navigation.mjs';

const STEPS = 20;
const TIME_LIMIT = 20_000;
const LISTENER_TIMEOUT = 5_000;

/**
 * Goes from an authorization URL to the redirect URI and returns its full URL, without opening it.
 * `stopAt` is that URI without its query; by default the URL's own `redirect_uri`. Fails with the page's text.
 */
export async function signIn(url, options = {}) {
  return (await completeLogin(url, options)).url;
}

/** As `signIn`, but gives {url, forms}: the submitted forms, in order ("login", "approve", "deny", "continue"). */
export async function completeLogin(url, options = {}) {
  const stopAt = options.stopAt ?? new URL(url).searchParams.get('redirect_uri');
  if (!stopAt) throw new Error(`${url} has no redirect_uri and no stopAt was given`);
  const visit = { ...userOptions(options), signal: AbortSignal.timeout(TIME_LIMIT), forms: [] };
  let step = { url, method: 'GET', body: null, initiator: null };
  for (let count = 0; count < STEPS; count += 1) {
    if (isAt(step.url, stopAt)) return { url: arrival(step), forms: visit.forms };
    step = await follow(step, visit);
  }
  throw new Error(`${STEPS} steps did not lead to ${stopAt}; the last one was ${step.url}`);
}

function userOptions(options) {
  return {
    user: options.user ?? process.env.OKTA_USER ?? 'alice',
    password: options.password ?? process.env.OKTA_PASSWORD ?? 'okta',
    decision: options.decision ?? process.env.DECISION ?? 'approve',
    jar: options.jar ?? new CookieJar(process.env.BROWSER_JAR),
  };
}

function isAt(url, stopAt) {
  const [here, there] = [new URL(url), new URL(stopAt)];
  return here.protocol === there.protocol && here.host === there.host && here.pathname === there.pathname;
}

function arrival(step) {
  if (step.method !== 'GET') throw new Error(`the callback was reached by ${step.method}`);
  return step.url;
}

/** Makes one request; returns the next step that the response leads to. */
async function follow(step, visit) {
  if (!/^https?:$/.test(new URL(step.url).protocol)) throw new Error(`a page leads to ${step.url}, which is not the redirect URI`);
  const response = await navigate(step, visit);
  const { location } = response.headers;
  if ([301, 302, 303, 307, 308].includes(response.status) && location) return redirected(step, response, new URL(location, step.url).href);
  const page = readPage(response.body, step.url);
  if (response.status >= 300) throw new Error(`${step.method} ${step.url} returns ${response.status}: ${page.text}`);
  return nextStep(page, { step, response, visit });
}

function redirected(step, { status }, url) {
  checkFormAction(step, url);
  if (status === 307 || status === 308) return { ...step, url };
  return { ...step, url, method: 'GET', body: null };
}

function checkFormAction({ form }, url) {
  if (!form || formActionAllows(form.policy, form.page, url)) return;
  throw new Error(`the page ${form.page} forbids its form to go to ${url}: ${form.policy}`);
}

function nextStep(page, { step, response, visit }) {
  const from = { method: 'GET', body: null, initiator: step.url };
  if (page.refresh) return { ...from, url: page.refresh };
  const form = chooseForm(page, visit);
  if (form) return submit(form, { step, response, visit, page });
  const link = chooseLink(page);
  if (link) return { ...from, url: link.href };
  throw new Error(`${step.url} (${response.status}) has no next step: ${page.text || '(empty page)'}`);
}

function chooseForm({ forms }, visit) {
  return forms.find(isLogin) ?? forms.find((form) => decides(form, visit.decision)) ?? forms.find(submitButton);
}

const isLogin = (form) => form.controls.some((control) => control.type === 'password');
const decides = (form, decision) => buttons(form).find((button) => button.name === 'decision' && button.value === decision);
const buttons = (form) => form.controls.filter((control) => ['submit', 'image'].includes(control.type));
const submitButton = (form) => buttons(form)[0];

function chooseLink({ links }) {
  const named = links.filter((link) => /\bcontinue\b/i.test(link.text));
  const choice = named.length > 0 ? named : links;
  return choice.length === 1 ? choice[0] : null;
}

function submit(form, { step, response, visit, page }) {
  const kind = isLogin(form) ? 'login' : decides(form, visit.decision) ? visit.decision : 'continue';
  if (kind === 'login' && visit.forms.includes('login')) throw new Error(`the sign-in as ${visit.user} was refused: ${page.text}`);
  visit.forms.push(kind);
  const button = decides(form, visit.decision) ?? submitButton(form);
  const fields = new URLSearchParams(entries(form, { button, visit })).toString();
  const policy = response.headers['content-security-policy'];
  const referrerPolicy = response.headers['referrer-policy']?.split(',').pop().trim();
  const next = { initiator: step.url, referrerPolicy, form: { policy, page: step.url } };
  const url = button?.action ?? form.action;
  checkFormAction(next, url);
  if (form.method === 'POST') return { ...next, url, method: 'POST', body: fields };
  return { ...next, url: Object.assign(new URL(url), { search: fields }).href, method: 'GET', body: null };
}

/** The form's data set, in page order, with the user's credentials; of radio buttons none of which is checked, the first of its name. */
function entries(form, { button, visit }) {
  const { controls } = form;
  const radios = controls.filter((control) => control.type === 'radio');
  const chosen = (radio) => radio === (radios.find(({ name, checked }) => name === radio.name && checked) ?? radios.find(({ name }) => name === radio.name));
  const isSubmitted = (control) => {
    if (!control.name) return false;
    if (['submit', 'image', 'button', 'reset'].includes(control.type)) return control === button;
    if (control.type === 'checkbox') return control.checked;
    return control.type === 'radio' ? chosen(control) : true;
  };
  return controls.filter(isSubmitted).map((control) => [control.name, isLogin(form) ? credential(control, visit) : control.value]);
}

function credential(control, { user, password }) {
  if (control.type === 'password') return password;
  return ['username', 'login', 'identifier'].includes(control.name) ? user : control.value;
}

/** Opens the client's callback; its listener may still be starting. */
async function deliver(url, jar) {
  const deadline = Date.now() + LISTENER_TIMEOUT;
  for (;;) {
    try {
      const response = await navigate({ url, method: 'GET', body: null, initiator: null }, { jar, signal: AbortSignal.timeout(TIME_LIMIT) });
      if (response.status >= 400) throw new Error(`the client's callback returns ${response.status}: ${readPage(response.body, url).text}`);
      return;
    } catch (error) {
      const refused = [error, ...(error.errors ?? [])].some(({ code }) => code === 'ECONNREFUSED');
      if (!refused || Date.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

/** Appends one JSON line for each event to $BROWSER_LOG, so that a driver knows that the browser ran and how it ended. */
function note(event) {
  if (process.env.BROWSER_LOG) appendFileSync(process.env.BROWSER_LOG, `${JSON.stringify(event)}\n`);
}

async function main(args) {
  const print = args[0] === '--print';
  const url = args[print ? 1 : 0];
  if (!url) throw new Error('usage: browser.mjs [--print] URL');
  note({ event: 'opened' });
  const jar = new CookieJar(process.env.BROWSER_JAR);
  const end = await completeLogin(url, { jar });
  note({ event: 'arrived', forms: end.forms });
  if (print) process.stdout.write(`${end.url}\n`);
  const refusal = refusalIn(end.url);
  const delivery = print ? null : deliver(end.url, jar);
  await (refusal ? delivery?.catch(() => {}) : delivery);
  if (refusal && !print) throw new Error(refusal);
}

function refusalIn(url) {
  const { searchParams } = new URL(url);
  return searchParams.has('error') ? `the authorization ended with ${searchParams.get('error')}: ${searchParams.get('error_description')}` : null;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error) => {
    const message = error.message || [error.code, ...(error.errors ?? [])].join(' ');
    note({ event: 'failed', error: message });
    process.stderr.write(`browser: ${message}\n`);
    process.exitCode = 1;
  });
}
