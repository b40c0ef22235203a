// What every driver shares: its settings from the environment, its time limit, its one line of JSON.
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { completeLogin } from './browser.mjs';

const TIME_LIMIT = 60_000;

export const settings = readSettings();

function readSettings() {
  const { env } = process;
  const missing = ['MCP_URL', 'STATE_DIR', 'TOOL'].filter((name) => !env[name]);
  if (missing.length > 0) fail(`set ${missing.join(', ')}`);
  mkdirSync(env.STATE_DIR, { recursive: true, mode: 0o700 });
  return {
    url: env.MCP_URL,
    stateDir: env.STATE_DIR,
    tool: env.TOOL,
    arguments: JSON.parse(env.ARGUMENTS ?? '{}'),
    protocol: env.PROTOCOL,
    authMethod: env.AUTH_METHOD ?? 'none',
    redirectUri: env.REDIRECT_URI ?? 'http://localhost:43110/callback',
    metadataUrl: env.CLIENT_METADATA_URL,
    client: env.CLIENT_ID ? { client_id: env.CLIENT_ID, ...(env.CLIENT_SECRET && { client_secret: env.CLIENT_SECRET }) } : undefined,
    browserLog: join(env.STATE_DIR, `browser-${process.pid}.log`),
  };
}

/**
 * Runs `session`, which gives {tools, result}, prints {client, version, ok, signed_in, forms, tools, text, error,
 * milliseconds} and ends the process: with 0 when the tool was called and returned no error.
 */
export async function drive(client, packageName, session) {
  const started = Date.now();
  const report = { client, version: versionOf(packageName), ok: false };
  const finish = async (outcome) => {
    const browser = await finishedBrowser();
    rmSync(settings.browserLog, { force: true });
    const signedIn = browser.some(({ event }) => event === 'opened');
    const forms = browser.flatMap((event) => event.forms ?? []);
    const line = { ...report, signed_in: signedIn, forms, ...outcome, milliseconds: Date.now() - started };
    process.stdout.write(`${JSON.stringify(line)}\n`, () => process.exit(line.ok ? 0 : 1));
  };
  setTimeout(() => finish({ error: `no result within ${TIME_LIMIT / 1000} s` }), TIME_LIMIT).unref();
  try {
    const { tools, result } = await session();
    finish({ ok: !result.isError, tools: tools.map(({ name }) => name), text: textOf(result) });
  } catch (error) {
    process.stderr.write(`${error.stack}\n`);
    finish({ error: `${error.name}: ${error.message}` });
  }
}

const textOf = ({ content }) => content.map((part) => part.text ?? '').join('');

/** The client may have its tokens before the browser has written its last line. */
async function finishedBrowser() {
  const ended = (events) => events.length === 0 || events.some(({ event }) => event !== 'opened');
  for (let wait = 0; wait < 20 && !ended(browserEvents()); wait += 1) await sleep(50);
  return browserEvents();
}

/** What the browser did in this run, as it wrote to its log. */
export function browserEvents() {
  if (!existsSync(settings.browserLog)) return [];
  return readFileSync(settings.browserLog, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

/** Completes the authorization in this process; returns the callback's URL. */
export async function authorize(url) {
  const note = (event) => appendFileSync(settings.browserLog, `${JSON.stringify(event)}\n`);
  note({ event: 'opened' });
  const end = await completeLogin(url);
  note({ event: 'arrived', forms: end.forms });
  return new URL(end.url);
}

function versionOf(packageName) {
  return JSON.parse(readFileSync(packageFile(packageName), 'utf8')).version;
}

/** Path of the package's package.json, even if its `exports` do not list it. */
export function packageFile(packageName) {
  const roots = createRequire(import.meta.url).resolve.paths(packageName);
  return roots.map((root) => join(root, packageName, 'package.json')).find(existsSync) ?? fail(`${packageName} is missing: run tests/setup.sh`);
}

function fail(message) {
  process.stdout.write(`${JSON.stringify({ ok: false, error: message })}\n`);
  process.exit(2);
}
