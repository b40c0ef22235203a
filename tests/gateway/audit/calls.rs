//! Audit events of calls: exactly one for each message that is read on a route, with the request id of its response.

use super::{Decided, revoke};
use crate::harness::ending::shutdown;
use crate::harness::events::Events;
use crate::harness::{SiteBuilder, StoreKind, World, http};
use bytes::Bytes;
use gateway_routes::Route;
use http_body::Frame;
use reqwest::Method;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Head of a call with this method, target and fields.
fn head(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n{fields}\r\n")
}

/// Sends the bytes of a request and returns its status with its only audit event.
async fn decided(world: &World, request: &str) -> Decided {
    Events::record();
    let response = world.send_raw(request).await;
    let id = response.text.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    Decided::of(response.status, id).await
}

#[tokio::test]
async fn a_refusal_before_the_token_is_verified_leaves_one_event() {
    let world = World::start().await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let bearer = format!("Authorization: Bearer {}\r\n", tokens.access_token);
    let twice = format!("{bearer}{bearer}");
    let query = format!("/mcp/raw/x?access_token={}", tokens.access_token);
    let repeated = format!("{bearer}Mcp-Method: a\r\nMcp-Method: b\r\n");
    let content = format!("{bearer}Content-Length: 1\r\n");
    let foreign = format!("{bearer}Origin: https://evil.example.com\r\n");
    let preflight = "Origin: https://evil.example.com\r\nAccess-Control-Request-Method: POST\r\n";
    for (method, target, fields, status, reason) in [
        ("POST", "/mcp/raw/x", "", 401, "no access token"),
        ("POST", "/mcp/raw/x", "Authorization: Basic eDp5\r\n", 401, "credentials of another scheme"),
        ("POST", "/mcp/raw/x", &*twice, 400, "several Authorization headers"),
        ("POST", &*query, "", 400, "an access token in the query"),
        ("POST", "/mcp/raw/x", "Authorization: Bearer a,b\r\n", 401, "malformed"),
        ("POST", "/mcp/raw/x", "Authorization: Bearer abc\r\n", 401, "not a token of this gateway"),
        ("POST", "/mcp/dice/x", &*bearer, 401, "another audience"),
        ("POST", "/mcp/raw/%2e%2e/x", &*bearer, 400, "dot segment"),
        ("POST", "/mcp/raw/x", &*repeated, 400, "header is repeated with different values"),
        ("GET", "/mcp/raw/x", &*content, 400, "content that its method does not define"),
        ("POST", "/mcp/raw/x", &*foreign, 403, "origin may not call"),
        ("OPTIONS", "/mcp/raw/x", preflight, 403, "origin may not call"),
        ("TRACE", "/mcp/raw/x", &*bearer, 405, "CONNECT or TRACE"),
    ] {
        let request = head(method, target, fields) + if fields.contains("Content-Length") { "x" } else { "" };
        let refused = decided(&world, &request).await;
        refused.is(status, "refused", reason);
        let route = if target.starts_with("/mcp/dice/") { "/mcp/dice/" } else { "/mcp/raw/" };
        refused.has(&[("route", route), ("method", method), ("user", ""), ("client", "")]);
    }
    let request = head("POST", "/mcp/raw/x", &bearer).replace("HOST", "evil.example.com");
    decided(&world, &request).await.is(403, "refused", "Host");
}

