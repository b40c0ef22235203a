//! Configuration of one environment.

use crate::{Network, Table, ValuePart};
use std::time::Duration;
use time::UtcDateTime;

/// Compiled site configuration. Optional values that are `None` come from environment variables.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// Label of the environment on pages and in logs.
    pub environment: &'static str,
    /// Origin and issuer of the gateway, without path and trailing slash.
    pub base_url: Option<&'static str>,
    /// TCP port to listen on.
    pub port: Option<u16>,
    /// Okta application.
    pub okta: OktaSite,
    /// Lifetimes of issued tokens and codes.
    pub tokens: Tokens,
    /// Browser origins that may use MCP endpoints, in addition to the gateway's own and loopback ones.
    pub allowed_origins: &'static [&'static str],
    /// Private-use redirect schemes in addition to the built-in ones, in lower case.
    pub redirect_schemes: &'static [&'static str],
    /// Hosts to which an error may be redirected before consent (RFC 9700 §4.11).
    pub trusted_redirect_hosts: &'static [&'static str],
    /// Client ID Metadata Documents.
    pub client_metadata: ClientMetadata,
    /// Advertises and sends `iss` in authorization responses (RFC 9207).
    pub advertise_iss: bool,
    /// Reaction to the reuse of a refresh token.
    pub refresh_reuse: RefreshReuse,
    /// Time after the last successful revalidation for which refreshes succeed while Okta is unavailable.
    pub okta_grace: Duration,
    /// Time for which a check of a user at Okta counts for all of the user's grants.
    pub okta_recheck: Duration,
    /// Policy of dynamic client registration.
    pub registration: Registration,
    /// Trusted proxies in front of the gateway, whose `X-Forwarded-For` is used.
    pub trusted_proxies: &'static [Network],
    /// Proxy of requests to Okta and to the hosts of client documents.
    pub egress_proxy: EgressProxySite,
    /// Connection and rate limits.
    pub limits: Limits,
    /// Times of a graceful shutdown.
    pub shutdown: Shutdown,
    /// Routes.
    pub table: Table,
    /// SHA-256 of the compiled files, in lower-case hex.
    pub digest: &'static str,
}

/// Okta application and authorization server.
#[derive(Debug, Clone, Copy)]
pub struct OktaSite {
    /// URL of the Okta org, or of an issuer when it has a path.
    pub url: Option<&'static str>,
    /// Authorization server of the org; not used when `url` has a path.
    pub authorization_server: AuthorizationServer,
    /// Client ID of the application.
    pub client_id: Option<&'static str>,
    /// Redirect URI at Okta; default `base_url` + `/auth/callback`.
    pub redirect_uri: Option<&'static str>,
    /// Claim that lists the user's groups.
    pub groups_claim: &'static str,
    /// Accepts an e-mail address without `email_verified`.
    pub trust_email: bool,
    /// PEM file of the only trusted certificate authorities for Okta.
    pub ca_file: Option<&'static str>,
}

/// Okta authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizationServer {
    /// Org authorization server; its issuer is the org URL.
    Org,
    /// Custom authorization server: `/oauth2/default` or `/oauth2/<id>`.
    Custom(&'static str),
}

/// Clients that are identified by the URL of their metadata document (Client ID Metadata Documents).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientMetadata {
    /// Source of the documents.
    pub mode: ClientMetadataMode,
    /// Hosts from which documents and key sets may be fetched; empty allows all. Compiled documents are used regardless.
    pub hosts: &'static [&'static str],
    /// Compiled documents, each with another `client_id`.
    pub documents: &'static [ClientDocument],
}

impl ClientMetadata {
    /// Default: documents of all hosts are fetched, and none is compiled in.
    pub const DEFAULT: Self = Self { mode: ClientMetadataMode::Fetch, hosts: &[], documents: &[] };
}

/// Source of client metadata documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMetadataMode {
    /// Documents are fetched; a compiled one is used while its site cannot be reached.
    Fetch,
    /// Only compiled documents are used, without a fetch.
    Pinned,
    /// No documents are used, and support is not advertised, so that every client registers.
    Off,
}

/// Compiled client metadata document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientDocument {
    /// URL of the document.
    pub client_id: &'static str,
    /// The document as published.
    pub json: &'static str,
}

