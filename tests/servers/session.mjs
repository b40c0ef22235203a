// A session with an MCP server, written down part by part in a form that two of them can be compared in.
import { createHash } from 'node:crypto';
import * as modern from '@modelcontextprotocol/client';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const OPTIONS = { timeout: 15_000 };
const SELF = { name: 'gateway-test', version: '1.0.0' };

/**
 * Goes through a session at `base` + `path` and fills `record`. `short`: only as far as the list of the tools.
 * `modern`: with version 2 of the SDK, which asks for the revision
 * of 2026-07-28 first. `signIn` is the OAuth side, where there is a gateway.
 */
export async function session(base, planned, record) {
  const url = `${base}${planned.path}${planned.slash ? '/' : ''}`;
  const seen = { ended: null, progress: 0 };
  const [client, transport] = await connect(url, planned, seen);
  record.server = client.getServerVersion();
  record.protocol = transport.protocolVersion;
  record.capabilities = client.getServerCapabilities();
  record.instructions = digest(client.getInstructions());
  record.tools = await list(() => client.listTools({}, OPTIONS), 'tools');
  if (!planned.short) await everything(client, planned, record, seen);
  record.hasSession = transport.sessionId !== undefined;
  const id = transport.sessionId;
  if (planned.transport === 'http' && id) await transport.terminateSession().catch(() => {});
  record.ended = seen.ended;
  await client.close();
  if (planned.transport === 'http' && id) record.afterEnd = await afterEnd(url, id, planned);
}

async function everything(client, planned, record, seen) {
  record.prompts = await list(() => client.listPrompts({}, OPTIONS), 'prompts');
  record.resources = await list(() => client.listResources({}, OPTIONS), 'resources');
  record.templates = await list(() => client.listResourceTemplates({}, OPTIONS), 'resourceTemplates');
  record.ping = await outcome(() => client.ping(OPTIONS));
  record.calls = [];
  for (const [name, args] of planned.calls) {
    const before = seen.progress;
    const result = await outcome(() => callTool(client, planned, { name, arguments: args }));
    record.calls.push({ name, progress: seen.progress - before, result });
  }
  if (planned.resource) record.resource = await first(client, 'listResources', 'resources', (resource) => client.readResource({ uri: resource.uri }, OPTIONS));
  if (planned.prompt) record.prompt = await first(client, 'listPrompts', 'prompts', (prompt) => client.getPrompt({ name: prompt.name, arguments: Object.fromEntries((prompt.arguments ?? []).map(({ name }) => [name, 'x'])) }, OPTIONS));
}

/** Connects; where a sign-in is wanted, signs in and connects again. */
async function connect(url, { transport: kind, modern: isModern, headers, signIn }, seen) {
  const fetchAndSee = async (input, init) => {
    const response = await fetch(input, init);
    if (init?.method === 'DELETE') seen.ended = response.status;
    return response;
  };
  const Transport = isModern ? modern.StreamableHTTPClientTransport : kind === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
  const newClient = () => (isModern ? new modern.Client(SELF, { versionNegotiation: { mode: 'auto' } }) : new Client(SELF));
  const Unauthorized = isModern ? modern.UnauthorizedError : UnauthorizedError;
  for (let round = 0; ; round += 1) {
    const [client, transport] = [newClient(), new Transport(new URL(url), { authProvider: signIn, requestInit: { headers }, fetch: fetchAndSee })];
    try {
      await client.connect(transport, OPTIONS);
      countProgress(transport, seen);
      return [client, transport];
    } catch (error) {
      if (!(error instanceof Unauthorized) || !signIn?.callback || round === 2) throw error;
      const { callback } = signIn;
      signIn.callback = null;
      await (isModern ? transport.finishAuth(callback) : transport.finishAuth(callback.get('code'), callback.get('iss') ?? undefined));
    }
  }
}

/** Counts messages as they arrive: the SDK itself drops progress that comes in one piece with the result. */
function countProgress(transport, seen) {
  const handle = transport.onmessage;
  transport.onmessage = (message, extra) => {
    if (message.method === 'notifications/progress') seen.progress += 1;
    handle(message, extra);
  };
}

/** The status of a request in a session that was ended. */
async function afterEnd(url, id, { headers, signIn }) {
  const token = signIn && { authorization: `Bearer ${signIn.tokens().access_token}` };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 99, method: 'tools/list' });
  const sent = { ...headers, ...token, 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-session-id': id, 'mcp-protocol-version': '2025-06-18' };
  const response = await fetch(url, { method: 'POST', headers: sent, body, signal: AbortSignal.timeout(OPTIONS.timeout) });
  await response.body?.cancel();
  return response.status;
}

/** Version 1 of the SDK has the schema of the result as second argument. */
function callTool(client, { modern: isModern }, call) {
  const options = { ...OPTIONS, onprogress: () => {} };
  return isModern ? client.callTool(call, options) : client.callTool(call, undefined, options);
}

async function list(ask, member) {
  const response = await outcome(ask);
  if (!response[member]) return response;
  const sorted = response[member].map((item) => JSON.stringify(item)).sort();
  return { count: sorted.length, sha256: digest(sorted.join('\n')) };
}

async function first(client, listing, member, ask) {
  const items = await outcome(() => client[listing]({}, OPTIONS));
  const item = items[member]?.toSorted?.((one, other) => (one.name < other.name ? -1 : 1))[0];
  return item ? outcome(() => ask(item)) : null;
}

/** The result or, after a failure, the error. */
async function outcome(ask) {
  try {
    return await ask();
  } catch (error) {
    return { code: error.code ?? error.name, message: error.message.replaceAll(/https?:\/\/[^\s"]+/g, 'URL').slice(0, 300) };
  }
}

function digest(text) {
  return text === undefined ? null : createHash('sha256').update(text).digest('hex');
}
