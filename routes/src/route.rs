//! One protected MCP server.

use std::time::Duration;

/// One protected MCP server: an entry of `proxies:` or one file of `routes/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The path prefix that belongs to this route; starts and ends with a slash.
    pub pattern: &'static str,
    /// Where its requests go.
    pub target: Target,
    /// The absolute path of a PEM file whose certificate authorities count for the target instead of the web's; none
    /// where there is no TLS. Read when the gateway starts.
    pub ca_file: Option<&'static str>,
    /// What people see.
    pub name: &'static str,
    /// One sentence for people; empty when the file has none.
    pub description: &'static str,
    /// The scopes that every call needs, RFC 6749 §3.3 tokens, never empty.
    pub scopes: &'static [&'static str],
    /// The Okta groups that may use the route; empty means everyone who can sign in.
    pub groups: &'static [&'static str],
    /// What the backend learns of the user.
    pub identity: Identity,
    /// The longest request body that is forwarded, in bytes.
    pub max_body: u64,
    /// How long a connection to the target may take.
    pub connect_timeout: Duration,
    /// How long the first byte of the response may take; a stream may then live for hours.
    pub response_timeout: Duration,
}

/// The parts of a `target_url`, taken apart once, at build time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// TLS to the target.
    pub tls: bool,
    /// Host name or address to connect to, without brackets around IPv6.
    pub host: &'static str,
    /// TCP port.
    pub port: u16,
    /// The `Host` header of forwarded requests (the port only where it is not the scheme's own).
    pub authority: &'static str,
    /// The path as written, without its trailing slash; empty when there is none.
    pub path: &'static str,
    /// Whether the `target_url` as written ends with a slash after its path: what the bare route maps to.
    pub trailing_slash: bool,
}

/// What the backend learns of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Nothing.
    None,
    /// `X-Forwarded-User`, `X-Forwarded-Email` and `X-Forwarded-Groups`.
    Headers,
}

impl Route {
    /// The route's path without the trailing slash; `base_url` + this is its resource (RFC 8707).
    pub const fn path(&self) -> &'static str {
        match self.pattern.split_at_checked(self.pattern.len() - 1) {
            Some((path, _)) => path,
            None => self.pattern,
        }
    }
}
