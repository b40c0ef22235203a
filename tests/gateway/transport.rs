//! The MCP transports through the gateway: messages arrive unchanged in both directions, in every revision
//! (streamable HTTP of 2025-03-26 to 2026-07-28).

use crate::harness::{World, http};
use reqwest::{Method, RequestBuilder};

/// World with alice's token for `/mcp/raw/`.
async fn signed_in() -> (World, String) {
    let world = World::start().await;
    let (_, tokens) = world.sign_in("/mcp/raw/mcp", "alice").await;
    world.backend.clear_requests();
    (world, tokens.access_token)
}

fn request(world: &World, token: &str, method: Method) -> RequestBuilder {
    let request = http().request(method, world.url("/mcp/raw/mcp")).bearer_auth(token);
    request.header("accept", "application/json, text/event-stream")
}

#[tokio::test]
async fn mcp_headers_and_unknown_headers_are_forwarded() {
    let (world, token) = signed_in().await;
    let headers = [
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        ("mcp-param-region", "us-west1"),
        ("last-event-id", "3:17"),
        ("x-unheard-of", "a b"),
    ];
    let mut call = http().post(world.url("/mcp/raw/mcp")).bearer_auth(&token).body("{}");
    for (name, value) in headers {
        call = call.header(name, value);
    }
    assert_eq!(call.send().await.unwrap().status(), 200);
    let seen = world.backend.last().unwrap();
    for (name, value) in headers {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn an_unknown_protocol_version_is_forwarded() {
    let (world, token) = signed_in().await;
    for version in [None, Some("2024-11-05"), Some("2099-01-01"), Some("nonsense")] {
        let call = request(&world, &token, Method::POST).body("{}");
        let call = match version {
            Some(version) => call.header("mcp-protocol-version", version),
            None => call,
        };
        assert_eq!(call.send().await.unwrap().status(), 200, "{version:?}");
        assert_eq!(world.backend.last().unwrap().header("mcp-protocol-version"), version);
    }
}

#[tokio::test]
async fn messages_and_batches_are_forwarded_unchanged() {
    let (world, token) = signed_in().await;
    for body in [
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
        " [ {\"jsonrpc\":\"2.0\",\"id\":9007199254740993,\"method\":\"ping\"},\r\n{\"method\" : \"x\"} ] ",
        "{\"jsonrpc\":\"2.0\",\"result\":{\"text\":\"\u{1f3b2} \\u00e9 \\/\"},\"id\":\"a\"}",
        "not json at all",
    ] {
        assert_eq!(request(&world, &token, Method::POST).body(body).send().await.unwrap().status(), 200);
        assert_eq!(world.backend.last().unwrap().text(), body);
    }
}

#[tokio::test]
async fn responses_are_returned_unchanged() {
    let (world, token) = signed_in().await;
    let events =
        "id: 1\r\nretry: 1500\r\ndata:\r\n\r\n: comment\nevent: message\nid: 2\ndata: {\"a\":\ndata: 1}\n\n";
    let mismatch = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"Header mismatch"}}"#;
    for (status, kind, body) in [
        (200, "application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        (200, "text/event-stream", events),
        (202, "application/json", ""),
        (400, "application/json", mismatch),
        (404, "application/json", r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"x"}}"#),
        (405, "text/plain", "no stream here"),
    ] {
        let headers =
            [("content-type", kind), ("x-accel-buffering", "no"), ("mcp-protocol-version", "2025-11-25")];
        world.backend.script("/mcp", status, &headers, body);
        for method in [Method::POST, Method::GET, Method::DELETE] {
            let response = request(&world, &token, method.clone()).send().await.unwrap();
            assert_eq!(response.status(), status, "{method}");
            for (name, value) in headers {
                assert_eq!(response.headers()[name], value, "{method} {status}");
            }
            let opening = if kind == "text/event-stream" { ": keep-alive\n\n" } else { "" };
            assert_eq!(response.text().await.unwrap(), format!("{opening}{body}"), "{method} {status}");
            assert_eq!(world.backend.last().unwrap().method, method.as_str());
        }
    }
}

#[tokio::test]
async fn a_session_id_is_returned_unchanged() {
    let (world, token) = signed_in().await;
    world.backend.script("/mcp", 200, &[("mcp-session-id", "5e55-10n~!")], "{}");
    let first = request(&world, &token, Method::POST).body("{}").send().await.unwrap();
    let id = first.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    assert!(id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "visible ASCII alone: {id}");
    for method in [Method::POST, Method::GET, Method::DELETE] {
        request(&world, &token, method).header("mcp-session-id", &id).send().await.unwrap();
        assert_eq!(world.backend.last().unwrap().header("mcp-session-id"), Some("5e55-10n~!"));
    }
}

#[tokio::test]
async fn every_request_of_a_session_needs_a_token() {
    let (world, _) = signed_in().await;
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let without = http().request(method.clone(), world.url("/mcp/raw/mcp"));
        let response = without.header("mcp-session-id", "known").send().await.unwrap();
        assert_eq!(response.status(), 401, "{method}: a session id does not authenticate");
    }
    assert!(world.backend.requests().is_empty());
}

#[tokio::test]
async fn an_allowed_origin_may_send_every_header() {
    let world = World::start().await;
    let requested_headers =
        "authorization,content-type,mcp-method,mcp-name,mcp-param-region,mcp-protocol-version";
    let preflight = http()
        .request(Method::OPTIONS, world.url("/mcp/raw/mcp"))
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", requested_headers);
    let response = preflight.send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()["access-control-allow-headers"], requested_headers);
    assert_eq!(response.headers()["access-control-allow-methods"], "GET, POST, DELETE, OPTIONS");
}
