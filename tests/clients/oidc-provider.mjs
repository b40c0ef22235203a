#!/usr/bin/env node
// The certified OpenID provider `oidc-provider` in Okta's place. Prints `ready <issuer>` and serves until it is ended.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import http from 'node:http';

console.info = console.warn = console.error;
const { default: Provider } = await import('oidc-provider');

const { env } = process;
const mount = env.ISSUER_PATH ?? '';
const groups = JSON.parse(env.OKTA_GROUPS ?? '{"alice":["Everyone","Engineering"]}');
const offline = new Set();

const server = http.createServer((request, response) => handle(request, response));
await new Promise((resolve) => server.listen(Number(env.PORT ?? 0), '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}${mount}`;
const callback = new Provider(issuer, configuration()).callback();
process.stdout.write(`ready ${issuer}\n`);

/** Serves the provider under its mount path and records which logins request offline access. */
function handle(request, response) {
  const url = new URL(request.url, issuer);
  if (!url.pathname.startsWith(`${mount}/`)) return response.writeHead(404).end();
  const scopes = url.searchParams.get('scope')?.split(' ') ?? [];
  if (scopes.includes('offline_access') && offline.size < 10_000) offline.add(url.searchParams.get('code_challenge'));
  request.originalUrl = request.url;
  request.url = request.url.slice(mount.length);
  return callback(request, response);
}

function configuration() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: 'jwk' }), kid: randomBytes(6).toString('hex'), alg: 'RS256', use: 'sig' };
  return {
    clients: [client()],
    jwks: { keys: [key] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: true }, revocation: { enabled: true }, introspection: { enabled: true } },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => claims(sub) }),
    issueRefreshToken,
    expiresWithSession: () => false,
    pkce: { required: () => true },
    ttl: { AccessToken: 3600, IdToken: 3600, Session: 86_400, Grant: 86_400, Interaction: 600, RefreshToken: 86_400 },
  };
}

function client() {
  return {
    client_id: env.OKTA_CLIENT_ID ?? 'gateway',
    client_secret: env.OKTA_CLIENT_SECRET ?? 'gateway-secret',
    redirect_uris: [env.OKTA_REDIRECT_URI ?? 'http://localhost:8080/auth/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: env.OKTA_AUTH_METHOD ?? 'client_secret_basic',
  };
}

function claims(sub) {
  const name = `${sub[0].toUpperCase()}${sub.slice(1)}`;
  return { sub, name, preferred_username: sub, email: `${sub}@example.com`, email_verified: true, groups: groups[sub] ?? ['Everyone'] };
}

/** As Okta, and unlike the library's default, `offline_access` does not need `prompt=consent`. */
function issueRefreshToken(_ctx, _client, source) {
  return source.kind === 'RefreshToken' || source.scopes.has('offline_access') || offline.has(source.codeChallenge);
}
