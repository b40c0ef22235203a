#!/usr/bin/env node
// `@modelcontextprotocol/client` 2.x against $MCP_URL.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { drive, settings } from './driver.mjs';
import { FileProvider, useTool, withSignIn } from './sdk-provider.mjs';

const mode = ['legacy', 'auto', undefined].includes(settings.protocol) ? settings.protocol : { pin: settings.protocol };
const provider = new FileProvider('typescript-v2');

await drive('typescript-v2', '@modelcontextprotocol/client', () =>
  withSignIn(provider, {
    open: () => new StreamableHTTPClientTransport(new URL(settings.url), { authProvider: provider }),
    finish: (transport, callback) => transport.finishAuth(callback),
    Unauthorized: UnauthorizedError,
    session,
  }),
);

async function session(transport) {
  const client = new Client({ name: 'gateway-test', version: '1.0.0' }, mode ? { versionNegotiation: { mode } } : {});
  await client.connect(transport);
  const outcome = await useTool(client);
  await client.close();
  return outcome;
}
