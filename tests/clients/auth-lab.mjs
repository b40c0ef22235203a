#!/usr/bin/env node
// The public lab for the authorization of MCP servers (`mcp-authlab`) against $MCP_URL: it signs in twice with the
// browser, probes the authorization server, then scans the MCP server with the tokens that it got. $OTHER_URL is another
// server of the same gateway, and $STATE_DIR holds the tokens.
//
// Ends stdout with one line of JSON: {ok, version, grade, score, conformance, coverage, findings: [{id, status, level,
// message}]}; `findings` are the checks that did not pass. Exits 0 when there is a grade, whichever it is.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TIME_LIMIT = 90_000;
const FOLDER = dirname(fileURLToPath(import.meta.url));
const { MCP_URL: url, OTHER_URL: other, STATE_DIR: state, PATH } = process.env;

mkdirSync(state, { recursive: true, mode: 0o700 });
const env = { PATH, HOME: state, MCP_AUTHLAB_TOKENS: join(state, 'tokens.json'), BROWSER: join(FOLDER, 'browser.mjs') };
try {
  await run(['login', url, '--foreign-resource', other, '--thorough', '--timeout', '60']);
  const report = JSON.parse(await run(['scan', url, '--format', 'json']));
  const findings = report.results.filter(({ status }) => status !== 'pass');
  finish({
    ok: true,
    version: report.version,
    grade: report.grade,
    score: report.score,
    conformance: report.conformance,
    coverage: report.coverage,
    findings: findings.map(({ id, status, level, message }) => ({ id, status, level, message })),
  });
} catch (error) {
  finish({ ok: false, error: error.message });
}

function run(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(FOLDER, '.venv/bin/mcp-authlab'), args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: TIME_LIMIT });
    const [output, diagnostics] = [[], []];
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => diagnostics.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(output.join('')) : reject(new Error(`mcp-authlab ${args[0]} exits with ${code}: ${diagnostics.join('')}`))));
  });
}

function finish(outcome) {
  process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit(outcome.ok ? 0 : 1));
}
