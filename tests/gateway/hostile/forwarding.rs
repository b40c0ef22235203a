//! Requests and responses that the proxy forwards, and client addresses.

use super::go_program_site::SITE;
use super::{Target, text};
use gateway::app::client_address::address_of;
use gateway::app::cookies::{Cookie, Kind};
use gateway::proxy::{
    self, ForwardedHeaders, PublicOrigin, is_normal, rewritten, target, toward_client, toward_server,
};
use gateway_routes::{Network, Route};
use http::header::COOKIE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use url::Url;

pub(super) const BASE_URL: &str = "https://mcp.example.com";
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// First route of the site, with a server below a path.
pub(super) fn route() -> Route {
    let route = SITE.table.routes()[0];
    let place = gateway_routes::Target { host: "h", port: 80, authority: "h", path: "/api", ..route.target };
    Route { target: place, ..route }
}

/// A forwarded target stays below the server's path in every URL parser.
pub(super) const SERVER_TARGET: Target = Target {
    name: "server_target",
    run: server_target,
    seeds: &["/mcp/dice/mcp?a=b", "/mcp/dice", "/mcp/dice/a/..;/b?c=%2e", "/mcp/dice/%2e%2e%2f?/../x"],
};

fn server_target(input: &[u8]) {
    let Some(Ok(requested)) = text(input).map(PathAndQuery::try_from) else { return };
    let route = route();
    let Some(found) = SITE.table.find(requested.path()) else { return };
    let Some(target) = target(&route, found.rest, &requested) else { return };
    assert!(is_normal(requested.path()), "{requested}");
    let read = Url::parse("http://h").expect("a URL").join(&target).expect("a path");
    assert_eq!(read.host_str(), Some("h"), "{target}");
    assert!(read.path() == "/api" || read.path().starts_with("/api/"), "{target} is parsed as {read}");
    assert_eq!(read.query(), requested.query().map(|query| read.query().unwrap_or(query)));
}

/// A forwarded redirect stays within its route. The first line is the requested target.
pub(super) const LOCATION: Target = Target {
    name: "location",
    run: location,
    seeds: &[
        "/api/mcp\n/api/other?a=b",
        "/api/\nhttp://h/api/x",
        "/api/a/b\n../../x",
        "/api/\n//evil.example.com/api/",
        "/api/\nhttps://h/api/x",
        "/api/\nhttps://mcp.example.com/mcp/dice/x",
    ],
};

fn location(input: &[u8]) {
    let Some((requested, location)) = text(input).and_then(|input| input.split_once('\n')) else { return };
    let Ok(requested) = requested.parse::<PathAndQuery>() else { return };
    let route = route();
    let Some(passed) = rewritten(location.as_bytes(), requested.as_str(), &route, BASE_URL) else { return };
    let url = Url::parse(passed.to_str().expect("text")).expect("a URL");
    assert_eq!(url.origin().ascii_serialization(), BASE_URL, "{passed:?}");
    assert!(url.path().starts_with(route.pattern), "{passed:?}");
}

/// No identity header of a client is forwarded in any spelling, and no protocol header twice. One header per line.
pub(super) const HEADERS: Target = Target {
    name: "headers",
    run: headers,
    seeds: &[
        "x-forwarded-user:admin\nX_Forwarded_User:admin\naccept:*/*",
        "connection:x-forwarded-for, host\nx-forwarded-for:1.1.1.1\nx-real-ip:1.1.1.1",
        "mcp-protocol-version:2025-06-18\nMCP-Protocol-Version:2025-06-18\nmcp-session-id:a, a",
        "origin:https://evil.example.com\ncookie:a=b\nauthorization:Bearer x\nforwarded:for=1.1.1.1\nte:trailers\nhost:evil",
    ],
};

fn headers(input: &[u8]) {
    let headers = header_map(input);
    let mut written = Vec::new();
    let (forwarded_for, public_origin) = (&proxy::address_value(PROXY), &PublicOrigin::new(BASE_URL));
    let forwarded = ForwardedHeaders {
        route: &route(),
        identity: None,
        forwarded_for,
        public_origin,
        upstream_headers: "",
    };
    toward_server(&headers, &forwarded, &mut written);
    let seen = fields(&written);
    for (name, _) in seen.iter().filter(|(name, _)| is_single_valued(name)) {
        assert_eq!(seen.iter().filter(|(other, _)| other == name).count(), 1, "{name}");
    }
    let ours = ["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix"];
    for (name, _) in seen.iter().filter(|(name, _)| !ours.contains(name)) {
        let plain = name.replace('_', "-");
        let forwarded = [
            "authorization",
            "connection",
            "content-length",
            "cookie",
            "forwarded",
            "origin",
            "te",
            "transfer-encoding",
            "upgrade",
            "x-real-ip",
        ];
        assert!(!plain.starts_with("x-forwarded") && !forwarded.contains(&&*plain), "{name}");
    }
    let base_host = BASE_URL.trim_start_matches("https://");
    for (name, value) in ours.into_iter().zip(["h", "10.0.0.1", "https", base_host, route().path()]) {
        let values = seen.iter().filter(|(seen, _)| *seen == name).map(|(_, value)| *value);
        assert!(values.eq([value.as_bytes()]), "{name}");
    }
}

