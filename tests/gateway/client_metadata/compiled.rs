//! Compiled metadata documents in mode `fetch`: for sites that cannot be reached, and no others.

use super::{SERVER, authorize, authorize_error, sign_in};
use crate::harness::events::Events;
use crate::harness::metadata_documents::{HOST, PATH, document};
use crate::harness::{StoreKind, World};
use gateway_routes::ClientMetadataMode::Fetch;
use gateway_standins::document_server::{DocumentResponse, DocumentServer};
use serde_json::{Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_hours(25);
const RETRY_DELAY: Duration = Duration::from_secs(31);

/// World with a manual clock and the default document compiled in; returns the document's URL.
async fn world_with_compiled_document() -> (World, DocumentServer, String) {
    let world = World::with_manual_clock(|site| site).await;
    let (mut world, document_server) = world.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    world.compile_documents(Fetch, &[document(&id)]).await;
    (world, document_server, id)
}

/// Responses that say nothing about the document, some of them from a proxy or a bot protection.
fn outages(id: &str) -> Vec<(&'static str, Option<DocumentResponse>)> {
    let good = DocumentResponse::json(&document(id));
    let page = DocumentResponse::text("text/html", "<title>Just a moment...</title>");
    let redirect = DocumentResponse::text("text/html", "").header("location", "https://portal.example.com/");
    vec![
        ("closed connection", None),
        ("bot protection", Some(page.clone().status(403))),
        ("authentication of a proxy", Some(page.clone().status(407))),
        ("rate limit", Some(good.clone().status(429))),
        ("server error", Some(good.status(500))),
        ("unavailable", Some(page.clone().status(503))),
        ("captive portal", Some(page)),
        ("redirect to a portal", Some(redirect.status(302))),
    ]
}

#[tokio::test]
async fn a_compiled_document_is_used_while_its_site_cannot_be_reached() {
    let (world, document_server, id) = world_with_compiled_document().await;
    let client = world.published_client(&id, SERVER).await;
    for (what, response) in outages(&id) {
        world.clock.advance(RETRY_DELAY);
        document_server.set_down(response.is_none());
        if let Some(response) = response {
            document_server.set_response(PATH, response);
        }
        let (status, page) = authorize(&client, "text/html").await;
        assert!(status == 200 && page.contains("published by client.example.com"), "{what}: {status}");
    }
    let tokens = sign_in(&client).await;
    world.clock.advance(RETRY_DELAY);
    client.refresh(tokens.refresh_token.as_deref().unwrap()).await.unwrap();
}

#[tokio::test]
async fn names_that_do_not_resolve_and_wrong_certificates_say_nothing_about_a_client() {
    let (mut world, document_server, _) = world_with_compiled_document().await;
    let names = ["nowhere.example.com", "private.example.com", "client.example.net"];
    let ids = names.map(|name| document_server.url(name, PATH));
    world.compile_documents(Fetch, &ids.each_ref().map(|id| document(id))).await;
    for id in &ids {
        document_server.set_response(PATH, DocumentResponse::json(&document(id)));
        assert_eq!(authorize(&world.published_client(id, SERVER).await, "text/html").await.0, 200, "{id}");
    }
    assert_eq!(document_server.request_count(PATH), 0);
}

#[tokio::test]
async fn a_missing_or_invalid_document_is_400_although_a_copy_is_compiled_in() {
    let (world, document_server, id) = world_with_compiled_document().await;
    let client = world.published_client(&id, SERVER).await;
    let with = |change: fn(&mut Value)| {
        let mut document = document(&id);
        change(&mut document);
        DocumentResponse::json(&document)
    };
    let good = DocumentResponse::json(&document(&id));
    for response in [
        good.clone().status(404),
        good.clone().status(410),
        with(|document| document["client_id"] = json!("https://other.example.com/client")),
        with(|document| document["client_secret"] = json!("s")),
        with(|document| document["redirect_uris"] = json!([])),
        with(|document| document["padding"] = json!("x".repeat(5 * 1024))),
        DocumentResponse::text("application/json", "{"),
    ] {
        document_server.set_response(PATH, response);
        for _ in 0..2 {
            let (status, error) = authorize_error(&client).await;
            assert_eq!((status, error["error"].as_str()), (400, Some("invalid_client")), "{error}");
        }
    }
    document_server.set_response(PATH, good);
    assert_eq!(authorize(&client, "text/html").await.0, 200);
}

#[tokio::test]
async fn the_site_of_a_client_takes_precedence_over_the_compiled_document() {
    let (world, document_server, id) = world_with_compiled_document().await;
    let mut published = document(&id);
    published["client_name"] = json!("Renamed client");
    document_server.set_response(PATH, DocumentResponse::json(&published));
    let client = world.published_client(&id, SERVER).await;
    assert!(authorize(&client, "text/html").await.1.contains("Renamed client"));
    world.clock.advance(DAY);
    document_server.set_down(true);
    assert!(authorize(&client, "text/html").await.1.contains("Renamed client"), "the last good copy");
}

#[tokio::test]
async fn a_failed_fetch_is_not_repeated_for_half_a_minute_and_leaves_one_warning() {
    let events = Events::record();
    let (world, document_server, id) = world_with_compiled_document().await;
    document_server.set_response(PATH, DocumentResponse::text("text/html", "").status(500));
    let client = world.published_client(&id, SERVER).await;
    for _ in 0..5 {
        assert_eq!(authorize(&client, "text/html").await.0, 200);
    }
    assert_eq!(document_server.request_count(PATH), 1);
    let concerns = |line: &Value| line["cause"].as_str().is_some_and(|cause| cause.contains(&id));
    let line = events.only(concerns).await;
    assert_eq!((line["level"].as_str(), line["event"].as_str()), (Some("WARN"), Some("metadata")), "{line}");
    assert!(line["message"].as_str().unwrap().contains("a copy of it is used"), "{line}");
    let remedy = line["remedy"].as_str().unwrap();
    assert!(remedy.contains("client_metadata") && remedy.contains("mode: off"), "{line}");
    world.clock.advance(RETRY_DELAY);
    assert_eq!(authorize(&client, "text/html").await.0, 200);
    assert_eq!(document_server.request_count(PATH), 2);
}

#[tokio::test]
async fn a_document_of_an_unlisted_host_is_used_without_a_fetch() {
    let world = World::with(StoreKind::Embedded, |site| {
        site.set(|site| site.client_metadata.hosts = &["other.example.com"])
    });
    let (mut world, document_server) = world.await.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    document_server.set_response(PATH, DocumentResponse::json(&document(&id)));
    let client = world.published_client(&id, SERVER).await;
    assert_eq!(authorize(&client, "application/json").await.0, 400);
    world.compile_documents(Fetch, &[document(&id)]).await;
    assert_eq!(authorize(&client, "text/html").await.0, 200);
    assert_eq!(document_server.request_count(PATH), 0);
}

#[tokio::test]
async fn a_fetch_that_fails_without_a_copy_is_503_and_one_warning() {
    let events = Events::record();
    let (world, document_server) = World::start().await.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    let client = world.published_client(&id, SERVER).await;
    let blocked = DocumentResponse::text("text/html", "<title>Just a moment...</title>").status(403);
    document_server.set_response(PATH, blocked);
    for _ in 0..3 {
        let (status, error) = authorize_error(&client).await;
        assert_eq!((status, error["error"].as_str()), (503, Some("temporarily_unavailable")));
    }
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let (status, error) = client.token(&form).await.unwrap();
    assert_eq!((status, error["error"].as_str()), (503, Some("temporarily_unavailable")));
    let concerns = |line: &Value| {
        line["level"] == "WARN" && line["cause"].as_str().is_some_and(|cause| cause.contains(&id))
    };
    let line = events.only(concerns).await;
    assert!(line["remedy"].as_str().unwrap().contains("client_metadata"), "{line}");
}

#[tokio::test]
async fn the_last_good_copy_is_used_at_a_new_sign_in_too() {
    let world = World::with_manual_clock(|site| site).await;
    let (world, document_server) = world.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    document_server.set_response(PATH, DocumentResponse::json(&document(&id)));
    let client = world.published_client(&id, SERVER).await;
    assert_eq!(authorize(&client, "text/html").await.0, 200);
    world.clock.advance(DAY);
    document_server.set_down(true);
    sign_in(&client).await;
}
