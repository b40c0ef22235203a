// Prompts: plain, with arguments, with other content, and one that requests input first.

import { acceptedContent } from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { embedded, image, text } from './content.mjs';
import { askContext } from './input.mjs';

const messages = (...contents) => ({ messages: contents.map(content => ({ role: 'user', content })) });

export function addPrompts(mcp) {
    const add = (name, run, argsSchema) => {
        mcp.registerPrompt(name, { description: `Conformance: ${name}`, argsSchema }, run);
    };
    add('test_simple_prompt', async () => messages(text('This is a simple prompt for testing.')));
    add('test_prompt_with_image', async () => messages(image(), text('Please look at the image above.')));
    add(
        'test_prompt_with_arguments',
        async ({ arg1, arg2 }) => messages(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
        z.object({ arg1: z.string(), arg2: z.string() }),
    );
    add(
        'test_prompt_with_embedded_resource',
        async ({ resourceUri }) => messages(embedded(resourceUri, 'text/plain', 'Embedded.'), text('Please read it.')),
        z.object({ resourceUri: z.string() }),
    );
    add('test_input_required_result_prompt', async ({ mcpReq }) => {
        const context = acceptedContent(mcpReq.inputResponses, 'user_context')?.context;
        return context === undefined ? askContext() : messages(text(`Use this context: ${context}`));
    });
}
