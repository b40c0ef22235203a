#!/usr/bin/env node
// Starts the demo and runs a command against its dice server: on-the-demo.mjs DEMO COMMAND...
//
// The command gets MCP_URL, OTHER_URL (the UUID server) and STATE_DIR (a new folder). This exits with its exit code.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const START_LIMIT = 60_000;
const [program, ...command] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'gateway-demo-'));
const demo = spawn(program, ['--data-dir', join(folder, 'data')], { stdio: ['ignore', 'pipe', 'inherit'] });
const end = (code) => {
  demo.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  process.exit(code);
};
const limit = setTimeout(() => end(2), START_LIMIT);
demo.on('error', () => end(2)).on('exit', () => end(2));
// The first URL is that of the landing page.
createInterface(demo.stdout).on('line', (line) => {
  const page = /^ +(https?:\/\/[^/\s]+)\/$/.exec(line);
  if (page && limit.hasRef()) run(page[1]);
});

function run(origin) {
  clearTimeout(limit.unref());
  const env = { ...process.env, MCP_URL: `${origin}/mcp/dice/mcp`, OTHER_URL: `${origin}/mcp/uuid/mcp`, STATE_DIR: join(folder, 'state') };
  const child = spawn(command[0], command.slice(1), { env, stdio: ['ignore', 'inherit', 'inherit'] });
  child.on('error', () => end(2)).on('exit', (code) => end(code ?? 2));
}
