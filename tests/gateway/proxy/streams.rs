//! Event streams: rewriting, and conditions that end them.

use super::{SignedIn, TIMEOUT};
use crate::harness::{SiteBuilder, StoreKind, World, http};
use gateway_standins::okta::{OktaOptions, RefreshTokens};
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn the_endpoint_event_of_the_sse_transport_is_rewritten() {
    let signed = SignedIn::start(|site| site).await;
    let mut stream = signed.get("/mcp/raw/sse/silent").await;
    // The event arrives in fragments, and more follows it.
    for chunk in ["event: end", "point\r\ndata: /messages/?session_id=1\r\n", "\r\ndata: /kept\n\n"] {
        signed.world.backend.release_raw(chunk.as_bytes()).await;
    }
    signed.world.backend.finish();
    let mut text = String::new();
    while let Some(chunk) = timeout(TIMEOUT, stream.chunk()).await.unwrap().unwrap() {
        text += std::str::from_utf8(&chunk).unwrap();
    }
    let endpoint = signed.world.url("/mcp/raw/messages/?session_id=1");
    assert_eq!(text, format!("event: endpoint\r\ndata: {endpoint}\r\n\r\ndata: /kept\n\n"));
}

#[tokio::test]
async fn an_endpoint_event_outside_the_target_ends_the_stream() {
    let signed = SignedIn::start(|site| site).await;
    let mut stream = signed.get("/mcp/raw/sse/silent").await;
    let evil = b"event: endpoint\ndata: https://evil.example.com/messages\n\n";
    signed.world.backend.release_raw(evil).await;
    assert!(timeout(TIMEOUT, stream.chunk()).await.unwrap().is_err(), "the stream is still open");
}

#[tokio::test]
async fn the_beginning_of_an_event_stream_is_never_lost() {
    let signed = SignedIn::start(|site| site).await;
    for beginning in ["event: endpoint", "event: endpoint\ndata: /x", "e", "event: message\ndata: a\n\n"] {
        let mut stream = signed.get("/mcp/raw/sse/silent").await;
        signed.world.backend.release_raw(beginning.as_bytes()).await;
        signed.world.backend.finish();
        let mut text = String::new();
        while let Some(chunk) = timeout(TIMEOUT, stream.chunk()).await.unwrap().unwrap() {
            text += std::str::from_utf8(&chunk).unwrap();
        }
        assert_eq!(text, beginning);
    }
}

#[tokio::test]
async fn a_stream_that_ends_during_shutdown_is_complete() {
    let mut signed = SignedIn::start(|site| site).await;
    let mut stream = signed.get("/mcp/raw/sse?n=5&every_ms=100").await;
    let mut text = String::new();
    text += std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap();
    timeout(TIMEOUT, signed.world.stop_gateway()).await.unwrap();
    while let Some(chunk) = timeout(TIMEOUT, stream.chunk()).await.unwrap().unwrap() {
        text += std::str::from_utf8(&chunk).unwrap();
    }
    assert!(text.ends_with("data: event 4\n\n"), "{text}");
    assert!(signed.request("/healthz").send().await.is_err(), "the listener is closed");
}

#[tokio::test]
async fn a_stream_ends_with_its_token_when_the_grant_cannot_be_refreshed() {
    let options = OktaOptions { refresh_tokens: RefreshTokens::Withheld, ..OktaOptions::default() };
    let short = |mut site: SiteBuilder| {
        site.site.tokens.access_ttl = Duration::from_secs(2);
        site
    };
    let world = World::with_okta(options, StoreKind::Embedded, short).await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    assert_eq!(tokens.refresh_token, None);
    let url = world.url("/mcp/raw/sse/silent");
    let mut stream = http().get(url).bearer_auth(tokens.access_token).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let end = timeout(TIMEOUT, async { while let Ok(Some(_)) = stream.chunk().await {} }).await;
    assert!(end.is_ok(), "the stream is still open");
}
