// One top-level navigation as Chromium makes it: headers, cookies, and what Content-Security-Policy forbids a form.
import http from 'node:http';
import https from 'node:https';
import { site } from './cookies.mjs';

const PAGE_LIMIT = 1 << 20;

/** Sends the navigation {url, method, body, initiator, referrerPolicy}; gives {status, headers, body} and feeds the jar. */
export async function navigate(navigation, { jar, signal }) {
  const url = new URL(navigation.url);
  url.hash = '';
  const response = await send(url, { method: navigation.method, headers: headersOf(navigation, jar), signal }, navigation.body);
  jar.store(url.href, response.headers['set-cookie']);
  return response;
}

function headersOf({ url, method, body, initiator, referrerPolicy }, jar) {
  const headers = {
    'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
    accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'accept-language': 'en',
    'upgrade-insecure-requests': '1',
    'sec-fetch-site': fetchSite(initiator, url),
    'sec-fetch-mode': 'navigate',
    'sec-fetch-user': '?1',
    'sec-fetch-dest': 'document',
  };
  const cookie = jar.header({ url, method, initiator });
  if (cookie) headers.cookie = cookie;
  if (method === 'POST') headers.origin = originHeader(initiator, url, referrerPolicy);
  if (body !== null) Object.assign(headers, { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) });
  return headers;
}

function fetchSite(initiator, url) {
  if (!initiator) return 'none';
  const [from, to] = [new URL(initiator), new URL(url)];
  if (from.origin === to.origin) return 'same-origin';
  return site(from) === site(to) ? 'same-site' : 'cross-site';
}

/** A page under `Referrer-Policy: no-referrer` posts its forms with `Origin: null` (Fetch, "serializing a request origin"). */
function originHeader(initiator, url, policy) {
  const [from, to] = [new URL(initiator), new URL(url)];
  if (policy === 'no-referrer' || (policy === 'same-origin' && from.origin !== to.origin)) return 'null';
  const downgrade = from.protocol === 'https:' && to.protocol === 'http:';
  return downgrade && policy !== 'unsafe-url' && policy !== 'origin' ? 'null' : from.origin;
}

function send(url, options, body) {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, options, (response) => {
      const chunks = [];
      let size = 0;
      response.on('error', reject);
      response.on('data', (chunk) => {
        size += chunk.length;
        if (size > PAGE_LIMIT) response.destroy(new Error(`${url.origin}${url.pathname} is larger than ${PAGE_LIMIT} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString('utf8') }));
    });
    request.on('error', reject);
    request.end(body ?? undefined);
  });
}

/** Whether the page's CSP lets a form, or a redirect that follows it, go to `target`: Chromium checks the whole chain. */
export function formActionAllows(policy, page, target) {
  const directives = (policy ?? '').split(/[;,]/).map((directive) => directive.trim().split(/\s+/));
  const lists = directives.filter(([name]) => name.toLowerCase() === 'form-action');
  return lists.every(([, ...sources]) => sources.some((source) => sourceAllows(source, new URL(page), new URL(target))));
}

function sourceAllows(source, page, target) {
  if (source === "'self'") return target.origin === page.origin && target.origin !== 'null';
  if (source === '*') return ['http:', 'https:', page.protocol].includes(target.protocol);
  if (/^[a-z][\w+.-]*:$/i.test(source)) return target.protocol === source.toLowerCase();
  const parts = /^(?:([a-z][\w+.-]*):\/\/)?([^/:]+|\[[^\]]+\])(?::(\d+|\*))?(\/.*)?$/i.exec(source);
  return parts !== null && hostSourceAllows(parts, page, target);
}

function hostSourceAllows([, scheme, host, port, path], page, target) {
  const protocol = scheme ? `${scheme.toLowerCase()}:` : page.protocol;
  const suffix = host.startsWith('*.') ? host.slice(1).toLowerCase() : null;
  const defaultPort = protocol === 'https:' ? '443' : '80';
  const targetPort = target.port || (target.protocol === 'https:' ? '443' : '80');
  return (
    target.protocol === protocol &&
    (suffix ? target.hostname.endsWith(suffix) : target.hostname === host.toLowerCase()) &&
    (port === '*' || targetPort === (port ?? defaultPort)) &&
    (!path || target.pathname === path || (path.endsWith('/') && target.pathname.startsWith(path)))
  );
}
