//! Attacks on HTTP: another Host, request smuggling, forged identity headers.

mod names;

use super::TARGET;
use crate::harness::{World, http};
use names::{IDENTITY_HEADERS, ORDINARY_HEADERS};
use reqwest::header::{HOST, ORIGIN};
use serde_json::json;

async fn token(world: &World) -> String {
    let (_, tokens) = world.sign_in(TARGET, "alice").await;
    world.backend.clear_requests();
    tokens.access_token
}

#[tokio::test]
async fn a_dns_rebinding_page_is_rejected() {
    let world = World::start().await;
    let token = token(&world).await;
    let port = world.base_url.rsplit(':').next().unwrap().to_owned();
    for host in [
        "evil.example.com".to_owned(),
        format!("evil.example.com:{port}"),
        format!("127.0.0.1:{port}"),
        format!("localhost.evil.example.com:{port}"),
        format!("evil.example.com@localhost:{port}"),
        "localhost".to_owned(),
        "localhost:1".to_owned(),
    ] {
        for path in [TARGET, "/", "/auth/authorize", "/.well-known/oauth-authorization-server"] {
            let request = http().get(world.url(path)).header(HOST, &host).bearer_auth(&token);
            let status = request.send().await.unwrap().status();
            assert!(status == 403 || status == 400, "{host} {path}: {status}");
        }
    }
    let from_page =
        http().get(world.url(TARGET)).header(ORIGIN, "http://evil.example.com").bearer_auth(&token);
    assert_eq!(from_page.send().await.unwrap().status(), 403);
    assert!(world.backend.requests().is_empty());
}

#[tokio::test]
async fn a_missing_repeated_or_different_host_is_rejected() {
    let world = World::start().await;
    let token = token(&world).await;
    let rest = format!("Authorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    for head in [
        format!("GET {TARGET} HTTP/1.1\r\n"),
        format!("GET {TARGET} HTTP/1.0\r\n"),
        format!("GET {TARGET} HTTP/1.1\r\nHost: HOST\r\nHost: evil.example.com\r\n"),
        format!("GET {TARGET} HTTP/1.1\r\nHost: evil.example.com\r\nHost: HOST\r\n"),
        format!("GET http://evil.example.com{TARGET} HTTP/1.1\r\nHost: HOST\r\n"),
        format!("GET http://HOST{TARGET} HTTP/1.1\r\nHost: evil.example.com\r\n"),
    ] {
        let response = world.send_raw(&format!("{head}{rest}")).await;
        assert!([400, 403].contains(&response.status), "{head}: {}", response.text);
    }
    assert!(world.backend.requests().is_empty());
}

#[tokio::test]
async fn request_smuggling_is_rejected() {
    let world = World::start().await;
    let token = token(&world).await;
    let head = format!(
        "POST {TARGET} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
    );
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let length = smuggled.len() + 5;
    for framing in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{smuggled}"),
        format!("Content-Length: +0\r\n\r\n{smuggled}"),
        format!("Content-Length: 0, 5\r\n\r\n{smuggled}"),
        format!("Content-Length: 0\n\r\nX: y\r\n\r\n{smuggled}"),
    ] {
        let response = world.send_raw(&format!("{head}{framing}")).await;
        assert!(response.status < 500, "{framing}: {}", response.text);
    }
    for seen in world.backend.requests() {
        assert!(!seen.target.contains("smuggled"), "{}", seen.target);
    }
}

#[tokio::test]
async fn identity_headers_of_a_client_are_removed() {
    let world = World::start().await;
    let token = token(&world).await;
    for &name in IDENTITY_HEADERS {
        let request = http().get(world.url(TARGET)).bearer_auth(&token).header(name, "mallory");
        assert_eq!(request.send().await.unwrap().status(), 200, "{name}");
        let seen = world.backend.last().unwrap();
        let forwarded =
            seen.headers.values().any(|value| value.as_bytes().windows(7).any(|part| part == b"mallory"));
        assert!(!forwarded, "{name} reached the backend: {:?}", seen.headers);
    }
}

#[tokio::test]
async fn ordinary_headers_of_a_client_are_forwarded() {
    let world = World::start().await;
    let token = token(&world).await;
    let request = http().get(world.url(TARGET)).bearer_auth(&token);
    let request = ORDINARY_HEADERS.iter().fold(request, |request, name| request.header(*name, "honest"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let seen = world.backend.last().unwrap();
    for name in ORDINARY_HEADERS {
        assert_eq!(seen.header(name), Some("honest"), "{name}");
    }
}

#[tokio::test]
async fn the_connection_header_cannot_remove_identity_headers() {
    let world = World::start().await;
    let token = token(&world).await;
    let named = "x-forwarded-user, x-forwarded-groups, x-forwarded-for, host, content-length, mcp-session-id";
    let head = format!(
        "GET {TARGET} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {token}\r\nConnection: close, {named}\r\n\r\n"
    );
    assert_eq!(world.send_raw(&head).await.status, 200);
    let seen = world.backend.last().unwrap();
    for name in ["x-forwarded-user", "x-forwarded-groups", "x-forwarded-for", "host"] {
        assert!(seen.headers.contains_key(name), "{name} is missing");
    }
}

#[tokio::test]
async fn unusual_methods_and_targets_get_an_error_response() {
    let world = World::start().await;
    for head in [
        "CONNECT evil.example.com:443 HTTP/1.1\r\nHost: HOST",
        "OPTIONS * HTTP/1.1\r\nHost: HOST",
        "TRACE / HTTP/1.1\r\nHost: HOST",
        "PRI * HTTP/2.0\r\nHost: HOST",
        "GET /mcp/raw/%00 HTTP/1.1\r\nHost: HOST",
        "GET /mcp/raw/%ff%fe HTTP/1.1\r\nHost: HOST",
        "GET //mcp/raw/ HTTP/1.1\r\nHost: HOST",
        "GET /auth/authorize?%zz=%&=&&client_id HTTP/1.1\r\nHost: HOST",
        "GET /.well-known/oauth-protected-resource/../../etc HTTP/1.1\r\nHost: HOST",
    ] {
        let response = world.send_raw(&format!("{head}\r\nConnection: close\r\n\r\n")).await;
        assert!(response.status < 500, "{head}: {}", response.text);
    }
    assert_eq!(http().get(world.url("/healthz")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn responses_reveal_no_software_and_no_upstream_address() {
    let world = World::start().await;
    let token = token(&world).await;
    for path in [TARGET, "/mcp/raw/status/500", "/nothing", "/auth/token"] {
        let response = http().get(world.url(path)).bearer_auth(&token).send().await.unwrap();
        for name in ["server", "x-powered-by", "via"] {
            assert!(response.headers().get(name).is_none(), "{path}: {name}");
        }
    }
    let failed = http().post(world.url("/auth/token")).json(&json!({})).send().await.unwrap();
    assert_eq!(failed.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn the_same_header_rules_apply_to_http_2() {
    let world = World::start().await;
    let token = token(&world).await;
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let request = || http2.get(world.url(TARGET)).bearer_auth(&token);
    let response = request().header("x-forwarded-user", "mallory").send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, reqwest::Version::HTTP_2));
    let seen = world.backend.last().unwrap();
    assert_ne!(seen.headers["x-forwarded-user"], "mallory");
    assert!(!seen.headers.contains_key("authorization"));
    assert_eq!(request().header(HOST, "evil.example.com").send().await.unwrap().status(), 403);
    assert_eq!(request().header(ORIGIN, "https://evil.example.com").send().await.unwrap().status(), 403);
    let unsigned = http2.get(world.url(TARGET)).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
}
