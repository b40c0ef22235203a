#!/usr/bin/env node
// A command line against $MCP_URL: command-line.mjs claude-code|codex|opencode
//
// It adds the server, signs in with the browser of ../browser.mjs, and says whether it is connected. Its home is
// $STATE_DIR. It ends within 90 s, exits 0 only if it is connected, and ends stdout with the line of JSON that
// ../README.md describes; `text` is what it says of the server.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const TIME_LIMIT = 90_000;
const FOLDER = dirname(fileURLToPath(import.meta.url));
const SYSTEM = `${process.platform}-${process.arch}`;
const { MCP_URL: url, STATE_DIR: home } = process.env;

/** Commands until it is signed in, the one that shows it, and the line that this then prints. */
const COMMAND_LINES = {
  'claude-code': {
    package: '@anthropic-ai/claude-code',
    program: `@anthropic-ai/claude-code-${SYSTEM}/claude`,
    commands: [['mcp', 'add', '--transport', 'http', 'dice', url], ['mcp', 'login', 'dice']],
    shows: ['mcp', 'list'],
    connected: /^dice: .*connected$/im,
  },
  codex: {
    package: '@openai/codex',
    program: '@openai/codex/bin/codex.js',
    // `add` signs in at once.
    commands: [['mcp', 'add', 'dice', '--url', url], ['mcp', 'login', 'dice']],
    shows: ['mcp', 'list'],
    connected: /^dice .* enabled +OAuth *$/im,
  },
  opencode: {
    package: 'opencode-linux-x64-baseline',
    program: 'opencode-linux-x64-baseline/bin/opencode',
    files: { '.config/opencode/opencode.json': JSON.stringify({ mcp: { dice: { type: 'remote', url, enabled: true } } }) },
    commands: [['mcp', 'auth', 'dice']],
    shows: ['mcp', 'list'],
    connected: /dice connected/im,
  },
};

const name = process.argv[2];
const client = COMMAND_LINES[name];
if (!client || !url || !home) {
  process.stdout.write(`${JSON.stringify({ ok: false, error: 'usage: command-line.mjs claude-code|codex|opencode, with MCP_URL and STATE_DIR' })}\n`);
  process.exit(2);
}
const started = Date.now();
const log = join(home, 'browser.log');
let running = null;
setTimeout(() => finish({ error: `no result within ${TIME_LIMIT / 1000} s` }), TIME_LIMIT).unref();
try {
  prepare();
  for (const command of client.commands) await run(command);
  const shown = stripVTControlCharacters(await run(client.shows));
  const text = client.connected.exec(shown)?.[0].trim();
  finish(text ? { ok: true, text } : { error: `it is not connected: ${shown.trim()}` });
} catch (error) {
  finish({ error: error.message });
}

function prepare() {
  mkdirSync(join(home, 'project'), { recursive: true, mode: 0o700 });
  rmSync(log, { force: true });
  for (const [file, text] of Object.entries(client.files ?? {})) {
    mkdirSync(dirname(join(home, file)), { recursive: true });
    writeFileSync(join(home, file), text);
  }
}

/** Runs one command in a terminal of its own, and gives what it printed. */
async function run(args) {
  const program = join(FOLDER, 'node_modules', client.program);
  const line = [...(program.endsWith('.js') ? [process.execPath] : []), program, ...args];
  const quoted = line.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  const env = { PATH: process.env.PATH, HOME: home, TERM: 'xterm-256color', BROWSER: join(FOLDER, '../browser.mjs'), BROWSER_LOG: log, DISABLE_AUTOUPDATER: '1', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', OPENCODE_DISABLE_AUTOUPDATE: '1', OPENCODE_DISABLE_MODELS_FETCH: '1', OPENCODE_DISABLE_DEFAULT_PLUGINS: '1' };
  running = spawn('script', ['--quiet', '--return', '--flush', '--command', `stty cols 500; ${quoted}`, '/dev/null'], { cwd: join(home, 'project'), env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  running.stdout.on('data', (chunk) => (output += chunk));
  running.stderr.on('data', (chunk) => (output += chunk));
  const ended = new Promise((resolve, reject) => running.on('error', reject).on('close', resolve));
  const code = await Promise.race([ended, lostBrowser()]);
  running = null;
  if (code !== 0) throw new Error(`${name} ${args.join(' ')} exits with ${code}: ${stripVTControlCharacters(output).trim()}`);
  return output;
}

/** Fails when the browser gets lost: the command would wait for its callback for ever. */
async function lostBrowser() {
  for (;;) {
    const failure = browserEvents().find(({ event }) => event === 'failed');
    if (failure) throw new Error(`browser: ${failure.error}`);
    await sleep(100, null, { ref: false });
  }
}

function browserEvents() {
  if (!existsSync(log)) return [];
  return readFileSync(log, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

function finish(outcome) {
  endGroup();
  const { version } = JSON.parse(readFileSync(join(FOLDER, 'node_modules', client.package, 'package.json'), 'utf8'));
  const events = browserEvents();
  const seen = { signed_in: events.some(({ event }) => event === 'opened'), forms: events.flatMap((event) => event.forms ?? []) };
  const report = { client: name, version, ok: false, ...seen, ...outcome, milliseconds: Date.now() - started };
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(report.ok ? 0 : 1));
}

/** Ends a command with all that it has started. */
function endGroup() {
  try {
    if (running) process.kill(-running.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
