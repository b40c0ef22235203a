//! Event streams: rewriting, and conditions that end them.

mod cancelled;

use super::{SignedIn, TIMEOUT};
use crate::harness::{SiteBuilder, StoreKind, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::Login;
use gateway_standins::okta::{OktaOptions, RefreshTokens};
use std::time::Duration;
use tokio::time::timeout;

/// First frame of every event stream.
const COMMENT: &str = ": keep-alive\n\n";

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
    assert_eq!(text, format!("{COMMENT}event: endpoint\r\ndata: {endpoint}\r\n\r\ndata: /kept\n\n"));
}

#[tokio::test]
async fn an_endpoint_event_outside_the_target_ends_the_stream() {
    let signed = SignedIn::start(|site| site).await;
    let mut stream = signed.get("/mcp/raw/sse/silent").await;
    let evil = b"event: endpoint\ndata: https://evil.example.com/messages\n\n";
    signed.world.backend.release_raw(evil).await;
    assert_eq!(timeout(TIMEOUT, stream.chunk()).await.unwrap().unwrap().unwrap(), COMMENT);
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
        assert_eq!(text, COMMENT.to_owned() + beginning);
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

#[tokio::test]
async fn a_comment_is_sent_at_once_and_proxies_are_told_not_to_buffer() {
    let signed = SignedIn::start(|site| site).await;
    let mut stream = signed.get("/mcp/raw/sse/silent").await;
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    let comment = timeout(Duration::from_secs(5), stream.chunk()).await.unwrap().unwrap().unwrap();
    assert_eq!(comment, COMMENT);
    let other = signed.get("/mcp/raw/echo").await;
    assert_eq!(other.headers().get("x-accel-buffering"), None);
    let head = http().head(signed.world.url("/mcp/raw/sse/silent")).bearer_auth(&signed.token);
    let head = head.send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.text().await.unwrap().as_str()), (200, ""));
}

#[tokio::test]
async fn event_streams_are_requested_without_content_coding() {
    let signed = SignedIn::start(|site| site).await;
    for (accept, coding) in [
        ("application/json, text/event-stream", "identity"),
        ("Text/Event-Stream;q=0.5", "identity"),
        ("*/*", "identity"),
        ("application/json", "gzip, br"),
    ] {
        let call =
            signed.post("/mcp/raw/echo").header("accept-encoding", "gzip, br").header("accept", accept);
        assert_eq!(call.send().await.unwrap().status(), 200);
        assert_eq!(
            signed.world.backend.last().unwrap().header("accept-encoding"),
            Some(coding),
            "{accept:?}"
        );
    }
}

#[tokio::test]
async fn an_event_stream_with_a_length_or_the_coding_identity_is_rewritten() {
    let signed = SignedIn::start(|site| site).await;
    let endpoint = signed.world.url("/mcp/raw/messages/?session_id=1");
    for coding in [None, Some("identity"), Some("Identity, identity"), Some("")] {
        let mut headers = vec![("content-type", "text/event-stream; charset=utf-8")];
        headers.extend(coding.map(|coding| ("content-encoding", coding)));
        // The stand-in sends scripted responses with their length.
        let events = "id: 1\nevent: endpoint\ndata: /messages/?session_id=1\n\n";
        signed.world.backend.script("/finite", 200, &headers, events);
        let response = signed.get("/mcp/raw/finite").await;
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let text = response.text().await.unwrap();
        assert_eq!(text, format!("{COMMENT}id: 1\nevent: endpoint\ndata: {endpoint}\n\n"), "{coding:?}");
    }
    // A coding that the gateway cannot read: the stream passes as it is.
    let headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
    signed.world.backend.script("/coded", 200, &headers, "coded");
    assert_eq!(signed.get("/mcp/raw/coded").await.text().await.unwrap(), "coded");
}

#[tokio::test]
async fn a_grant_revoked_before_the_response_head_is_401_with_a_challenge() {
    let signed = SignedIn::start(|site| site).await;
    let client = signed.world.client("/mcp/raw/echo").await;
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let tokens = client.redeem(&code).await.unwrap();
    let url = signed.world.url("/mcp/raw/slow-head");
    let call = tokio::spawn(http().get(url).bearer_auth(tokens.access_token).send());
    signed.world.backend.wait_for_request("/slow-head").await.unwrap();
    // The second use of the code revokes the grant.
    client.redeem(&code).await.unwrap_err();
    let response = timeout(TIMEOUT, call).await.unwrap().unwrap().unwrap();
    assert_eq!(response.status(), 401);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let metadata = signed.world.url("/.well-known/oauth-protected-resource/mcp/raw/slow-head");
    assert!(challenge.contains("invalid_token") && challenge.contains(&metadata), "{challenge}");
}
