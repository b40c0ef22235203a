#!/usr/bin/env node
// The whole login in a real Chromium, driven over its DevTools pipe, with JavaScript switched off in the pages.
// Usage: chromium.mjs [--double-click] AUTHORIZATION_URL...
// With --double-click the user double-clicks "Allow" with the mouse.
// Several logins share the browser: all pages are opened, then all are approved, then the last one signs in first.
// Prints one line of JSON: {ok, redirects, forms, framed, browserErrors}; `redirects` are the redirect URIs with their parameters, `framed` whether
// another site can show the first page in a frame, `browserErrors` the errors that the browser logs (a blocked form or frame).
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const TIME_LIMIT = 60_000;
const ERROR_LIMIT = 5_000;
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const doubleClicks = process.argv[2] === '--double-click';
const urls = process.argv.slice(doubleClicks ? 3 : 2);
const report = { ok: false, forms: [], browserErrors: [] };
const profile = mkdtempSync(join(tmpdir(), 'gateway-chromium-'));
const chromium = start(program());

setTimeout(() => finish({ error: `no result within ${TIME_LIMIT / 1000} s` }), TIME_LIMIT);
try {
  report.framed = await isFramed(urls[0]);
  finish({ ok: true, redirects: await signIn() });
} catch (error) {
  finish({ error: error.message });
}

function program() {
  const candidates = process.env.CHROMIUM ? [process.env.CHROMIUM] : process.env.PATH.split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name)));
  const found = candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (!found) finish({ error: 'Chromium is missing: run tests/setup.sh, or name it in $CHROMIUM' });
  return found;
}

/** Messages go through file descriptors 3 and 4, each ended by a zero byte. */
function start(file) {
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking', `--user-data-dir=${profile}`, '--remote-debugging-pipe', 'about:blank'];
  const child = spawn(file, flags, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const [waiting, listeners] = [new Map(), new Set()];
  let [lastId, rest] = [0, ''];
  child.stdio[4].setEncoding('utf8').on('data', (chunk) => {
    const messages = (rest + chunk).split('\0');
    rest = messages.pop();
    messages.map((text) => JSON.parse(text)).forEach((message) => (message.id ? settle(message) : listeners.forEach((listen) => listen(message))));
  });
  const settle = ({ id, result, error }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    return error ? reject(new Error(error.message)) : resolve(result);
  };
  const send = (method, params = {}, sessionId = undefined) =>
    new Promise((resolve, reject) => {
      waiting.set((lastId += 1), { resolve, reject });
      child.stdio[3].write(`${JSON.stringify({ id: lastId, method, params, sessionId })}\0`);
    });
  return { send, listen: (listener) => listeners.add(listener), end: () => child.kill('SIGKILL') };
}

/** A tab whose navigations and logged errors are recorded. */
async function open() {
  const { targetId } = await chromium.send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await chromium.send('Target.attachToTarget', { targetId, flatten: true });
  const send = (method, params) => chromium.send(method, params, sessionId);
  const navigations = [];
  chromium.listen(({ method, params, sessionId: from }) => {
    if (from !== sessionId) return;
    if (method === 'Page.frameRequestedNavigation') navigations.push(params.url);
    if (method === 'Log.entryAdded' && params.entry.level === 'error') report.browserErrors.push(params.entry.text);
  });
  for (const domain of ['Page', 'Log', 'Runtime']) await send(`${domain}.enable`);
  await send('Emulation.setScriptExecutionDisabled', { value: true });
  // A page that is navigated away from while it is evaluated has no result.
  const evaluate = (expression) => send('Runtime.evaluate', { expression, userGesture: true, returnByValue: true }).then(({ result }) => result.value, () => undefined);
  return { send, evaluate, navigations };
}

async function until(condition) {
  for (;;) {
    const value = await condition();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Whether a page of another origin can show this one in a frame. */
async function isFramed(url) {
  const page = await open();
  const embedder = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(`<iframe src="${url.replaceAll('&', '&amp;')}"></iframe>`));
  await new Promise((resolve) => embedder.listen(0, '127.0.0.1', resolve));
  const loaded = once('Page.loadEventFired');
  await page.send('Page.navigate', { url: `http://127.0.0.1:${embedder.address().port}/` });
  await loaded;
  embedder.close();
  const refused = () => report.browserErrors.some((text) => text.includes('frame-ancestors'));
  await Promise.race([until(refused), new Promise((resolve) => setTimeout(resolve, ERROR_LIMIT))]);
  return !refused();
}

function once(event) {
  return new Promise((resolve) => chromium.listen(({ method }) => method === event && resolve()));
}

/** Consents and signs in as a user does; returns the redirect URIs with their parameters. */
async function signIn() {
  const tabs = [];
  for (const url of urls) {
    const page = await open();
    const redirectUri = new URL(url).searchParams.get('redirect_uri');
    tabs.push({ page, arrived: redirectUri.startsWith('http:') ? await listener(redirectUri) : scheme(redirectUri, page) });
    await page.send('Page.navigate', { url });
  }
  for (const { page } of tabs) await (doubleClicks ? doubleClick : press)(page, 'approve', 'button[value=approve]');
  for (const { page } of tabs.toReversed()) await logIn(page);
  return Promise.all(tabs.map(({ arrived }) => arrived()));
}

async function logIn(page) {
  await until(() => page.evaluate(`!!document.querySelector('input[type=password]')`));
  await page.evaluate(`document.querySelector('input[name=username]').value = 'alice'; document.querySelector('input[type=password]').value = 'okta'`);
  await press(page, 'login', 'form button, form input[type=submit]');
}

async function press(page, form, selector) {
  await until(() => page.evaluate(`!!document.querySelector(${JSON.stringify(selector)})`));
  report.forms.push(form);
  await page.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
}

/** Two clicks of the mouse. Chromium may send the form once or twice. */
async function doubleClick(page, form, selector) {
  const button = `document.querySelector(${JSON.stringify(selector)})`;
  await until(() => page.evaluate(`!!${button}`));
  report.forms.push(form);
  await page.send('Page.bringToFront');
  const place = await page.evaluate(`${button}.scrollIntoView(); (({ x, y, width, height }) => ({ x: x + width / 2, y: y + height / 2 }))(${button}.getBoundingClientRect())`);
  const events = [1, 2].flatMap((clickCount) => ['mousePressed', 'mouseReleased'].map((type) => ({ type, clickCount, button: 'left', ...place })));
  // A click on a page that is navigated away from can fail.
  for (const event of events) page.send('Input.dispatchMouseEvent', event).catch(() => {});
}

/** A client on loopback. */
async function listener(redirectUri) {
  let received = null;
  const { port, origin } = new URL(redirectUri);
  const server = createServer((request, response) => {
    received ??= `${origin}${request.url}`;
    response.end('you may close this window');
  });
  await new Promise((resolve) => server.listen(Number(port), 'localhost', resolve));
  return () => until(() => received);
}

/** A custom scheme, as of a native app: the navigation is requested, and the page stays. */
function scheme(redirectUri, page) {
  return () => until(() => page.navigations.find((to) => to.startsWith(redirectUri)));
}

function finish(outcome) {
  process.stdout.write(`${JSON.stringify({ ...report, ...outcome })}\n`, () => {
    chromium?.end();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    process.exit(outcome.ok ? 0 : 1);
  });
}
