//! Which headers go through, which do not, and which are ours.

use super::names::{KEPT_FROM_CLIENTS, KEPT_FROM_SERVERS, dashed};
use gateway_routes::Route;
use http::header::{CONNECTION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::net::IpAddr;

/// What a header value cannot hold as it is, and the separator of lists.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b',');

/// What a server behind us learns of the user, by `X-Forwarded-User`, `-Email` and `-Groups`: made once for a grant.
#[derive(Debug, Clone)]
pub struct Identity {
    user: HeaderValue,
    email: Option<HeaderValue>,
    groups: HeaderValue,
}

/// What it learns of the way to us, by `X-Forwarded-Proto` and `-Host`: made once for a gateway.
#[derive(Debug, Clone)]
pub struct PublicOrigin {
    proto: HeaderValue,
    host: HeaderValue,
}

/// What a server is told beside what the client sent.
pub struct ForwardedHeaders<'a> {
    /// Where the request goes.
    pub route: &'a Route,
    /// Who asks.
    pub identity: Option<&'a Identity>,
    /// From where, as [`address_value`] puts it.
    pub forwarded_for: &'a HeaderValue,
    /// By which way.
    pub public_origin: &'a PublicOrigin,
}

impl Identity {
    /// Okta's `sub`, the e-mail address, and Okta groups: a comma inside a name is percent-encoded, the list is
    /// joined with commas.
    pub fn new(user: &str, email: Option<&str>, groups: &[String]) -> Self {
        let groups: Vec<String> = groups.iter().map(|group| encoded(group)).collect();
        Self {
            user: value(encoded(user)),
            email: email.map(|email| value(encoded(email))),
            groups: value(groups.join(",")),
        }
    }
}

impl PublicOrigin {
    /// By our own origin, such as `https://mcp.example.com`.
    pub fn new(base_url: &str) -> Self {
        let (scheme, host) = base_url.split_once("://").unwrap_or(("http", base_url));
        Self { proto: value(scheme.to_owned()), host: value(host.to_owned()) }
    }
}

/// An address as the value of `X-Forwarded-For`.
pub fn address_value(address: IpAddr) -> HeaderValue {
    value(address.to_canonical().to_string())
}

/// Whether a header of the MCP protocol stands twice, or has a look-alike: two parsers might each read another one.
pub fn repeats_mcp_header(headers: &HeaderMap) -> bool {
    let ours = |name: &&HeaderName| name.as_str().starts_with("mcp");
    headers.keys().filter(ours).any(|name| {
        let is_look_alike =
            dashed(name.as_str()) != name.as_str() && dashed(name.as_str()).starts_with("mcp-");
        is_look_alike || name.as_str().starts_with("mcp-") && headers.get_all(name).iter().nth(1).is_some()
    })
}

/// Writes the header fields of a request that its server may see, each with its line's end.
pub fn toward_server(headers: &HeaderMap, forwarded: &ForwardedHeaders<'_>, out: &mut Vec<u8>) {
    field(out, HOST.as_str(), forwarded.route.target.authority.as_bytes());
    let named = if headers.contains_key(CONNECTION) { named_by_connection(headers) } else { Vec::new() };
    for (name, value) in headers {
        if !KEPT_FROM_SERVERS.have(name.as_str()) && !named.contains(name) {
            field(out, name.as_str(), value.as_bytes());
        }
    }
    let mut ours = |name, value: &HeaderValue| field(out, name, value.as_bytes());
    ours("x-forwarded-for", forwarded.forwarded_for);
    ours("x-forwarded-proto", &forwarded.public_origin.proto);
    ours("x-forwarded-host", &forwarded.public_origin.host);
    if let Some(identity) = forwarded.identity {
        ours("x-forwarded-user", &identity.user);
        ours("x-forwarded-groups", &identity.groups);
        if let Some(email) = &identity.email {
            ours("x-forwarded-email", email);
        }
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Makes the headers of an answer those that the client may see.
pub(super) fn toward_client(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        for name in &named_by_connection(headers) {
            headers.remove(name);
        }
    }
    let is_unwanted = |name: &&HeaderName| KEPT_FROM_CLIENTS.have(name.as_str());
    // Nearly every answer has none of them: it is looked at once, and they are collected only when there are some.
    if headers.keys().any(|name| is_unwanted(&name)) {
        let found: Vec<HeaderName> = headers.keys().filter(is_unwanted).cloned().collect();
        for name in &found {
            headers.remove(name);
        }
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Of text without signs that no header can hold.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_mcp_header_is_seen() {
        let mut headers = HeaderMap::new();
        headers.append("mcp-method", HeaderValue::from_static("ping"));
        headers.append("accept", HeaderValue::from_static("a"));
        headers.append("accept", HeaderValue::from_static("b"));
        assert!(!repeats_mcp_header(&headers));
        headers.append("Mcp-Method", HeaderValue::from_static("tools/call"));
        assert!(repeats_mcp_header(&headers));
        let mut headers = HeaderMap::new();
        headers.append("mcp_session-id", HeaderValue::from_static("1"));
        assert!(repeats_mcp_header(&headers));
    }

    #[test]
    fn a_name_cannot_add_a_group_or_a_header() {
        assert_eq!(encoded("A,Admins\r\nX: 1"), "A%2CAdmins%0D%0AX: 1");
    }

    #[test]
    fn what_a_connection_header_names_goes_with_it() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("close, X-Private"));
        headers.append(CONNECTION, HeaderValue::from_static("te"));
        for name in ["x-private", "te", "accept"] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        toward_client(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
    }
}
