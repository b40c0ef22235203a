//! What one environment is.

use crate::{Network, Table, UtcDateTime};
use std::time::Duration;

/// One compiled configuration. A value that the file pins is `Some`; the environment fills in the rest.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// A label for people and logs.
    pub environment: &'static str,
    /// The gateway's own origin, also its issuer: no path, no trailing slash.
    pub base_url: Option<&'static str>,
    /// The port to listen on.
    pub port: Option<u16>,
    /// The Okta app.
    pub okta: OktaSite,
    /// How long what we issue lives.
    pub tokens: Tokens,
    /// Browser origins that may call MCP endpoints, beside the gateway's own and loopback ones.
    pub allowed_origins: &'static [&'static str],
    /// Private-use redirect schemes beside the built-in ones, in lower case.
    pub redirect_schemes: &'static [&'static str],
    /// Hosts that an error may be redirected to before consent (RFC 9700 §4.11).
    pub trusted_redirect_hosts: &'static [&'static str],
    /// The only hosts that clients may publish what they are at; empty for any.
    pub client_metadata_hosts: &'static [&'static str],
    /// Whether `iss` is advertised and sent (RFC 9207).
    pub advertise_iss: bool,
    /// What the use of an older refresh token does.
    pub refresh_reuse: RefreshReuse,
    /// How long after Okta last let the user in a refresh goes on while Okta does not answer.
    pub okta_grace: Duration,
    /// Who may register itself, and whose registration still counts.
    pub registration: Registration,
    /// Proxies in front of the gateway, which are believed about who asks (`X-Forwarded-For`).
    pub trusted_proxies: &'static [Network],
    /// How often who may ask for what.
    pub limits: Limits,
    /// The routes.
    pub table: Table,
    /// SHA-256 of the compiled files, in lower-case hex.
    pub digest: &'static str,
}

/// How the gateway is known at Okta.
#[derive(Debug, Clone, Copy)]
pub struct OktaSite {
    /// The org's URL, or an issuer when it has a path.
    pub url: Option<&'static str>,
    /// Which authorization server; not used when `url` has a path.
    pub authorization_server: AuthorizationServer,
    /// The app's client id.
    pub client_id: Option<&'static str>,
    /// Where Okta sends the browser back; default `base_url` + `/auth/callback`.
    pub redirect_uri: Option<&'static str>,
    /// The ID token claim that lists the user's groups.
    pub groups_claim: &'static str,
    /// Whether an e-mail address counts without `email_verified` too.
    pub trust_email: bool,
}

/// Okta's authorization servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizationServer {
    /// The org's own; its issuer is the org URL.
    Org,
    /// `/oauth2/default` or `/oauth2/<id>`.
    Custom(&'static str),
}

/// What the use of a refresh token does that was used or skipped before (RFC 9700 §4.14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshReuse {
    /// Ends the grant: either a thief or the victim holds the newer one.
    Revoke,
    /// Is refused, and nothing else.
    Refuse,
}

/// Who may register itself (RFC 7591), and whose registration still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// Whether clients may register themselves. Those that have done so go on.
    pub enabled: bool,
    /// The only hosts that an https redirect URI of theirs may name; empty for any.
    pub redirect_hosts: &'static [&'static str],
    /// Whether programs on people's own computers may: those with redirect URIs on loopback or of a private scheme.
    pub local_clients: bool,
    /// Registrations that do not count any more, by the beginning of their client ids.
    pub denied: &'static [&'static str],
    /// Registrations from before that do not count any more.
    pub not_before: Option<UtcDateTime>,
}

impl Registration {
    /// Everyone, as MCP clients expect.
    pub const DEFAULT: Self =
        Self { enabled: true, redirect_hosts: &[], local_clients: true, denied: &[], not_before: None };
}

/// Connections at a time, and requests a minute. Each limit but the first counts one address, an IPv6 one by its first
/// 64 bits; a whole /56 may make four times as many requests, a whole /48 sixteen times. The limits of a client count one
/// client at one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at a time, of all addresses together.
    pub connections: u32,
    /// Client connections and concurrent requests of one address.
    pub connections_per_address: u32,
    /// Registrations of clients.
    pub registrations: u32,
    /// Authorization requests.
    pub authorizations: u32,
    /// The same, of one client.
    pub client_authorizations: u32,
    /// Answers to consent pages, each of which may store a login for ten minutes.
    pub consents: u32,
    /// Logins that come back from Okta.
    pub logins: u32,
    /// Token requests; revocations are counted apart, up to as many.
    pub tokens: u32,
    /// The same, of one client.
    pub client_tokens: u32,
    /// Fetches of what clients publish.
    pub metadata_fetches: u32,
    /// The same, of one client.
    pub client_metadata_fetches: u32,
}

impl Limits {
    /// Generous for offices and for hosted clients, which send the requests of many people from a few addresses.
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
        metadata_fetches: 120,
        client_metadata_fetches: 20,
    };
}

/// Lifetimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// Of an access token. Default 10 minutes.
    pub access_ttl: Duration,
    /// Of a refresh token, from its last use. Default 30 days.
    pub refresh_ttl: Duration,
    /// Of an authorization code. Default 60 seconds.
    pub code_ttl: Duration,
}
