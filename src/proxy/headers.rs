//! Which headers go through, which do not, and which are ours.

use gateway_routes::Route;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALT_SVC,
    AUTHORIZATION, CONNECTION, COOKIE, Entry, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::net::IpAddr;

/// What a server behind us learns of the user, by `X-Forwarded-User`, `-Email` and `-Groups`.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Okta's `sub`.
    pub user: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// Okta groups; a comma inside a name is percent-encoded, the list is joined with commas.
    pub groups: Vec<String>,
}

/// Hop-by-hop (RFC 9110 §7.6.1), whatever `Connection` says.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
/// What servers and frameworks believe about who is asking, or from where. Compared with every other sign read as
/// `-`: CGI-like servers make `_` of all of them and cannot tell which it was.
const IDENTITY_PREFIXES: [&str; 18] = [
    "x-forwarded",
    "x-gateway-",
    "x-original-",
    "x-auth-request-",
    "x-remote-",
    "x-authenticated-",
    "x-envoy-",
    "x-amzn-oidc-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-webauth-",
    "x-pomerium-",
    "x-ssl-client",
    "x-client-cert",
    "cf-access-",
    "tailscale-",
];
const IDENTITY_NAMES: [&str; 18] = [
    "x-real-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "remote-user",
    "x-user",
    "x-email",
    "x-groups",
    "x-username",
    "x-user-id",
    "x-user-name",
    "x-user-email",
    "x-user-groups",
    "x-user-roles",
    "x-api-user",
    "ssl-client-cert",
    "ssl-client-s-dn",
];
const SENSITIVE_ANSWERS: [HeaderName; 11] = [
    SET_COOKIE,
    WWW_AUTHENTICATE,
    STRICT_TRANSPORT_SECURITY,
    ALT_SVC,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("clear-site-data"),
];
/// What a header value cannot hold as it is, and the separator of lists.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b',');

/// Whether a header of the MCP protocol stands twice, or has a look-alike: two parsers might each read another one.
pub fn repeats_mcp_header(headers: &HeaderMap) -> bool {
    let ours = |name: &&HeaderName| name.as_str().starts_with("mcp");
    headers.keys().filter(ours).any(|name| {
        let is_look_alike = !is_dashed(name.as_str()) && dashed_form(name.as_str()).starts_with("mcp-");
        is_look_alike || name.as_str().starts_with("mcp-") && headers.get_all(name).iter().nth(1).is_some()
    })
}

/// Makes the headers of a request those that the server may see.
pub fn toward_server(
    headers: &mut HeaderMap,
    route: &Route,
    identity: Option<&Identity>,
    (address, base_url): (IpAddr, &str),
) {
    remove_hop_by_hop(headers);
    headers.remove(AUTHORIZATION);
    headers.remove(COOKIE);
    headers.remove(FORWARDED);
    // Nearly every request has none of these: look first, collect only when there is something.
    if headers.keys().any(claims_identity) {
        let claims: Vec<HeaderName> = headers.keys().filter(|name| claims_identity(name)).cloned().collect();
        for name in &claims {
            headers.remove(name);
        }
    }
    let (scheme, host) = base_url.split_once("://").unwrap_or(("http", base_url));
    insert(headers, HOST, route.target.authority);
    insert(headers, HeaderName::from_static("x-forwarded-for"), &address.to_canonical().to_string());
    insert(headers, HeaderName::from_static("x-forwarded-proto"), scheme);
    insert(headers, HeaderName::from_static("x-forwarded-host"), host);
    if let Some(identity) = identity {
        let groups: Vec<String> = identity.groups.iter().map(|group| encoded(group)).collect();
        insert(headers, HeaderName::from_static("x-forwarded-user"), &encoded(&identity.user));
        insert(headers, HeaderName::from_static("x-forwarded-groups"), &groups.join(","));
        if let Some(email) = &identity.email {
            insert(headers, HeaderName::from_static("x-forwarded-email"), &encoded(email));
        }
    }
}

/// Makes the headers of an answer those that the client may see.
pub(super) fn toward_client(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    for name in &SENSITIVE_ANSWERS {
        headers.remove(name);
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if let Entry::Occupied(connection) = headers.entry(CONNECTION) {
        let (_, values) = connection.remove_entry_mult();
        let named: Vec<HeaderName> = values
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .flat_map(|value| {
                value.split(',').filter_map(|name| name.trim().parse().ok()).collect::<Vec<_>>()
            })
            .collect();
        for name in &named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

fn claims_identity(name: &HeaderName) -> bool {
    let name = name.as_str();
    let dashed;
    let name = if is_dashed(name) {
        name
    } else {
        dashed = dashed_form(name);
        &dashed
    };
    IDENTITY_NAMES.contains(&name)
        || name == "forwarded"
        || name == "authorization"
        || name == "cookie"
        || IDENTITY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_dashed(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn dashed_form(name: &str) -> String {
    name.replace(|sign: char| !sign.is_ascii_alphanumeric(), "-")
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
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
    fn every_look_alike_of_an_identity_header_is_known() {
        for name in [
            "x-forwarded-user",
            "x_forwarded_groups",
            "x.forwarded~user",
            "x-real-ip",
            "x-original-url",
            "remote_user",
            "x-gateway-assertion",
        ] {
            assert!(claims_identity(&name.parse().unwrap()), "{name}");
        }
        for name in ["mcp-session-id", "x-request-id", "traceparent", "x-custom", "user-agent"] {
            assert!(!claims_identity(&name.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn a_name_cannot_add_a_group_or_a_header() {
        assert_eq!(encoded("A,Admins\r\nX: 1"), "A%2CAdmins%0D%0AX: 1");
    }
}
