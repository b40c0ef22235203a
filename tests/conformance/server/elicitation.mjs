// Tools that send requests to the client during a call, as in the protocol up to 2025-11-25.

import * as z from 'zod/v4';
import { says } from './content.mjs';

const WITH_DEFAULTS = {
    name: { type: 'string', default: 'John Doe' },
    age: { type: 'integer', default: 30 },
    score: { type: 'number', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', default: true },
};

const OPTIONS = ['option1', 'option2', 'option3'];
const TITLED = [
    { const: 'value1', title: 'First' },
    { const: 'value2', title: 'Second' },
    { const: 'value3', title: 'Third' },
];
const ENUMS = {
    untitledSingle: { type: 'string', enum: OPTIONS },
    titledSingle: { type: 'string', oneOf: TITLED },
    legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
    untitledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { type: 'string', enum: OPTIONS } },
    titledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { anyOf: TITLED } },
};

export function addElicitation(mcp) {
    const add = (name, inputSchema, run) => {
        mcp.registerTool(name, { description: `Conformance: ${name}`, inputSchema }, run);
    };
    add('test_sampling', z.object({ prompt: z.string() }), async ({ prompt }, { mcpReq }) => {
        const messages = [{ role: 'user', content: { type: 'text', text: prompt } }];
        const result = await mcpReq.send({ method: 'sampling/createMessage', params: { messages, maxTokens: 100 } });
        return says(`LLM response: ${result.content?.text}`);
    });
    add('test_elicitation', z.object({ message: z.string() }), async ({ message }, { mcpReq }) => {
        const properties = { response: { type: 'string', description: "User's response" } };
        return says(`User response: ${await ask(mcpReq, message, properties, ['response'])}`);
    });
    add('test_elicitation_sep1034_defaults', z.object({}), async (_args, { mcpReq }) => {
        return says(`Elicitation completed: ${await ask(mcpReq, 'Please look at the defaults', WITH_DEFAULTS, [])}`);
    });
    add('test_elicitation_sep1330_enums', z.object({}), async (_args, { mcpReq }) => {
        return says(`Elicitation completed: ${await ask(mcpReq, 'Please choose', ENUMS, [])}`);
    });
}

async function ask(mcpReq, message, properties, required) {
    const params = { message, requestedSchema: { type: 'object', properties, required } };
    const { action, content } = await mcpReq.send({ method: 'elicitation/create', params });
    return `action=${action}, content=${JSON.stringify(content ?? {})}`;
}
