//! Clients with a Client ID Metadata Document.

mod compiled;
mod limits;
mod modes;
mod outages;
mod refusals;

use crate::harness::metadata_documents::{HOST, PATH, document, publish};
use crate::harness::{CALLBACK, StoreKind, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Login, Session};
use gateway_standins::document_server::{DocumentResponse, DocumentServer};
use serde_json::{Value, json};
use std::time::Duration;

const SERVER: &str = "/mcp/raw/echo";
const VERIFIER: &str = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";

/// Status and body of the response to an authorization request.
async fn authorize(client: &Client, accept: &str) -> (u16, String) {
    let url = client.authorize_url("state", VERIFIER, &[]).unwrap();
    let response = http().get(url).header("accept", accept).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Status and error of the response to an authorization request that accepts JSON.
async fn authorize_error(client: &Client) -> (u16, Value) {
    let (status, body) = authorize(client, "application/json").await;
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("{status}: {body}")))
}

/// Signs `alice` in; returns her tokens.
async fn sign_in(client: &Client) -> gateway_standins::client::Tokens {
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    client.redeem(&code).await.unwrap()
}

#[tokio::test]
async fn a_client_with_a_metadata_document_signs_in_without_registration() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let id = publish(&document_server, |_| {});
    let client = world.published_client(&id, "/mcp/dice/mcp").await;
    let tokens = sign_in(&client).await;
    let mut session = Session::open(&world.dice_url(), &tokens.access_token).await.unwrap();
    assert!(session.tools().await.unwrap().iter().any(|tool| tool["name"] == "roll"));
    client.refresh(tokens.refresh_token.as_deref().unwrap()).await.unwrap();
    assert_eq!(document_server.request_count(PATH), 1, "the document stayed fresh");
}

#[tokio::test]
async fn only_the_port_of_a_published_loopback_uri_may_differ() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let id = publish(&document_server, |_| {});
    let at = async |redirect_uri: &str| {
        let mut client = world.published_client(&id, SERVER).await;
        redirect_uri.clone_into(&mut client.redirect_uri);
        authorize(&client, "text/html").await.0
    };
    for uri in [
        "http://localhost:50123/callback",
        "http://127.0.0.1:9/callback",
        "https://client.example.com/callback",
    ] {
        assert_eq!(at(uri).await, 200, "{uri}");
    }
    for uri in
        ["http://localhost:50123/other", "https://client.example.com:8443/callback", "http://[::1]/callback"]
    {
        assert_eq!(at(uri).await, 400, "{uri}");
    }
}

#[tokio::test]
async fn the_consent_page_shows_the_host_of_the_metadata_document() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let id = publish(&document_server, |_| {});
    let mut client = world.published_client(&id, SERVER).await;
    let (_, page) = authorize(&client, "text/html").await;
    assert!(
        page.contains("Published client") && page.contains("The name is published by client.example.com.")
    );
    assert!(page.contains("Did you start this?"), "any program can listen on this computer");
    "https://client.example.com/callback".clone_into(&mut client.redirect_uri);
    let (_, page) = authorize(&client, "text/html").await;
    assert!(page.contains("Verified: published by client.example.com"));
    assert!(!page.contains("It registered itself"));
}

#[tokio::test]
async fn a_stale_document_is_fetched_again_and_replaced() {
    let world = World::with_manual_clock(|site| site).await;
    let (world, document_server) = world.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    let publish_document = |document: &Value| {
        document_server
            .set_response(PATH, DocumentResponse::json(document).header("cache-control", "max-age=300"));
    };
    publish_document(&document(&id));
    let client = world.published_client(&id, SERVER).await;
    assert_eq!(authorize(&client, "text/html").await.0, 200);
    let mut changed = document(&id);
    changed["client_name"] = json!("Renamed client");
    changed["redirect_uris"] = json!(["http://localhost/moved"]);
    publish_document(&changed);
    world.clock.advance(Duration::from_secs(299));
    assert_eq!((authorize(&client, "text/html").await.0, document_server.request_count(PATH)), (200, 1));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!((authorize(&client, "text/html").await.0, document_server.request_count(PATH)), (400, 2));
    let moved = Client { redirect_uri: "http://localhost:1/moved".into(), ..client };
    let (status, page) = authorize(&moved, "text/html").await;
    assert!(status == 200 && page.contains("Renamed client"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_share_one_fetch() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    document_server
        .set_response(PATH, DocumentResponse::json(&document(&id)).delay(Duration::from_millis(300)));
    let client = world.published_client(&id, SERVER).await;
    let requests = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { authorize(&client, "text/html").await.0 })
    });
    for status in requests.collect::<Vec<_>>() {
        assert_eq!(status.await.unwrap(), 200);
    }
    assert_eq!(document_server.request_count(PATH), 1);
}

#[tokio::test]
async fn documents_of_unlisted_hosts_are_rejected() {
    let world = World::with(StoreKind::Embedded, |site| {
        site.set(|site| site.client_metadata.hosts = &["claude.ai", "other.example.com"])
    });
    let (world, document_server) = world.await.with_document_server().await;
    let other = document_server.url("other.example.com", PATH);
    document_server.set_response(PATH, DocumentResponse::json(&document(&other)));
    assert_eq!(authorize(&world.published_client(&other, SERVER).await, "text/html").await.0, 200);
    let id = document_server.url(HOST, PATH);
    let (status, error) = authorize_error(&world.published_client(&id, SERVER).await).await;
    assert_eq!((status, error["error"].as_str()), (400, Some("invalid_client")));
    assert_eq!(document_server.request_count(PATH), 1, "no fetch from another host");
}

#[tokio::test]
async fn a_code_of_a_published_client_fails_for_another_client() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let id = publish(&document_server, |_| {});
    let client = world.published_client(&id, SERVER).await;
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let other_client = world.client(SERVER).await;
    let stolen = Client { discovered: client.discovered.clone(), ..other_client };
    assert!(stolen.redeem(&code).await.unwrap_err().0.starts_with("invalid_grant"));
    client.redeem(&code).await.unwrap();
}

/// Checks the number of fetches of the document.
fn assert_request_count(document_server: &DocumentServer, times: usize) {
    assert_eq!(document_server.request_count(PATH), times);
}

#[tokio::test]
async fn a_client_like_claude_code_works_on_every_replica_without_registration() {
    let (mut world, document_server) =
        World::with(StoreKind::Redis, |site| site).await.with_document_server().await;
    let id = publish(&document_server, |_| {});
    let client = world.published_client(&id, SERVER).await;
    assert_eq!(client.redirect_uri, CALLBACK);
    let tokens = sign_in(&client).await;
    assert_request_count(&document_server, 1);
    let client = world.after_restart(client).await;
    client.refresh(tokens.refresh_token.as_deref().unwrap()).await.unwrap();
    assert_request_count(&document_server, 2);
}
