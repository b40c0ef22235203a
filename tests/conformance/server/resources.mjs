// Resources: text, bytes, a template, and one to subscribe to.

import { ResourceTemplate } from '@modelcontextprotocol/server';
import { IMAGE } from './content.mjs';

export function addResources(mcp) {
    const add = (name, uri, mimeType, content) => {
        const read = async () => ({ contents: [{ uri, mimeType, ...content }] });
        mcp.registerResource(name, uri, { description: `Conformance: ${name}`, mimeType }, read);
    };
    add('static-text', 'test://static-text', 'text/plain', { text: 'This is the content of the static text resource.' });
    add('static-binary', 'test://static-binary', 'image/png', { blob: IMAGE });
    add('watched-resource', 'test://watched-resource', 'text/plain', { text: 'Watched.' });
    const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
    mcp.registerResource('template', template, { mimeType: 'application/json' }, async (uri, { id }) => {
        const text = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
        return { contents: [{ uri: uri.href, mimeType: 'application/json', text }] };
    });
    mcp.server.setRequestHandler('resources/subscribe', async () => ({}));
    mcp.server.setRequestHandler('resources/unsubscribe', async () => ({}));
}
