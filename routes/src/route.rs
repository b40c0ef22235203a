//! Routes to protected MCP servers.

use crate::UpstreamHeader;
use std::time::Duration;

/// Protected MCP server: an entry of `proxies:` or a file of `routes/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Path prefix of the route; starts and ends with a slash.
    pub pattern: &'static str,
    /// Upstream server.
    pub target: Target,
    /// Absolute path of a PEM file with the certificate authorities of the target, instead of the public ones; `None`
    /// without TLS. It is read at startup.
    pub ca_file: Option<&'static str>,
    /// Display name.
    pub name: &'static str,
    /// Description, one sentence; may be empty.
    pub description: &'static str,
    /// Scopes that every request requires (RFC 6749 §3.3); never empty.
    pub scopes: &'static [&'static str],
    /// Okta groups that may use the route; empty allows every user who can sign in.
    pub groups: &'static [&'static str],
    /// Identity headers of forwarded requests.
    pub identity: Identity,
    /// Headers with credentials for the target, at most 16, with different names.
    pub upstream_headers: &'static [UpstreamHeader],
    /// Longest forwarded request body, in bytes.
    pub max_body: u64,
    /// Timeout of connecting to the target.
    pub connect_timeout: Duration,
    /// Timeout of the head of the response, from the end of the request body; a stream may then stay open for hours.
    pub response_timeout: Duration,
    /// Timeout of a pause of the target within the body of a response; event streams may be silent for hours.
    pub response_idle_timeout: Duration,
}

/// Parsed `target_url`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Uses TLS.
    pub tls: bool,
    /// Host name or IP address, without brackets around IPv6.
    pub host: &'static str,
    /// TCP port.
    pub port: u16,
    /// `Host` header of forwarded requests; includes the port unless it is the default of the scheme.
    pub authority: &'static str,
    /// Path without its trailing slash; may be empty.
    pub path: &'static str,
    /// The path of the `target_url` ends with a slash; applies to requests for the pattern without its trailing slash.
    pub trailing_slash: bool,
}

/// Identity of the user in forwarded requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// No identity headers.
    None,
    /// `X-Forwarded-User`, `X-Forwarded-Email` and `X-Forwarded-Groups`.
    Headers,
}

impl Route {
    /// Pattern without the trailing slash; `base_url` and this path form the resource identifier (RFC 8707).
    pub const fn path(&self) -> &'static str {
        match self.pattern.split_at_checked(self.pattern.len() - 1) {
            Some((path, _)) => path,
            None => self.pattern,
        }
    }
}
