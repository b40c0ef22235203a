//! SIGTERM: connections are accepted for a while, what was sent is responses, and nothing is lost.

mod connection;
mod restarts;

use crate::harness::ending::shutdown;
use crate::harness::events::Events;
use crate::harness::{StoreKind, World, http};
use connection::Connection;
use gateway_routes::Shutdown;
use gateway_standins::okta::{OktaOptions, Outage, RefreshTokens};
use reqwest::header::HeaderMap;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(20);

async fn signed_in(times: Shutdown) -> (World, String) {
    Events::record();
    let world = World::with(StoreKind::Embedded, |site| site.set(|site| site.shutdown = times)).await;
    world.wait_until_ready().await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    (world, tokens.access_token)
}

/// Asserts that the request of these response headers has one event of this name, which failed for this reason.
async fn assert_failed(headers: &HeaderMap, name: &str, reason: &str) {
    let id = &headers["x-request-id"];
    let event = Events::record()
        .only(|line| line["event"] == name && line["request_id"].as_str() == id.to_str().ok())
        .await;
    assert_eq!(event["decision"], "failed", "{event}");
    assert!(event["reason"].as_str().unwrap().contains(reason), "{event}");
}

/// Runs a client that blocks.
async fn blocking<T: Send + 'static>(client: impl FnOnce() -> T + Send + 'static) -> T {
    timeout(SOON, tokio::task::spawn_blocking(client)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_is_503_while_everything_is_still_served() {
    let (mut world, token) = signed_in(shutdown(1000, 10_000)).await;
    let url = world.base_url.clone();
    let mut kept = Connection::open(&url).unwrap();
    assert_eq!(kept.get("/readyz").unwrap().status, 200);
    assert!(!kept.is_announced);
    let ended = world.going_down();
    sleep(Duration::from_millis(100)).await;
    for (path, status) in [("/readyz", 503), ("/healthz", 200), ("/mcp/raw/echo", 200)] {
        let response = http().get(world.url(path)).bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()["connection"], "close", "{path}");
    }
    assert_eq!(kept.get("/healthz").unwrap().status, 200);
    assert!(kept.is_announced);
    ended.await.unwrap();
    assert!(Connection::open(&url).is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_right_after_a_stream_that_did_not_announce_the_end_is_answered() {
    let (mut world, token) = signed_in(shutdown(0, 10_000)).await;
    let mut stream = Connection::open(&world.base_url).unwrap();
    stream.send("/mcp/raw/sse?n=5&every_ms=100", &format!("Authorization: Bearer {token}\r\n")).unwrap();
    let (mut stream, mut events) = blocking(move || {
        let head = stream.receive_head().unwrap();
        (stream, head)
    })
    .await;
    assert!(!stream.is_announced);
    let ended = world.going_down();
    let (events, next) = blocking(move || {
        stream.receive_body(&mut events).unwrap();
        (events, stream.get("/healthz").unwrap())
    })
    .await;
    assert!(String::from_utf8(events.body).unwrap().contains("data: event 4\n\n"));
    assert!(next.head.contains("connection: close"), "{}", next.head);
    ended.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_head_is_not_complete_is_answered() {
    let (mut world, _) = signed_in(shutdown(0, 10_000)).await;
    let parts: [(&str, &str); 3] = [
        ("", "GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n"),
        ("GET /healthz HTTP/1.1\r\nHo", "st: HOST\r\n\r\n"),
        ("P", "OST /auth/token HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"),
    ];
    let mut connections: Vec<_> = parts.iter().map(|_| Connection::open(&world.base_url).unwrap()).collect();
    for (connection, (begin, _)) in connections.iter_mut().zip(parts) {
        connection.send_part(begin).unwrap();
    }
    let ended = world.going_down();
    sleep(Duration::from_millis(500)).await;
    blocking(move || {
        for (connection, (_, rest)) in connections.iter_mut().zip(parts) {
            connection.send_part(rest).unwrap();
            let response = connection.receive().unwrap();
            assert!(connection.is_announced, "{}", response.head);
        }
    })
    .await;
    ended.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_ends_between_two_events_when_the_time_is_over() {
    let ends = async |http2: bool| {
        let (mut world, token) = signed_in(shutdown(0, 4000)).await;
        let client = reqwest::Client::builder();
        let client = if http2 { client.http2_prior_knowledge() } else { client }.build().unwrap();
        let request = client.get(world.url("/mcp/raw/sse/silent")).bearer_auth(token);
        let mut stream = timeout(SOON, request.send()).await.unwrap().unwrap();
        let began = Instant::now();
        let ended = world.going_down();
        world.backend.release_raw(b"data: whole\n\ndata: ha").await;
        sleep(Duration::from_millis(2500)).await;
        world.backend.release_raw(b"lf\n\n").await;
        let mut text = String::new();
        while let Some(piece) = timeout(SOON, stream.chunk()).await.unwrap().unwrap() {
            text += std::str::from_utf8(&piece).unwrap();
        }
        assert!(text.ends_with("data: whole\n\ndata: half\n\n"), "{text}");
        assert_failed(stream.headers(), "stream_ended", "the gateway shut down").await;
        ended.await.unwrap();
        assert!(began.elapsed() < Duration::from_millis(4500), "{:?}", began.elapsed());
        assert!(world.backend.wait_aborted(1).await);
    };
    tokio::join!(ends(false), ends(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_response_is_503_when_the_time_is_over() {
    let is_503 = async |http2: bool| {
        let (mut world, token) = signed_in(shutdown(0, 2000)).await;
        let client = reqwest::Client::builder();
        let client = if http2 { client.http2_prior_knowledge() } else { client }.build().unwrap();
        let request = client.get(world.url("/mcp/raw/slow-head")).bearer_auth(token);
        let asked = tokio::spawn(request.send());
        world.backend.wait_for_request("/slow-head").await.unwrap();
        let ended = world.going_down();
        let response = timeout(SOON, asked).await.unwrap().unwrap().unwrap();
        assert_eq!(response.status(), 503);
        assert!(
            response.headers().contains_key("retry-after") && response.headers().contains_key("x-request-id")
        );
        assert_failed(response.headers(), "call", "no response before the end of the shutdown").await;
        let text = response.text().await.unwrap();
        assert!(text.contains("jsonrpc") && text.contains("shutting down"), "{text}");
        ended.await.unwrap();
    };
    tokio::join!(is_503(false), is_503(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_okta_replaces_meanwhile_is_stored_before_the_exit() {
    let options =
        OktaOptions { refresh_tokens: RefreshTokens::Rotating { grace: 0 }, ..OktaOptions::default() };
    let mut world = World::with_manual_clock_and_okta(options, StoreKind::Embedded, |site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let token = tokens.refresh_token.unwrap();
    world.clock.advance(Duration::from_secs(61));
    world.okta.clear_requests();
    world.okta.outage_at("/v1/token", Outage::Late(Duration::from_secs(2)));
    tokio::select! {
        _ = client.refresh(&token) => panic!("the response came before Okta's"),
        request = world.okta.wait_for_request("/v1/token") => assert!(request.is_some()),
    }
    world.stop_gateway().await;
    world.okta.outage_at("/v1/token", Outage::None);
    world.start_gateway();
    world.clock.advance(Duration::from_secs(61));
    client.refresh(&token).await.unwrap();
}