#[tokio::test]
async fn a_refusal_by_policy_names_user_and_client() {
    let site = |site: SiteBuilder| site.change("/mcp/raw/", |route| Route { groups: &["Admins"], ..route });
    let world = World::with(StoreKind::Embedded, site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let call =
        async || Decided::by(http().get(world.url("/mcp/raw/echo")).bearer_auth(&tokens.access_token)).await;
    let named = [("client", "Test client"), ("client_id", &client.id[..12]), ("route", "/mcp/raw/")];
    let outside = call().await;
    outside.is(403, "refused", "none of the route's groups");
    outside.has(&named);
    assert_ne!(outside.event["user"], "");
    revoke(&world, &client, &tokens.access_token).await;
    let ended = call().await;
    ended.is(401, "refused", "revoked or has ended");
    ended.has(&[("client_id", &client.id[..12]), ("route", "/mcp/raw/")]);
}

#[tokio::test]
async fn an_allowed_call_leaves_one_event_and_a_preflight_none() {
    let world = World::start().await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let request = http().post(world.url("/mcp/raw/echo")).bearer_auth(&tokens.access_token).json(&json!({}));
    let allowed = Decided::by(request).await;
    allowed.is(200, "allowed", "");
    allowed.has(&[("client", "Test client"), ("client_id", &client.id[..12]), ("method", "POST")]);
    assert_ne!(allowed.event["user"], "");
    let preflight = http().request(Method::OPTIONS, world.url("/mcp/raw/echo"));
    let preflight =
        preflight.header("origin", "http://localhost:1").header("access-control-request-method", "POST");
    let response = preflight.send().await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap();
    assert_eq!((response.status().as_u16(), Events::record().of(id).len()), (204, 0));
}

#[tokio::test]
async fn a_failed_call_leaves_one_event_and_one_warning_with_its_cause() {
    let impatient = |route| Route { response_timeout: Duration::from_millis(200), ..route };
    let site = |site: SiteBuilder| {
        let site = site.change("/mcp/raw/", impatient);
        site.route("/mcp/closed-port/", "http://127.0.0.1:1", |route| route)
    };
    let world = World::with(StoreKind::Embedded, site).await;
    let events = Events::record();
    for (path, status, reason) in [
        ("/mcp/closed-port/mcp", 502, "upstream connection failed: caused by no TCP connection: caused by "),
        ("/mcp/raw/slow-head", 504, "upstream response timed out"),
    ] {
        let (_, tokens) = world.sign_in(path, "alice").await;
        let request = || http().get(world.url(path)).bearer_auth(&tokens.access_token);
        let failed = Decided::by(request()).await;
        failed.is(status, "failed", reason);
        assert_eq!(failed.warnings, 1, "{:?}", events.of(&failed.id));
        // Further failures of the route are counted, and each has its audit event.
        let again = Decided::by(request()).await;
        again.is(status, "failed", reason);
        assert_eq!(again.warnings, 0);
    }
    let (_, tokens) = world.sign_in("/mcp/raw/mcp", "alice").await;
    for (path, reason) in [
        ("/mcp/raw/status/401", "status 401"),
        ("/mcp/raw/redirect?to=https://x.example/", "\"https://x.example/\" is neither below the target"),
    ] {
        let failed = Decided::by(http().get(world.url(path)).bearer_auth(&tokens.access_token)).await;
        failed.is(502, "failed", reason);
    }
}

#[tokio::test]
async fn a_fault_of_the_request_body_is_a_refused_call() {
    let hurried = |route| Route { response_timeout: Duration::from_millis(100), ..route };
    let world = World::with(StoreKind::Embedded, |site| site.change("/mcp/raw/", hurried)).await;
    let (_, tokens) = world.sign_in("/mcp/raw/upload", "alice").await;
    let bearer = format!("Authorization: Bearer {}\r\n", tokens.access_token);
    for (fields, body, status, reason) in [
        ("Content-Length: 9999999\r\n", "", 413, "larger than the route allows"),
        ("Content-Length: 100\r\n", "and then", 408, "paused for too long"),
        ("Transfer-Encoding: chunked\r\n", "no chunk\r\n", 400, "malformed"),
    ] {
        let request = head("POST", "/mcp/raw/upload", &format!("{bearer}{fields}")) + body;
        let refused = decided(&world, &request).await;
        refused.is(status, "refused", reason);
        refused.has(&[("client", "Test client")]);
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_leaves_one_event() {
    let world = World::start().await;
    let events = Events::record();
    let (client, tokens) = world.sign_in("/mcp/raw/slow-head", "alice").await;
    let bearer = format!("Authorization: Bearer {}\r\n", tokens.access_token);
    let address = world.base_url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = head("GET", "/mcp/raw/slow-head", &bearer).replace("HOST", address);
    stream.write_all(request.as_bytes()).await.unwrap();
    world.backend.wait_for_request("/slow-head").await.unwrap();
    drop(stream);
    let event = events.only(|line| line["event"] == "call" && line["client_id"] == client.id[..12]).await;
    assert_eq!(event["decision"], "failed");
    assert!(event["reason"].as_str().unwrap().contains("the client disconnected"), "{event}");
}

/// A request body that never arrives.
struct Missing;

impl http_body::Body for Missing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_undefined_content_is_awaited_at_the_end_of_a_shutdown_is_a_503_with_one_event() {
    Events::record();
    let mut world =
        World::with(StoreKind::Embedded, |site| site.set(|site| site.shutdown = shutdown(0, 2000))).await;
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let request = http2.get(world.url("/mcp/raw/x")).body(reqwest::Body::wrap(Missing));
    let sent = tokio::spawn(Decided::by(request));
    // Only a request on a connection that the gateway has accepted is served.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ended = world.going_down();
    sent.await.unwrap().is(503, "failed", "end of the shutdown");
    ended.await.unwrap();
}

#[tokio::test]
async fn a_client_that_resets_its_http_2_request_leaves_one_event() {
    let world = World::start().await;
    let events = Events::record();
    let (client, tokens) = world.sign_in("/mcp/raw/slow-head", "alice").await;
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let request = http2.get(world.url("/mcp/raw/slow-head")).bearer_auth(&tokens.access_token).send();
    tokio::select! {
        _ = request => panic!("there is no response yet"),
        _ = world.backend.wait_for_request("/slow-head") => {}
    }
    let is_call = |line: &Value| line["event"] == "call" && line["client_id"] == client.id[..12];
    let event = events.only(is_call).await;
    assert_eq!((&event["decision"], &event["user"]), (&json!("failed"), &json!("00ualice00000sT4nD1n")));
    // The connection goes on, and so does its only event.
    world.backend.release_head();
    let request = http2.get(world.url("/mcp/raw/echo")).bearer_auth(&tokens.access_token);
    Decided::by(request).await.is(200, "allowed", "");
    assert_eq!(events.all(is_call).len(), 2);
}

#[tokio::test]
async fn a_call_beyond_the_connection_limit_leaves_one_event() {
    let mut world = World::start().await;
    world.rebuild(|site| site.limits.connections_per_address = 1).await;
    let _held = TcpStream::connect(world.base_url.trim_start_matches("http://")).await.unwrap();
    let request = head("POST", "/mcp/raw/x", "");
    decided(&world, &request).await.is(429, "refused", "connection limit of the address");
}
