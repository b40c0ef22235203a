// One MCP server with every feature.

import { createRequestStateCodec, McpServer } from '@modelcontextprotocol/server';
import { addElicitation } from './elicitation.mjs';
import { addInputTools } from './input.mjs';
import { addPrompts } from './prompts.mjs';
import { addResources } from './resources.mjs';
import { addTools } from './tools.mjs';

const states = createRequestStateCodec({ key: crypto.getRandomValues(new Uint8Array(32)) });

const capabilities = {
    tools: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    prompts: { listChanged: true },
    logging: {},
    completions: {},
};

/** `context`: how a tool notifies the subscribers that a list changed, and how it closes the stream of a request. */
export function everything(context) {
    const info = { name: 'everything', version: '1.0.0' };
    const mcp = new McpServer(info, { capabilities, requestState: { verify: states.verify } });
    addTools(mcp, context);
    addElicitation(mcp);
    addInputTools(mcp, states);
    addResources(mcp);
    addPrompts(mcp);
    mcp.server.setRequestHandler('logging/setLevel', async () => ({}));
    mcp.server.setRequestHandler('completion/complete', async () => ({
        completion: { values: [], total: 0, hasMore: false },
    }));
    return mcp;
}
