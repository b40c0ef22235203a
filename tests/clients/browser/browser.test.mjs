// Tests of the browser script against small servers. Run: node --test tests/clients/browser/browser.test.mjs
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { signIn, completeLogin } from '../browser.mjs';
import { CookieJar } from './cookies.mjs';

const CALLBACK = 'http://localhost:1/callback';

/** Serves `responses[path](request, body)` → [status, headers, html] on the loopback `host`; returns the base URL. */
async function site(t, responses, host = '127.0.0.1') {
  const server = http.createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const respond = responses[new URL(request.url, 'http://x').pathname];
    const [status, headers, html] = respond ? respond(request, new URLSearchParams(body)) : [404, {}, 'nothing here'];
    response.writeHead(status, headers).end(html);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `http://${host}:${server.address().port}`;
}

const page = (html, headers = {}) => [200, { 'content-type': 'text/html', ...headers }, html];
const to = (location, headers = {}) => [302, { location, ...headers }, ''];
const userOptions = () => ({ stopAt: CALLBACK, jar: new CookieJar(), user: 'bob', password: 'pw', decision: 'approve' });
const LOGIN = '<form method="post" action="login"><input name="identifier"><input type=password name=pw><input type="hidden" name=t value="a&amp;b"><button>Go</button></form>';

test('refresh_pages_and_single_links_are_followed', async (t) => {
  const base = await site(t, {
    '/': () => page('<!-- <a href="/wrong">no</a> --><meta http-equiv="Refresh" content="0; url=/link">'),
    '/link': () => page(`<script>var x = '<a href="/wrong">';</script><a href="${CALLBACK}?code=1&amp;state=2">Continue</a>`),
  });
  assert.equal(await signIn(base, userOptions()), `${CALLBACK}?code=1&state=2`);
});

test('a_login_form_gets_the_credentials_and_keeps_its_hidden_fields', async (t) => {
  const callback = (_request, form) => to(`${CALLBACK}?${form}`);
  const base = await site(t, { '/': () => page(LOGIN), '/login': callback });
  assert.deepEqual(await completeLogin(base, userOptions()), { url: `${CALLBACK}?identifier=bob&pw=pw&t=a%26b`, forms: ['login'] });
});

test('a_refused_login_is_reported_and_not_repeated', async (t) => {
  const base = await site(t, { '/': () => page(LOGIN), '/login': () => page(`Wrong password. ${LOGIN}`) });
  await assert.rejects(signIn(base, userOptions()), /sign-in as bob was refused: Wrong password/);
});

for (const decision of ['approve', 'deny']) {
  test(`the_decision_${decision}_presses_its_button`, async (t) => {
    const html = '<form method=post action=/d><button name=decision value=deny>No</button><button name=decision value=approve>Yes</button></form>';
    const base = await site(t, { '/': () => page(html), '/d': (_request, form) => to(`${CALLBACK}?${form}`) });
    assert.deepEqual(await completeLogin(base, { ...userOptions(), decision }), { url: `${CALLBACK}?decision=${decision}`, forms: [decision] });
  });
}

test('form_action_applies_to_the_whole_redirect_chain', async (t) => {
  const csp = { 'content-security-policy': "default-src 'none'; form-action 'self'" };
  const base = await site(t, { '/': () => page('<form method=post action=/d><button>Go</button></form>', csp), '/d': () => to(`${CALLBACK}?code=1`) });
  await assert.rejects(signIn(base, userOptions()), /forbids its form to go to http:\/\/localhost:1\/callback/);
});

test('a_no_referrer_page_posts_its_form_with_origin_null', async (t) => {
  const html = '<form method=post action=/d><button>Go</button></form>';
  const responses = { '/': () => page(html, { 'referrer-policy': 'no-referrer' }), '/same': () => page(html), '/d': ({ headers }) => to(`${CALLBACK}?o=${headers.origin}`) };
  const base = await site(t, responses);
  assert.equal(await signIn(base, userOptions()), `${CALLBACK}?o=null`);
  assert.equal(await signIn(`${base}/same`, userOptions()), `${CALLBACK}?o=${base}`);
});

test('a_cross_site_return_sends_lax_cookies_and_no_strict_ones', async (t) => {
  let gateway = '';
  const okta = await site(t, { '/': () => page('<form method=post action=/d><button>Go</button></form>'), '/d': () => to(`${gateway}/back`) });
  const cookies = ['strict=1; SameSite=Strict', 'lax=1; SameSite=Lax', '__Host-bad=1; Path=/', '__Host-good=1; Path=/; Secure', 'elsewhere=1; Path=/other'];
  const responses = { '/': () => to(okta, { 'set-cookie': cookies }), '/back': ({ headers }) => to(`${CALLBACK}?c=${encodeURIComponent(headers.cookie)}`) };
  gateway = await site(t, responses, 'localhost');
  assert.equal(new URL(await signIn(gateway, userOptions())).searchParams.get('c'), 'lax=1; __Host-good=1');
});

test('a_page_without_a_next_step_an_error_and_a_loop_are_reported', async (t) => {
  const responses = { '/': () => page('Ask your admin. <a href=/a>A</a> <a href=/b>B</a>'), '/error': () => [400, {}, '<p>Unknown&nbsp;client</p>'], '/loop': () => to('/loop') };
  const base = await site(t, { ...responses, '/app': () => to('cursor://elsewhere?code=1') });
  await assert.rejects(signIn(base, userOptions()), /has no next step: Ask your admin/);
  await assert.rejects(signIn(`${base}/error`, userOptions()), /returns 400: Unknown client/);
  await assert.rejects(signIn(`${base}/loop`, userOptions()), /20 steps did not lead to/);
  await assert.rejects(signIn(`${base}/app`, userOptions()), /leads to cursor:\/\/elsewhere/);
});

test('a_private_scheme_can_be_the_redirect_uri', async (t) => {
  const base = await site(t, { '/': () => page('<meta http-equiv=refresh content="0;url=cursor://host/oauth/callback?code=1">') });
  assert.equal(await signIn(base, { ...userOptions(), stopAt: 'cursor://host/oauth/callback' }), 'cursor://host/oauth/callback?code=1');
});
