//! Headers with credentials that an MCP server requires of the gateway.

use crate::trusted_headers::{IDENTITY, IDENTITY_PREFIXES, ORIGIN, ORIGIN_PREFIXES, OVERRIDES};

/// Header of `upstream_headers:`. It replaces the client's header of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamHeader {
    /// Header name as in YAML.
    pub name: &'static str,
    /// Parts of the value, in order; never empty.
    pub value: &'static [ValuePart],
}

/// Part of a header value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValuePart {
    /// Literal text.
    Text(&'static str),
    /// Name of the environment variable that holds the text; it is read at startup.
    Variable(&'static str),
}

impl UpstreamHeader {
    /// Returns the names of the variables in the value.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        self.value.iter().filter_map(|part| match part {
            ValuePart::Text(_) => None,
            ValuePart::Variable(name) => Some(*name),
        })
    }

    /// Returns `true` if a server could take a header of this name for this one. CGI-like servers convert every special
    /// character to `_`.
    pub fn is_read_from(&self, name: &str) -> bool {
        self.name.len() == name.len()
            && self.name.bytes().zip(name.bytes()).all(|(ours, theirs)| {
                ours.eq_ignore_ascii_case(&theirs)
                    || !(ours.is_ascii_alphanumeric() || theirs.is_ascii_alphanumeric())
            })
    }
}

/// Reason to refuse a header name in `upstream_headers:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservedHeader {
    /// The gateway frames, routes and negotiates each request itself.
    Transport,
    /// The MCP protocol defines the header for each request.
    Mcp,
    /// Servers trust it because a proxy sets it for each request: the user's identity, the client address, the URL.
    Forwarding,
}

/// Headers of the connection, of the framing and of the content of a request.
const TRANSPORT: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Prefixes of such names, among them all headers of the content.
const TRANSPORT_PREFIXES: &[&str] = &["content-", "if-", "proxy-"];
/// Headers of the MCP protocol that a CGI-like server would also read from a look-alike, such as `MCP_Session_Id`.
const MCP: &[&str] = &["mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id"];

/// Returns the reason that `upstream_headers:` must not set a header, in any spelling of its name.
pub fn reserved_header(name: &str) -> Option<ReservedHeader> {
    let lower = name.to_ascii_lowercase();
    let dashed = lower.replace(|character: char| !character.is_ascii_alphanumeric(), "-");
    let is_one_of = |names: &[&[&str]]| names.iter().any(|names| names.contains(&&*dashed));
    let begins = |prefixes: &[&[&str]]| {
        prefixes.iter().any(|prefixes| prefixes.iter().any(|prefix| dashed.starts_with(prefix)))
    };
    if is_one_of(&[TRANSPORT]) || begins(&[TRANSPORT_PREFIXES]) {
        Some(ReservedHeader::Transport)
    } else if lower.starts_with("mcp-") || is_one_of(&[MCP]) || dashed.starts_with("mcp-param-") {
        Some(ReservedHeader::Mcp)
    } else if is_one_of(&[IDENTITY, ORIGIN, OVERRIDES]) || begins(&[IDENTITY_PREFIXES, ORIGIN_PREFIXES]) {
        Some(ReservedHeader::Forwarding)
    } else {
        None
    }
}

/// Variables of the gateway and of its process, which no header may contain.
const RESERVED_VARIABLES: &[&str] = &[
    "BASE_URL",
    "DATA_DIR",
    "HTTPS_PROXY",
    "LOG_FORMAT",
    "NO_PROXY",
    "PORT",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "STORE_FORMAT",
];
/// Prefixes of such names.
const RESERVED_VARIABLE_PREFIXES: &[&str] = &["GATEWAY_", "KVS_", "OAUTH_", "OKTA_", "SSL_CERT_"];

/// Returns `true` for a variable that configures the gateway: its value must not go to an MCP server.
pub fn is_reserved_variable(name: &str) -> bool {
    RESERVED_VARIABLES.contains(&name)
        || RESERVED_VARIABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
