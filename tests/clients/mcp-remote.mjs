#!/usr/bin/env node
// The npm package `mcp-remote` as a desktop client runs it: a child process that speaks MCP over its stdin and stdout.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { browserEvents, drive, packageFile, settings } from './driver.mjs';

const EXIT_LIMIT = 5_000;

await drive('mcp-remote', 'mcp-remote', async () => {
  const remote = start();
  try {
    await remote.request('initialize', { protocolVersion: settings.protocol ?? '2025-11-25', capabilities: {}, clientInfo: { name: 'gateway-test', version: '1.0.0' } });
    remote.send({ method: 'notifications/initialized' });
    const { tools } = await remote.request('tools/list', {});
    const result = await remote.request('tools/call', { name: settings.tool, arguments: settings.arguments });
    await remote.close();
    return { tools, result };
  } finally {
    remote.kill();
  }
});

function start() {
  const file = packageFile('mcp-remote');
  const script = join(dirname(file), JSON.parse(readFileSync(file, 'utf8')).bin['mcp-remote']);
  const child = spawn(process.execPath, [script, settings.url, ...extraArguments()], { env: environment(), stdio: 'pipe' });
  child.stderr.pipe(process.stderr);
  process.on('exit', () => child.kill('SIGKILL'));
  return rpc(child);
}

function extraArguments() {
  const given = JSON.parse(process.env.MCP_REMOTE_ARGS ?? '[]');
  if (settings.metadataUrl) given.push('--client-metadata-url', settings.metadataUrl);
  return settings.client ? [...given, '--static-oauth-client-info', JSON.stringify(settings.client)] : given;
}

/** mcp-remote's own xdg-open obeys $BROWSER. */
function environment() {
  const BROWSER = fileURLToPath(new URL('browser.mjs', import.meta.url));
  return { ...process.env, MCP_REMOTE_CONFIG_DIR: settings.stateDir, BROWSER, BROWSER_LOG: settings.browserLog };
}

/** JSON-RPC over the child's pipes; a request fails when the child ends or its browser fails. */
function rpc(child) {
  const waiting = new Map();
  let lastId = 0;
  let complaint = '';
  createInterface({ input: child.stderr }).on('line', (line) => (complaint = line.trim() || complaint));
  const abandon = (message) => waiting.forEach(({ reject }) => reject(new Error(message)));
  const exited = once(child, 'exit').then(([code, signal]) => abandon(`mcp-remote ended with ${signal ?? code}: ${complaint}`));
  const send = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  child.stdin.on('error', (error) => abandon(error.message));
  createInterface({ input: child.stdout }).on('line', (line) => receive(JSON.parse(line), { waiting, send }));
  const watch = setInterval(() => {
    const failure = browserEvents().find(({ event }) => event === 'failed');
    if (failure) abandon(`browser: ${failure.error}`);
  }, 200);
  return {
    send,
    request: (method, params) =>
      new Promise((resolve, reject) => {
        waiting.set((lastId += 1), { resolve, reject });
        send({ id: lastId, method, params });
      }),
    close: () => close(child, exited),
    kill: () => (clearInterval(watch), child.kill('SIGKILL')),
  };
}

function receive(message, { waiting, send }) {
  if (message.method && message.id !== undefined) {
    const response = message.method === 'ping' ? { result: {} } : { error: { code: -32601, message: 'Method not found' } };
    return send({ id: message.id, ...response });
  }
  const request = waiting.get(message.id);
  if (!request) return undefined;
  waiting.delete(message.id);
  if (message.error) return request.reject(new Error(`${message.error.message} (${message.error.code})`));
  return request.resolve(message.result);
}

/** A desktop client ends mcp-remote by closing its stdin. */
async function close(child, exited) {
  child.stdin.end();
  const late = new Promise((_resolve, reject) => setTimeout(() => reject(new Error('mcp-remote did not end when its stdin closed')), EXIT_LIMIT).unref());
  await Promise.race([exited, late]);
}
