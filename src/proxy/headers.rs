//! Header filtering between clients and MCP servers, and the forwarding and identity headers that the gateway adds.

use super::removed_headers::{REMOVED_FROM_REQUESTS, REMOVED_FROM_RESPONSES};
use super::single_valued::{self, ConflictingHeader};
use crate::base::group_list;
use gateway_routes::Route;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::IpAddr;

/// Identity headers of a user: `X-Forwarded-User`, `-Email` and `-Groups`. Built once per grant.
#[derive(Debug, Clone)]
pub struct Identity {
    user: HeaderValue,
    email: Option<HeaderValue>,
    groups: HeaderValue,
}

/// Headers of the gateway's public URL: `X-Forwarded-Proto` and `-Host`. Built once per gateway.
#[derive(Debug, Clone)]
pub struct PublicOrigin {
    proto: HeaderValue,
    host: HeaderValue,
}

/// Headers that the gateway adds to a forwarded request; `X-Forwarded-Prefix` is the route.
pub struct ForwardedHeaders<'a> {
    /// Route of the request; its target becomes `Host`.
    pub route: &'a Route,
    /// Identity of the user, if the route forwards it.
    pub identity: Option<&'a Identity>,
    /// Client address, as [`address_value`] formats it.
    pub forwarded_for: &'a HeaderValue,
    /// Public URL of the gateway.
    pub public_origin: &'a PublicOrigin,
    /// Serialized `upstream_headers` of the route.
    pub upstream_headers: &'a str,
}

impl Identity {
    /// Builds the headers from Okta's `sub`, the e-mail address and the Okta groups. Groups are joined with commas;
    /// a comma inside a name is percent-encoded. Groups that do not fit into the header are left out.
    pub fn new(user: &str, email: Option<&str>, groups: &[String]) -> Self {
        Self {
            user: value(encoded(user)),
            email: email.map(|email| value(encoded(email))),
            groups: value(group_list::join(groups)),
        }
    }
}

impl PublicOrigin {
    /// Builds the headers from the gateway's origin, such as `https://mcp.example.com`.
    pub fn new(base_url: &str) -> Self {
        let (scheme, host) = base_url.split_once("://").unwrap_or(("http", base_url));
        Self { proto: value(scheme.to_owned()), host: value(host.to_owned()) }
    }
}

/// Formats an address as the value of `X-Forwarded-For`.
pub fn address_value(address: IpAddr) -> HeaderValue {
    value(address.to_canonical().to_string())
}

/// Serializes the header fields of a forwarded request: those of the client that are not removed, and the gateway's.
pub fn toward_server(headers: &HeaderMap, forwarded: &ForwardedHeaders<'_>, out: &mut Vec<u8>) {
    field(out, HOST.as_str(), forwarded.route.target.authority.as_bytes());
    let named = if headers.contains_key(CONNECTION) { named_by_connection(headers) } else { Vec::new() };
    let replaced = forwarded.route.upstream_headers;
    let (mut previous, mut accepts_events) = (None, None);
    for (name, value) in headers {
        if single_valued::is_copy(name, previous.replace(name))
            || replaced.iter().any(|header| header.is_read_from(name.as_str()))
        {
            continue;
        }
        if *name == ACCEPT {
            accepts_events = Some(accepts_events == Some(true) || accepts_event_stream(value));
        }
        if *name != ACCEPT_ENCODING && !REMOVED_FROM_REQUESTS.contains(name.as_str()) && !named.contains(name)
        {
            field(out, name.as_str(), single_valued::value(name, value));
        }
    }
    if accepts_events.unwrap_or(true) {
        // Events with a content coding could be neither rewritten nor kept alive.
        field(out, ACCEPT_ENCODING.as_str(), b"identity");
    } else {
        let codings = headers.get_all(ACCEPT_ENCODING).iter();
        codings.for_each(|value| field(out, ACCEPT_ENCODING.as_str(), value.as_bytes()));
    }
    let mut add = |name, value: &HeaderValue| field(out, name, value.as_bytes());
    add("x-forwarded-for", forwarded.forwarded_for);
    add("x-forwarded-proto", &forwarded.public_origin.proto);
    add("x-forwarded-host", &forwarded.public_origin.host);
    field(out, "x-forwarded-prefix", forwarded.route.path().as_bytes());
    let mut add = |name, value: &HeaderValue| field(out, name, value.as_bytes());
    if let Some(identity) = forwarded.identity {
        add("x-forwarded-user", &identity.user);
        add("x-forwarded-groups", &identity.groups);
        if let Some(email) = &identity.email {
            add("x-forwarded-email", email);
        }
    }
    out.extend_from_slice(forwarded.upstream_headers.as_bytes());
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Removes the header fields of a response that its client must not see, and equal copies of single-valued ones.
///
/// # Errors
/// A single-valued header has different values.
pub fn toward_client(headers: &mut HeaderMap) -> Result<(), ConflictingHeader> {
    single_valued::fold(headers)?;
    if headers.contains_key(CONNECTION) {
        for name in &named_by_connection(headers) {
            headers.remove(name);
        }
    }
    let is_removed = |name: &&HeaderName| REMOVED_FROM_RESPONSES.contains(name.as_str());
    // Most responses have none of them, and then nothing is allocated.
    if headers.keys().any(|name| is_removed(&name)) {
        let found: Vec<HeaderName> = headers.keys().filter(is_removed).cloned().collect();
        for name in &found {
            headers.remove(name);
        }
    }
    Ok(())
}

/// Returns `true` if the media ranges include event streams (RFC 9110 §12.5.1). Weights are ignored.
fn accepts_event_stream(accept: &HeaderValue) -> bool {
    let ranges = accept.as_bytes().split(|byte| *byte == b',');
    let types = ranges.map(|range| range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii());
    let includes = |media_type: &[u8]| {
        let ranges = [&b"text/event-stream"[..], b"*/*", b"text/*"];
        ranges.iter().any(|range| range.eq_ignore_ascii_case(media_type))
    };
    types.into_iter().any(includes)
}

/// Parses the names that `Connection` lists (RFC 9110 §7.6.1).
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

fn encoded(text: &str) -> String {
    group_list::encode(text)
}

/// Converts encoded text, in which every character is allowed, to a header value.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_name_cannot_inject_a_group_or_a_header() {
        assert_eq!(encoded("A,Admins\r\nX: 1"), "A%2CAdmins%0D%0AX: 1");
    }

    #[test]
    fn headers_that_connection_lists_are_removed() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("close, X-Private"));
        headers.append(CONNECTION, HeaderValue::from_static("te"));
        for name in ["x-private", "te", "accept"] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        toward_client(&mut headers).unwrap();
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
    }
}
