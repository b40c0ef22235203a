// A cookie jar with the rules that break sign-ins in real browsers: SameSite, `__Host-`, Secure, Path, no port.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

export class CookieJar {
  #cookies = [];
  #file;

  /** With a file, the jar outlives the process: that is what "already signed in at Okta" means. */
  constructor(file) {
    this.#file = file;
    if (file && existsSync(file)) this.#cookies = JSON.parse(readFileSync(file, 'utf8'));
  }

  /** Stores the cookies that the response from `url` sets, as Chromium does. */
  store(url, setCookies) {
    for (const line of setCookies ?? []) this.#keep(new URL(url), line);
    if (setCookies?.length) this.#save();
  }

  /** The Cookie header of a top-level navigation, or undefined; `initiator` is the page that caused it, if any. */
  header({ url, method, initiator }) {
    const target = new URL(url);
    const sameSite = !initiator || site(new URL(initiator)) === site(target);
    const sent = this.#cookies.filter((cookie) => alive(cookie) && matches(cookie, target) && allowed(cookie, { method, sameSite }));
    sent.sort((a, b) => b.path.length - a.path.length);
    return sent.map((cookie) => `${cookie.name}=${cookie.value}`).join('; ') || undefined;
  }

  #keep(url, line) {
    const cookie = parse(url, line);
    if (!cookie) return;
    const same = (other) => other.name === cookie.name && other.domain === cookie.domain && other.path === cookie.path;
    this.#cookies = this.#cookies.filter((other) => !same(other));
    if (alive(cookie)) this.#cookies.push(cookie);
  }

  #save() {
    if (!this.#file) return;
    const fresh = `${this.#file}.${process.pid}`;
    writeFileSync(fresh, JSON.stringify(this.#cookies), { mode: 0o600 });
    renameSync(fresh, this.#file);
  }
}

/** One Set-Cookie line, or null when a browser would refuse it. */
function parse(url, line) {
  const [pair, ...rest] = line.split(';').map((part) => part.trim());
  const at = pair.indexOf('=');
  if (at < 1) return null;
  const attrs = Object.fromEntries(rest.map((part) => part.split(/=(.*)/s)).map(([name, value]) => [name.toLowerCase(), value ?? '']));
  const cookie = { name: pair.slice(0, at), value: pair.slice(at + 1), domain: url.hostname, hostOnly: true, secure: 'secure' in attrs };
  cookie.path = attrs.path?.startsWith('/') ? attrs.path : url.pathname.replace(/\/[^/]*$/, '') || '/';
  cookie.sameSite = (attrs.samesite ?? 'lax').toLowerCase();
  cookie.expires = expiry(attrs);
  if (attrs.domain) {
    cookie.domain = attrs.domain.replace(/^\./, '').toLowerCase();
    cookie.hostOnly = false;
  }
  return acceptable(cookie, url, attrs) ? cookie : null;
}

function acceptable(cookie, url, attrs) {
  if (!domainMatches(cookie, url.hostname)) return false;
  if (cookie.secure && !trustworthy(url)) return false;
  if (cookie.sameSite === 'none' && !cookie.secure) return false;
  if (cookie.name.startsWith('__Secure-')) return cookie.secure;
  if (cookie.name.startsWith('__Host-')) return cookie.secure && cookie.hostOnly && attrs.path === '/';
  return true;
}

/** In milliseconds since 1970; null for the life of the browser, which here is the life of the jar. */
function expiry(attrs) {
  if (attrs['max-age'] !== undefined) return Number(attrs['max-age']) > 0 ? Date.now() + Number(attrs['max-age']) * 1000 : 0;
  return attrs.expires ? Date.parse(attrs.expires) || 0 : null;
}

const alive = (cookie) => cookie.expires === null || cookie.expires > Date.now();

function matches(cookie, url) {
  if (!domainMatches(cookie, url.hostname) || (cookie.secure && !trustworthy(url))) return false;
  const { path } = cookie;
  return url.pathname === path || (url.pathname.startsWith(path) && (path.endsWith('/') || url.pathname[path.length] === '/'));
}

function domainMatches(cookie, host) {
  return host === cookie.domain || (!cookie.hostOnly && host.endsWith(`.${cookie.domain}`));
}

/** Lax cookies go with cross-site navigations by GET only, strict ones never. */
function allowed(cookie, { method, sameSite }) {
  if (sameSite || cookie.sameSite === 'none') return true;
  return cookie.sameSite !== 'strict' && method === 'GET';
}

/** https, or http on the machine itself: there Chromium takes Secure cookies as well. */
export const trustworthy = (url) => url.protocol === 'https:' || /^(localhost|.+\.localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname);

/** Scheme and registrable domain; two labels stand in for the public suffix list. */
export const site = (url) => `${url.protocol}//${/^[\d.]+$|^\[/.test(url.hostname) ? url.hostname : url.hostname.split('.').slice(-2).join('.')}`;
