// Tools that need no input from the client.

import { setTimeout as sleep } from 'node:timers/promises';
import { fromJsonSchema } from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { audio, embedded, image, says, text } from './content.mjs';

const CONTENTS = {
    test_simple_text: [text('This is a simple text response for testing.')],
    test_image_content: [image()],
    test_audio_content: [audio()],
    test_embedded_resource: [embedded('test://embedded-resource', 'text/plain', 'An embedded resource.')],
    test_multiple_content_types: [
        text('Several kinds of content:'),
        image(),
        embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
    test_streaming_elicitation: [text('nothing but a result')],
};

// A schema in which every keyword of JSON Schema 2020-12 that the runner checks is used.
const CONTACT = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    $defs: {
        address: {
            $anchor: 'addressDef',
            type: 'object',
            properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
    },
    properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: { type: 'string' },
        email: { type: 'string' },
    },
    allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
    if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
    then: { required: ['phone'] },
    else: { required: ['email'] },
    additionalProperties: false,
};

const REGION = {
    type: 'object',
    properties: { region: { type: 'string', 'x-mcp-header': 'Region' }, level: { type: 'integer' } },
};

export function addTools(mcp, { notify, closeStream }) {
    const add = (name, run, inputSchema = z.object({})) => {
        mcp.registerTool(name, { description: `Conformance: ${name}`, inputSchema }, run);
    };
    for (const [name, content] of Object.entries(CONTENTS)) add(name, async () => ({ content }));
    add('json_schema_2020_12_tool', async args => says(JSON.stringify(args)), fromJsonSchema(CONTACT));
    add('test_x_mcp_header', async ({ region }) => says(`region=${region}`), fromJsonSchema(REGION));
    add('test_error_handling', async () => {
        throw new Error('This tool intentionally returns an error for testing');
    });
    add('test_tool_with_logging', withLogging);
    add('test_logging_tool', async (_args, { mcpReq }) => {
        await mcpReq.log('info', 'for clients that set a log level');
        return says('logged');
    });
    add('test_tool_with_progress', withProgress);
    add('test_reconnection', async (_args, { sessionId, mcpReq }) => {
        closeStream(sessionId, mcpReq.id);
        await sleep(100);
        return says('sent after the stream was closed');
    });
    add('test_trigger_tool_change', async () => (notify.toolsChanged(), says('notified')));
    add('test_trigger_prompt_change', async () => (notify.promptsChanged(), says('notified')));
}

async function withLogging(_args, { mcpReq }) {
    for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await mcpReq.notify({ method: 'notifications/message', params: { level: 'info', data } });
        await sleep(50);
    }
    return says('logged');
}

async function withProgress(_args, { mcpReq }) {
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken === undefined) return says('no progress token');
    for (const progress of [0, 50, 100]) {
        const params = { progressToken, progress, total: 100, message: `${progress} of 100` };
        await mcpReq.notify({ method: 'notifications/progress', params });
        await sleep(50);
    }
    return says(String(progressToken));
}
