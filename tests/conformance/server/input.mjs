// Tools that return "input required" and are called again with the input (2026-07-28).

import { acceptedContent, CLIENT_CAPABILITIES_META_KEY, inputRequired, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { says } from './content.mjs';

const elicit = (message, name, type = 'string') =>
    inputRequired.elicit({ message, requestedSchema: { type: 'object', properties: { [name]: { type } }, required: [name] } });
const sample = words =>
    inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: words } }], maxTokens: 50 });
const needs = (inputRequests, requestState) => inputRequired({ inputRequests, requestState });

export const askContext = () => needs({ user_context: elicit('What context should the prompt use?', 'context') });
const askName = () => elicit('What is your name?', 'name');

export function addInputTools(mcp, states) {
    const add = (name, run) => {
        const about = { description: `Conformance: ${name}`, inputSchema: z.object({}) };
        mcp.registerTool(name, about, (_args, { mcpReq }) => run(mcpReq, mcpReq.inputResponses));
    };
    add('test_missing_capability', async (_mcpReq, inputs) =>
        inputs?.greeting === undefined ? needs({ greeting: sample('Say pong.') }) : says('sampled'));
    add('test_input_required_result_elicitation', async (_mcpReq, inputs) => {
        const name = acceptedContent(inputs, 'user_name')?.name;
        return typeof name === 'string' ? says(`Hello, ${name}!`) : needs({ user_name: askName() });
    });
    add('test_input_required_result_sampling', async (_mcpReq, inputs) => {
        const response = inputs?.capital_question;
        if (response === undefined) return needs({ capital_question: sample('What is the capital of France?') });
        return says(`Sampling response: ${response.content?.text}`);
    });
    add('test_input_required_result_list_roots', async (_mcpReq, inputs) => {
        const roots = inputs?.client_roots?.roots;
        if (!Array.isArray(roots)) return needs({ client_roots: inputRequired.listRoots() });
        return says(`Roots: ${roots.map(root => root.uri).join(', ')}`);
    });
    addStatefulTools(add, states);
    add('test_input_required_result_capabilities', async (mcpReq, inputs) => {
        if (inputs !== undefined) return says('received');
        const can = mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? {};
        const requests = {};
        if (can.elicitation !== undefined) requests.user_name = askName();
        if (can.sampling !== undefined) requests.greeting = sample('Greet the user.');
        if (can.roots !== undefined) requests.client_roots = inputRequired.listRoots();
        return Object.keys(requests).length > 0 ? needs(requests) : says('the client supports none of these');
    });
}

// The state that the client passes between the rounds is signed; the SDK has verified it before these run.
function addStatefulTools(add, states) {
    const confirm = async () => needs({ confirm: elicit('Please confirm', 'ok', 'boolean') }, await states.mint({ requested: true }));
    add('test_input_required_result_request_state', async (mcpReq, inputs) => {
        if (acceptedContent(inputs, 'confirm') === undefined) return confirm();
        if (mcpReq.requestState() !== undefined) return says('state-ok');
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'the state is missing');
    });
    add('test_input_required_result_tampered_state', async (mcpReq, inputs) => {
        const isConfirmed = mcpReq.requestState() !== undefined && acceptedContent(inputs, 'confirm') !== undefined;
        return isConfirmed ? says('integrity-ok') : confirm();
    });
    add('test_input_required_result_multiple_inputs', async (_mcpReq, inputs) => {
        const name = acceptedContent(inputs, 'user_name')?.name;
        const greeting = inputs?.greeting?.content?.text;
        const roots = inputs?.client_roots?.roots;
        if (name !== undefined && greeting !== undefined && roots !== undefined) {
            return says(`${greeting} ${name}, with ${roots.length} roots`);
        }
        const requests = { user_name: askName(), greeting: sample('Greet the user.'), client_roots: inputRequired.listRoots() };
        return needs(requests, await states.mint({ requested: true }));
    });
    add('test_input_required_result_multi_round', async (mcpReq, inputs) => {
        const { round = 0, name } = mcpReq.requestState() ?? {};
        if (round === 0) return needs({ step1: askName() }, await states.mint({ round: 1 }));
        if (round === 1) {
            const state = await states.mint({ round: 2, name: acceptedContent(inputs, 'step1')?.name });
            return needs({ step2: elicit('What is your favourite colour?', 'color') }, state);
        }
        return says(`${name} likes ${acceptedContent(inputs, 'step2')?.color}`);
    });
}
