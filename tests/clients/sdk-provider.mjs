// The OAuth side of a client made with the TypeScript SDK, version 1 or 2: state on disk, the browser in this process.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { authorize, settings } from './driver.mjs';

const KEPT = { all: [], client: ['tokens', 'verifier'], tokens: ['client', 'verifier'], verifier: ['client', 'tokens'], discovery: ['client', 'tokens', 'verifier'] };

/** An OAuthClientProvider; after `redirectToAuthorization` the callback URL is in `callback`. */
export class FileProvider {
  callback = null;
  #file;
  #state;
  #discovery;

  constructor(client) {
    this.#file = join(settings.stateDir, `${client}.json`);
  }

  get redirectUrl() {
    return settings.redirectUri;
  }

  /** A client that publishes what it is: the SDK then registers nowhere. */
  get clientMetadataUrl() {
    return settings.metadataUrl;
  }

  get clientMetadata() {
    return {
      client_name: 'Gateway test client',
      redirect_uris: [settings.redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: settings.authMethod,
    };
  }

  state() {
    return (this.#state = randomUUID());
  }

  clientInformation() {
    return settings.client ?? this.#read().client;
  }

  saveClientInformation(client) {
    this.#write({ client });
  }

  tokens() {
    return this.#read().tokens;
  }

  saveTokens(tokens) {
    this.#write({ tokens });
  }

  saveCodeVerifier(verifier) {
    this.#write({ verifier });
  }

  codeVerifier() {
    return this.#read().verifier;
  }

  /** Discovery is bound to the authorization under way and not kept: every run discovers anew. */
  saveDiscoveryState(discovery) {
    this.#discovery = discovery;
  }

  discoveryState() {
    return this.#discovery;
  }

  invalidateCredentials(scope) {
    if (scope === 'all' || scope === 'discovery') this.#discovery = undefined;
    const all = this.#read();
    this.#replace(Object.fromEntries(KEPT[scope].map((key) => [key, all[key]])));
  }

  async redirectToAuthorization(url) {
    const callback = (await authorize(url.href)).searchParams;
    if (callback.get('state') !== this.#state) throw new Error(`the state came back as ${callback.get('state')}`);
    if (callback.has('error')) throw new Error(`the authorization ended with ${callback.get('error')}: ${callback.get('error_description')}`);
    this.callback = callback;
  }

  #read() {
    return existsSync(this.#file) ? JSON.parse(readFileSync(this.#file, 'utf8')) : {};
  }

  #write(change) {
    this.#replace({ ...this.#read(), ...change });
  }

  #replace(all) {
    const fresh = `${this.#file}.${process.pid}`;
    writeFileSync(fresh, JSON.stringify(all), { mode: 0o600 });
    renameSync(fresh, this.#file);
  }
}

/**
 * Runs `session(transport)` on a fresh transport; when the server wants an authorization, hands its callback to
 * `finishAuth` and runs it again. Three rounds leave room for one step-up.
 */
export async function withSignIn(provider, { open, finish, session, Unauthorized }) {
  for (let round = 0; ; round += 1) {
    const transport = open();
    try {
      return await session(transport);
    } catch (error) {
      if (!(error instanceof Unauthorized) || !provider.callback || round === 2) throw error;
      const { callback } = provider;
      provider.callback = null;
      await finish(transport, callback);
    }
  }
}

/** Lists the tools and calls the requested one. */
export async function useTool(client) {
  const { tools } = await client.listTools();
  const result = await client.callTool({ name: settings.tool, arguments: settings.arguments });
  return { tools, result };
}
