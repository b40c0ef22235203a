//! Outages of a document server: logged-in users stay logged in.

use super::{SERVER, authorize, authorize_error, sign_in};
use crate::harness::events::Events;
use crate::harness::metadata_documents::{HOST, PATH, document, publish};
use crate::harness::{StoreKind, World};
use gateway_standins::document_server::DocumentResponse;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longer than any document stays fresh.
const DAY: Duration = Duration::from_hours(25);

#[tokio::test]
async fn a_document_that_cannot_be_fetched_is_503() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    let client = world.published_client(&id, SERVER).await;
    let good = DocumentResponse::json(&document(&id));
    for status in [500, 503, 429] {
        document_server.set_response(PATH, good.clone().status(status));
        let (status, error) = authorize_error(&client).await;
        assert_eq!((status, error["error"].as_str()), (503, Some("temporarily_unavailable")));
    }
    document_server.set_down(true);
    assert_eq!(authorize_error(&client).await.0, 503);
    let (status, page) = authorize(&client, "text/html").await;
    assert!(status == 503 && page.contains("This app cannot be looked up now"), "{status}");
    document_server.set_down(false);
    let unknown_url = document_server.url("client.example.net", PATH);
    assert_eq!(
        authorize_error(&world.published_client(&unknown_url, SERVER).await).await.0,
        503,
        "its certificate has other names"
    );
    document_server.set_response(PATH, good);
    assert_eq!(authorize(&client, "text/html").await.0, 200);
}

/// Responses that are neither a document nor an error: those of a proxy, a bot protection or a captive portal.
fn other_responses(id: &str) -> Vec<(&'static str, DocumentResponse)> {
    let good = DocumentResponse::json(&document(id));
    let page = DocumentResponse::text("text/html; charset=utf-8", "<title>Just a moment...</title>");
    let named = |content_type| DocumentResponse::text(content_type, document(id).to_string());
    vec![
        ("a page", page.clone()),
        ("a challenge", page.clone().status(202)),
        ("a redirect to a portal", page.status(302).header("location", "https://portal.example.com/")),
        ("a redirect to a document", good.clone().status(301).header("location", "/moved.json")),
        ("a temporary redirect", good.clone().status(307).header("location", "/moved.json")),
        ("another status with a document", good.clone().status(201)),
        ("no content", good.status(204)),
        ("a document of another type", named("text/plain")),
        ("a document that is called a page", named("text/html")),
        ("a document without a type", named("")),
    ]
}

#[tokio::test]
async fn a_response_that_is_no_document_and_no_404_is_503_and_one_warning_with_the_setting() {
    let events = Events::record();
    let world =
        World::with(StoreKind::Embedded, |site| site.set(|site| site.limits.client_metadata_fetches = 100));
    let (world, document_server) = world.await.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    let client = world.published_client(&id, SERVER).await;
    document_server.set_response("/moved.json", DocumentResponse::json(&document(&id)));
    for (what, response) in other_responses(&id) {
        document_server.set_response(PATH, response);
        let (status, error) = authorize_error(&client).await;
        assert_eq!((status, error["error"].as_str()), (503, Some("temporarily_unavailable")), "{what}");
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
        let (status, error) = client.token(&form).await.unwrap();
        assert_eq!((status, error["error"].as_str()), (503, Some("temporarily_unavailable")), "{what}");
    }
    let (status, page) = authorize(&client, "text/html").await;
    assert!(status == 503 && page.contains("This app cannot be looked up now"), "{status}");
    assert_eq!(document_server.request_count("/moved.json"), 0, "no redirect is followed");
    let concerns = |line: &Value| line["cause"].as_str().is_some_and(|cause| cause.contains(&id));
    let line = events.only(concerns).await;
    assert_eq!(line["level"], "WARN", "{line}");
    assert!(line["remedy"].as_str().unwrap().contains("client_metadata"), "{line}");
    document_server.set_response(PATH, DocumentResponse::json(&document(&id)));
    assert_eq!(authorize(&client, "text/html").await.0, 200, "no failure was cached");
}

#[tokio::test]
async fn a_document_fetch_times_out_after_five_seconds() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    document_server.set_response(PATH, DocumentResponse::json(&document(&id)).delay(Duration::from_secs(20)));
    let started = Instant::now();
    assert_eq!(authorize_error(&world.published_client(&id, SERVER).await).await.0, 503);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_last_valid_document_is_used_while_a_fetch_fails() {
    let world = World::with_manual_clock(|site| site).await;
    let (mut world, document_server) = world.with_document_server().await;
    let id = publish(&document_server, |_| {});
    let client = world.published_client(&id, SERVER).await;
    let mut token = sign_in(&client).await.refresh_token.unwrap();
    for (what, response) in [
        ("away", None),
        ("removed", Some(DocumentResponse::text("text/html", "").status(404))),
        ("another's", Some(DocumentResponse::json(&document("https://other.example.com/client")))),
        ("of a secret", Some(DocumentResponse::json(&json!({ "client_id": id, "client_secret": "s" })))),
    ] {
        world.clock.advance(DAY);
        document_server.set_down(response.is_none());
        if let Some(response) = response {
            document_server.set_response(PATH, response);
        }
        let tokens = client.refresh(&token).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        token = tokens.refresh_token.unwrap();
    }
    assert_ne!(authorize(&client, "text/html").await.0, 200, "a new authorization request is not accepted");
    let client = world.after_restart(client).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
    let (status, response) = client.token(&form).await.unwrap();
    assert_eq!(
        (status, response["error"].as_str()),
        (503, Some("temporarily_unavailable")),
        "no cached copy"
    );
    publish(&document_server, |_| {});
    client.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn a_failed_fetch_delays_one_refresh_only() {
    let world = World::with_manual_clock(|site| site).await;
    let (world, document_server) = world.with_document_server().await;
    let id = publish(&document_server, |_| {});
    let client = world.published_client(&id, SERVER).await;
    let mut token = sign_in(&client).await.refresh_token.unwrap();
    world.clock.advance(DAY);
    document_server.set_response(PATH, DocumentResponse::text("text/html", "").status(500));
    for _ in 0..5 {
        token = client.refresh(&token).await.unwrap().refresh_token.unwrap();
    }
    assert_eq!(document_server.request_count(PATH), 2);
    world.clock.advance(Duration::from_secs(31));
    client.refresh(&token).await.unwrap();
    assert_eq!(document_server.request_count(PATH), 3);
}
