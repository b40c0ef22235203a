#!/usr/bin/env node
// One server directly and through the gateway: the same session, with the official TypeScript SDK.
//
// Reads from stdin {direct, gateways: {http: URL, https: URL}, credential, sessions}, where `sessions` are those of
// servers.json and each URL is where their paths begin. Prints one line of JSON: {records, differences: [{check,
// direct, through}]}; the name of a check is "SITE TRANSPORT VARIANT PART", such as "https http slash tools".
import { readFileSync } from 'node:fs';
import { deepStrictEqual } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { session } from './session.mjs';
import { SignIn } from './sign-in.mjs';

const TIME_LIMIT = 120_000;

/** How a client may come: as it is, with a slash after the path, with the newest protocol, as a page in a browser. */
const VARIANTS = {
  plain: () => ({}),
  slash: () => ({ slash: true, short: true }),
  modern: () => ({ modern: true }),
  origin: (through) => ({ headers: through ? { Origin: 'https://app.example.com' } : {}, short: true }),
};

const task = JSON.parse(readFileSync(0, 'utf8'));
const [records, differences] = [{}, []];
setTimeout(() => finish({ error: `no result within ${TIME_LIMIT / 1000} s` }), TIME_LIMIT).unref();
for (const planned of task.sessions) {
  for (const [name, variant] of Object.entries(VARIANTS)) {
    if (name !== 'modern' || planned.transport === 'http') await compare(planned, name, variant);
  }
}
finish({});

async function compare(planned, name, variant) {
  const credential = task.credential ? { Authorization: task.credential } : {};
  const { headers, ...direct } = variant(false);
  const expected = await run(task.direct, { ...planned, ...direct, headers: { ...headers, ...credential } });
  const began = `${planned.transport} ${name}`;
  records[`direct ${began}`] = expected;
  // Equal failures would prove nothing.
  if (expected.error && name !== 'slash') differences.push({ check: `direct ${began} error`, direct: expected.error });
  for (const [site, url] of Object.entries(task.gateways)) {
    const seen = await run(url, { ...planned, ...variant(true), signIn: new SignIn() });
    records[`${site} ${began}`] = seen;
    // Where one of them broke off, what it did not come to says nothing.
    const parts = expected.error || seen.error ? ['error'] : new Set([...Object.keys(expected), ...Object.keys(seen)]);
    for (const part of parts) {
      if (!equal(expected[part], seen[part])) differences.push({ check: `${site} ${began} ${part}`, direct: expected[part], through: seen[part] });
    }
  }
}

/** A session, or the parts of it that came to pass before an error. */
async function run(base, planned) {
  const record = {};
  try {
    await Promise.race([session(base, planned, record), sleep(25_000, null, { ref: false }).then(() => Promise.reject(new Error('the session does not end')))]);
  } catch (error) {
    record.error = `${error.name}: ${error.message}`.replaceAll(/https?:\/\/[^\s"]+/g, 'URL').slice(0, 300);
  }
  return record;
}

function equal(one, other) {
  try {
    deepStrictEqual(one, other);
    return true;
  } catch {
    return false;
  }
}

function finish(outcome) {
  process.stdout.write(`${JSON.stringify({ ...outcome, records, differences })}\n`, () => process.exit(outcome.error ? 1 : 0));
}
