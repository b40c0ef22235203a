// Preloaded into the conformance runner, which does not support tokens: adds the access token to each request to the gateway,
// whichever of Node's three HTTP clients a scenario uses.

import http from 'node:http';
import { Agent, setGlobalDispatcher } from 'undici';

const { GATEWAY_URL, ACCESS_TOKEN } = process.env;
const authorization = `Bearer ${ACCESS_TOKEN}`;
const { origin, port } = new URL(GATEWAY_URL);

// fetch, Node's own and undici's, share one dispatcher.
const withToken = dispatch => (options, handler) =>
    dispatch(String(options.origin) === origin ? { ...options, headers: added(options.headers) } : options, handler);
setGlobalDispatcher(new Agent().compose(withToken));

function added(headers) {
    if (Array.isArray(headers)) return [...headers, 'authorization', authorization];
    const entries = headers?.[Symbol.iterator] === undefined ? Object.entries(headers ?? {}) : [...headers];
    return Object.fromEntries([...entries, ['authorization', authorization]]);
}

const request = http.request;
http.request = (options, ...rest) => {
    const isOurs = String(options.port) === port;
    return request(isOurs ? { ...options, headers: { ...options.headers, authorization } } : options, ...rest);
};
