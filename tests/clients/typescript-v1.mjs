#!/usr/bin/env node
// `@modelcontextprotocol/sdk` 1.x against $MCP_URL.
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { drive, settings } from './driver.mjs';
import { FileProvider, useTool, withSignIn } from './sdk-provider.mjs';

const provider = new FileProvider('typescript-v1');

await drive('typescript-v1', '@modelcontextprotocol/sdk', () =>
  withSignIn(provider, {
    open: () => new StreamableHTTPClientTransport(new URL(settings.url), { authProvider: provider }),
    finish: (transport, callback) => transport.finishAuth(callback.get('code'), callback.get('iss') ?? undefined),
    Unauthorized: UnauthorizedError,
    session,
  }),
);

async function session(transport) {
  const client = new Client({ name: 'gateway-test', version: '1.0.0' });
  await client.connect(transport);
  const outcome = await useTool(client);
  await transport.terminateSession();
  await client.close();
  return outcome;
}
