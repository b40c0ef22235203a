// The OAuth side of the client in front of a gateway, kept in memory: it registers, and signs in as a person does.
import { randomUUID } from 'node:crypto';
import { completeLogin } from '../clients/browser.mjs';

const REDIRECT_URI = 'http://localhost:43110/callback';

/** An OAuthClientProvider of the TypeScript SDK; after `redirectToAuthorization` the parameters of the authorization response are in `callback`. */
export class SignIn {
  callback = null;
  redirectUrl = REDIRECT_URI;
  clientMetadata = { client_name: 'Gateway test client', redirect_uris: [REDIRECT_URI], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none' };
  #client;
  #tokens;
  #verifier;
  #state;
  #discovery;

  state() {
    return (this.#state = randomUUID());
  }

  clientInformation() {
    return this.#client;
  }

  saveClientInformation(client) {
    this.#client = client;
  }

  tokens() {
    return this.#tokens;
  }

  saveTokens(tokens) {
    this.#tokens = tokens;
  }

  codeVerifier() {
    return this.#verifier;
  }

  saveCodeVerifier(verifier) {
    this.#verifier = verifier;
  }

  discoveryState() {
    return this.#discovery;
  }

  saveDiscoveryState(discovery) {
    this.#discovery = discovery;
  }

  async redirectToAuthorization(url) {
    const response = new URL((await completeLogin(url.href)).url).searchParams;
    if (response.get('state') !== this.#state) throw new Error(`the state came back as ${response.get('state')}`);
    if (response.has('error')) throw new Error(`the authorization ended with ${response.get('error')}: ${response.get('error_description')}`);
    this.callback = response;
  }
}