/// Proxy of outgoing requests, which CONNECT to it (RFC 9110 §9.3.6). MCP servers and Redis are never behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EgressProxySite {
    /// Uses a proxy: that of `url`, else that of `HTTPS_PROXY`, if it is set.
    pub enabled: bool,
    /// Origin of the proxy, with scheme http or https.
    pub url: Option<&'static str>,
    /// User at the proxy.
    pub username: Option<ValuePart>,
    /// Name of the environment variable that holds the user's password.
    pub password: Option<&'static str>,
    /// Hosts and networks that are connected to directly; `None` for those of `NO_PROXY`.
    pub no_proxy: Option<&'static [&'static str]>,
    /// Fetches client documents through the proxy, too.
    pub client_metadata: bool,
}

impl EgressProxySite {
    /// Default: the proxy of `HTTPS_PROXY`, if it is set, for Okta alone.
    pub const DEFAULT: Self = Self {
        enabled: true,
        url: None,
        username: None,
        password: None,
        no_proxy: None,
        client_metadata: false,
    };
}

/// Reaction to the reuse of a refresh token (RFC 9700 §4.14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshReuse {
    /// Revokes the grant, because an attacker or the victim holds the newer token.
    Revoke,
    /// Only refuses the request.
    Refuse,
}

/// Policy of dynamic client registration (RFC 7591).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// Allows new registrations. Existing ones stay valid.
    pub enabled: bool,
    /// Allowed hosts of https redirect URIs; empty allows all.
    pub redirect_hosts: &'static [&'static str],
    /// Allows programs on the user's computer, with redirect URIs on loopback or of a private-use scheme.
    pub local_clients: bool,
    /// Prefixes of client ids whose registrations are no longer valid.
    pub denied: &'static [&'static str],
    /// Registrations before this time are no longer valid.
    pub not_before: Option<UtcDateTime>,
}

impl Registration {
    /// Default policy: every client may register, as MCP clients expect.
    pub const DEFAULT: Self =
        Self { enabled: true, redirect_hosts: &[], local_clients: true, denied: &[], not_before: None };
}

/// Connections at a time, and requests a minute. Each limit but the first counts one address, an IPv6 one by its first
/// 64 bits; a whole /56 may make four times as many requests, a whole /48 sixteen times. The limits of a client count
/// one client at one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Concurrent client connections in total.
    pub connections: u32,
    /// Concurrent client connections, and concurrent requests, of one address.
    pub connections_per_address: u32,
    /// Registrations of clients.
    pub registrations: u32,
    /// Authorization requests.
    pub authorizations: u32,
    /// Authorization requests of one client.
    pub client_authorizations: u32,
    /// Consent form submissions, each of which may store a login for ten minutes.
    pub consents: u32,
    /// Login callbacks from Okta.
    pub logins: u32,
    /// Token requests without a valid code or refresh token; revocations have a separate limit of the same value.
    pub tokens: u32,
    /// The same of one client.
    pub client_tokens: u32,
    /// Token requests of one grant, from all addresses together.
    pub grant_tokens: u32,
    /// Fetches of client metadata documents and key sets.
    pub metadata_fetches: u32,
    /// Fetches for one client.
    pub client_metadata_fetches: u32,
}

impl Limits {
    /// Default limits, high enough for offices and hosted clients that send the requests of many users from few
    /// addresses.
    pub const DEFAULT: Self = Self {
        connections: 9_000,
        connections_per_address: 2_250,
        registrations: 300,
        authorizations: 1_200,
        client_authorizations: 600,
        consents: 300,
        logins: 600,
        tokens: 3_000,
        client_tokens: 1_200,
        grant_tokens: 120,
        metadata_fetches: 120,
        client_metadata_fetches: 20,
    };
}

/// Times of a graceful shutdown, both from SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// Time in which connections are still accepted while `/readyz` responds with 503, so that load balancers notice it.
    pub delay: Duration,
    /// Time after which open connections are closed. Longer than `delay`.
    pub timeout: Duration,
}

impl Shutdown {
    /// Default times, which fit into the 30 seconds that Kubernetes allows.
    pub const DEFAULT: Self = Self { delay: Duration::from_secs(5), timeout: Duration::from_secs(25) };
}

/// Lifetimes of issued tokens and codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// Lifetime of an access token. Default 10 minutes.
    pub access_ttl: Duration,
    /// Lifetime of a refresh token since its last use. Default 30 days.
    pub refresh_ttl: Duration,
    /// Lifetime of an authorization code. Default 60 seconds.
    pub code_ttl: Duration,
}
