//! Responses that are cut: an event with the reason and a warning, and none for an event stream that its client closes.

use super::{Decided, revoke};
use crate::harness::events::Events;
use crate::harness::{SiteBuilder, StoreKind, World, http};
use reqwest::Response;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A world with an open response to alice, and the id of its request.
struct Open {
    world: World,
    response: Response,
    id: String,
}

impl Open {
    async fn at(path: &str, change: impl FnOnce(SiteBuilder) -> SiteBuilder) -> Self {
        Events::record();
        let world = World::with(StoreKind::Embedded, change).await;
        let (_, tokens) = world.sign_in("/mcp/raw/mcp", "alice").await;
        let response = http().get(world.url(path)).bearer_auth(&tokens.access_token).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        Self { world, response, id }
    }
}

async fn ended(id: &str) -> Value {
    Events::record().only(|line| line["event"] == "stream_ended" && line["request_id"] == id).await
}

/// Events of the request, and lines at `warn`.
fn counts(id: &str) -> (usize, usize) {
    let lines = Events::record().of(id);
    let warnings = lines.iter().filter(|line| line["level"] == "WARN").count();
    (lines.len() - warnings, warnings)
}

#[tokio::test]
async fn a_revoked_grant_leaves_the_end_of_its_stream_in_the_log() {
    let world = World::start().await;
    let events = Events::record();
    let (client, tokens) = world.sign_in("/mcp/raw/sse/silent", "alice").await;
    let url = world.url("/mcp/raw/sse/silent");
    let mut stream = http().get(url).bearer_auth(&tokens.access_token).send().await.unwrap();
    let id = stream.headers()["x-request-id"].to_str().unwrap().to_owned();
    revoke(&world, &client, &tokens.access_token).await;
    while let Ok(Some(_)) = stream.chunk().await {}
    let event = ended(&id).await;
    assert_eq!((&event["decision"], &event["client"]), (&"refused".into(), &"Test client".into()));
    assert!(event["reason"].as_str().unwrap().contains("revoked"), "{event}");
    assert_eq!(counts(&id), (2, 1), "{:?}", events.of(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_could_not_be_checked_for_too_long_is_a_failure_and_no_refusal() {
    let events = Events::record();
    let world = World::with_manual_clock_on(StoreKind::Redis, |site| site).await;
    let (_, tokens) = world.sign_in("/mcp/raw/mcp", "alice").await;
    let get = |path: &str| http().get(world.url(path)).bearer_auth(&tokens.access_token);
    let mut stream = get("/mcp/raw/sse/silent").send().await.unwrap();
    let id = stream.headers()["x-request-id"].to_str().unwrap().to_owned();
    let waiting = tokio::spawn(Decided::by(get("/mcp/raw/slow-head")));
    world.backend.wait_for_request("/slow-head").await.unwrap();
    world.redis.as_ref().unwrap().stop();
    world.clock.advance(Duration::from_secs(61));
    waiting.await.unwrap().is(503, "failed", "the grant could not be checked for too long");
    while let Ok(Some(_)) = stream.chunk().await {}
    let event = ended(&id).await;
    assert_eq!((&event["decision"], counts(&id)), (&"failed".into(), (2, 1)), "{:?}", events.of(&id));
}

/// A server that closes each connection within its first response; returns its URL.
async fn truncating() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut seen).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn a_response_that_breaks_upstream_leaves_one_event_and_one_warning() {
    let events = Events::record();
    let target = truncating().await;
    let world =
        World::with(StoreKind::Embedded, |site| site.route("/mcp/raw/", &target, |route| route)).await;
    let (client, tokens) = world.sign_in("/mcp/raw/mcp", "alice").await;
    let request = http().get(world.url("/mcp/raw/mcp")).bearer_auth(&tokens.access_token);
    // The head may not have left before the connection broke.
    if let Ok(response) = request.send().await {
        response.bytes().await.unwrap_err();
    }
    let is_end = |line: &Value| line["event"] == "stream_ended" && line["client_id"] == client.id[..12];
    let event = events.only(is_end).await;
    let reason = event["reason"].as_str().unwrap();
    assert!(reason.starts_with("upstream connection broke: caused by the server closed"), "{event}");
    assert_eq!(event["decision"], "failed");
    assert_eq!(counts(event["request_id"].as_str().unwrap()), (2, 1));
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_response_leaves_one_event() {
    let Open { response, id, world: _world } = Open::at("/mcp/raw/big?bytes=100000000", |site| site).await;
    drop(response);
    let event = ended(&id).await;
    assert_eq!(event["reason"], "the client disconnected");
    assert_eq!(counts(&id), (2, 0), "the client has cut it");
}

#[tokio::test]
async fn an_endpoint_event_outside_the_target_leaves_one_event_and_one_warning() {
    let Open { world, mut response, id } = Open::at("/mcp/raw/sse/silent", |site| site).await;
    world.backend.release_raw(b"event: endpoint\ndata: https://other.example.com/m\n\n").await;
    while let Ok(Some(_)) = response.chunk().await {}
    let event = ended(&id).await;
    assert_eq!((&event["decision"], &event["route"]), (&"failed".into(), &"/mcp/raw/".into()));
    let reason = event["reason"].as_str().unwrap();
    assert!(
        reason.contains("endpoint event") && reason.contains("\"https://other.example.com/m\""),
        "{event}"
    );
    assert_eq!(counts(&id), (2, 1));
}

#[tokio::test]
async fn an_event_stream_that_ends_or_is_closed_by_its_client_leaves_only_its_call() {
    let Open { world, response, id } = Open::at("/mcp/raw/sse/silent", |site| site).await;
    drop(response);
    assert!(world.backend.wait_aborted(1).await);
    assert_eq!(counts(&id), (1, 0));
    let Open { world, mut response, id } = Open::at("/mcp/raw/sse/silent", |site| site).await;
    world.backend.release("hello").await;
    world.backend.finish();
    while let Ok(Some(_)) = response.chunk().await {}
    assert_eq!(counts(&id), (1, 0));
}