/// Headers of the input, one per line.
fn header_map(input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&line[colon + 1..])) {
            headers.append(name, value);
        }
    }
    headers
}

fn is_single_valued(name: &str) -> bool {
    name.starts_with("mcp-") || ["content-type", "last-event-id"].contains(&name)
}

/// No response header reaches the client that would affect the gateway's origin or the client's connection and
/// credentials, in any spelling, and no protocol header twice. One header per line.
pub(super) const RESPONSE_HEADERS: Target = Target {
    name: "response_headers",
    run: response_headers,
    seeds: &[
        "mcp-session-id:a\nMcp-Session-Id:a\nset-cookie:a=b\nretry-after:1",
        "mcp-protocol-version:1, 1\nconnection:close, mcp-protocol-version\nwww_authenticate:Bearer",
        "content-type:text/event-stream\ncontent-type:application/json\naccess-control-allow-origin:*",
    ],
};

fn response_headers(input: &[u8]) {
    let mut headers = header_map(input);
    let sent = headers.clone();
    if toward_client(&mut headers).is_err() {
        let is_copied = |name: &HeaderName| sent.get_all(name).iter().any(|value| value != sent[name]);
        let has_list = |name: &HeaderName| sent[name].as_bytes().contains(&b',');
        assert!(
            sent.keys().any(|name| is_single_valued(name.as_str()) && (is_copied(name) || has_list(name)))
        );
        return;
    }
    for name in headers.keys() {
        assert!(!is_single_valued(name.as_str()) || headers.get_all(name).iter().count() == 1, "{name}");
        let plain = name.as_str().replace('_', "-");
        let removed = [
            "alt-svc",
            "clear-site-data",
            "connection",
            "keep-alive",
            "proxy-authenticate",
            "set-cookie",
            "strict-transport-security",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "www-authenticate",
        ];
        assert!(!plain.starts_with("access-control-") && !removed.contains(&&*plain), "{name}");
    }
}

/// Header fields of a message, split at line ends.
fn fields(written: &[u8]) -> Vec<(&str, &[u8])> {
    written
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| {
            let line = line.strip_suffix(b"\r\n").expect("a whole line");
            let colon = line.iter().position(|byte| *byte == b':').expect("a field");
            let name = std::str::from_utf8(&line[..colon]).expect("a name");
            (name, line[colon + 1..].strip_prefix(b" ").expect("a space"))
        })
        .collect()
}

/// The client address is the peer's, unless a trusted proxy reports another one; a proxy is only trusted for its own
/// peer.
pub(super) const FORWARDED_FOR: Target = Target {
    name: "address_value",
    run: address_value,
    seeds: &[
        "203.0.113.9, 10.0.0.2",
        "unknown\n[2001:db8::1]:443",
        "::ffff:10.0.0.1,,1.1.1.1:99999",
        "10.0.0.1",
    ],
};

fn address_value(input: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append("x-forwarded-for", line);
    }
    let trusted = [Network::v4([10, 0, 0, 0], 8)];
    let untrusted = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!(address_of(untrusted, &headers, &trusted), untrusted);
    let address = address_of(PROXY, &headers, &trusted);
    assert_eq!(address, address.to_canonical());
    headers.append("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
    assert_eq!(address_of(PROXY, &headers, &trusted).to_string(), "203.0.113.9");
}

/// A cookie's value is one complete pair of the header.
pub(super) const COOKIES: Target = Target {
    name: "cookies",
    run: cookies,
    seeds: &["__Host-mcp-login-AbC=x; a=b", "a; __Host-mcp-login-AbC=; ;=;", "__Host-mcp-login-AbC=\"x\""],
};

fn cookies(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let headers: HeaderMap = [(COOKIE, value)].into_iter().collect();
    let cookie = Cookie::new(Kind::Login, "AbC", true);
    let Some(value) = cookie.read(&headers) else { return };
    assert!(!value.contains(';'), "{value}");
    assert!(HeaderValue::from_str(&cookie.set(value, Duration::from_secs(1))).is_ok());
}
