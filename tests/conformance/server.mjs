// The MCP server that the conformance runner tests through the gateway: every feature that its scenarios need,
// made with the official TypeScript SDK, in both eras of the protocol. Prints `ready <url>`; PORT defaults to a free one.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { createMcpHandler, isLegacyRequest, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server';
import { EventLog } from './server/events.mjs';
import { everything } from './server/everything.mjs';

const sessions = new Map();
// 2026-07-28: no sessions; a server for each request, and one event bus for the subscribers.
const modern = createMcpHandler(() => everything(context), { legacy: 'reject' });
const context = {
    notify: modern.notify,
    closeStream: (sessionId, requestId) => sessions.get(sessionId)?.closeSSEStream(requestId),
};

async function respond(request) {
    if (!(await isLegacyRequest(request.clone()))) return modern.fetch(request);
    const id = request.headers.get('mcp-session-id');
    if (id !== null) return sessions.get(id)?.handleRequest(request) ?? refusal(404, 'Session not found');
    const transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        eventStore: new EventLog(),
        retryInterval: 1000,
        onsessioninitialized: session => void sessions.set(session, transport),
        onsessionclosed: session => void sessions.delete(session),
    });
    await everything(context).connect(transport);
    return transport.handleRequest(request);
}

function refusal(status, message) {
    return Response.json({ jsonrpc: '2.0', error: { code: -32001, message }, id: null }, { status });
}

async function serve(incoming, outgoing) {
    const hasBody = !['GET', 'HEAD'].includes(incoming.method);
    const url = new URL(incoming.url, 'http://localhost');
    const body = hasBody ? Readable.toWeb(incoming) : undefined;
    const aborter = new AbortController();
    outgoing.on('close', () => aborter.abort());
    const init = { method: incoming.method, headers: incoming.headers, body, duplex: 'half', signal: aborter.signal };
    const response = await respond(new Request(url, init));
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    // The headers of a stream are sent before its first event.
    outgoing.flushHeaders();
    if (response.body === null) return outgoing.end();
    Readable.fromWeb(response.body).on('error', () => outgoing.destroy()).pipe(outgoing);
}

const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(error => {
        console.error(error);
        outgoing.destroy();
    });
});
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    console.log(`ready http://127.0.0.1:${server.address().port}`);
});
