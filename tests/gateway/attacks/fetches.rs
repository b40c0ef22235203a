//! Server-side request forgery by the URLs of client documents and key sets.

use super::{TARGET, VERIFIER};
use crate::harness::metadata_documents::{HOST, PATH, PRIVATE_ADDRESS, document, publish};
use crate::harness::{CALLBACK, SiteBuilder, StoreKind, World, http};
use gateway_standins::client::Key;
use gateway_standins::document_server::{DocumentResponse, DocumentServer};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

/// Server at a private address on the document server's port; counts its connections.
async fn private_server(document_server: &DocumentServer) -> Arc<AtomicUsize> {
    let listener =
        TcpListener::bind(SocketAddr::new(PRIVATE_ADDRESS, document_server.address().port())).await.unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    connections
}

async fn authorize(world: &World, client_id: &str) -> (u16, Value) {
    let client = world.published_client(client_id, TARGET).await;
    let url = client.authorize_url("state", VERIFIER, &[]).unwrap();
    let response = http().get(url).header("accept", "application/json").send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_never_connected_to() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let connections = private_server(&document_server).await;
    for name in ["private.example.com", "mixed.example.com"] {
        let id = document_server.url(name, PATH);
        document_server.set_response(PATH, DocumentResponse::json(&document(&id)));
        assert_eq!(authorize(&world, &id).await.0, 503, "{name}");
    }
    assert_eq!((connections.load(Ordering::SeqCst), document_server.request_count(PATH)), (0, 0));
}

#[tokio::test]
async fn a_key_set_at_a_private_address_is_never_fetched() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let connections = private_server(&document_server).await;
    let private_url = document_server.url("private.example.com", "/jwks.json");
    let at_a_url = publish(&document_server, |document| {
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["jwks_uri"] = json!(private_url);
    });
    let metadata = json!({
        "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": private_url,
    });
    let response = http().post(world.url("/auth/register")).json(&metadata).send().await.unwrap();
    let registered: Value = response.json().await.unwrap();
    for id in [&*at_a_url, registered["client_id"].as_str().unwrap()] {
        let client = world.published_client_with_key(id, TARGET, Key::es256("1")).await;
        let (status, _) =
            client.token(&[("grant_type", "refresh_token"), ("refresh_token", "x")]).await.unwrap();
        assert_eq!(status, 503);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    for uri in
        ["http://client.example.com/jwks.json", "https://10.0.0.1/jwks.json", "https://localhost/jwks.json"]
    {
        let metadata = json!({
            "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri,
        });
        let response = http().post(world.url("/auth/register")).json(&metadata).send().await.unwrap();
        assert_eq!(response.status(), 400, "{uri}");
    }
}

#[tokio::test]
async fn fetches_do_not_follow_redirects() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let connections = private_server(&document_server).await;
    let id = document_server.url(HOST, PATH);
    let private_url = document_server.url("private.example.com", PATH);
    for to in [&*private_url, &document_server.url("127.0.0.2", PATH), "/moved", "file:///etc/passwd"] {
        for status in [301, 302, 303, 307, 308] {
            let redirect = DocumentResponse::json(&document(&id)).status(status).header("location", to);
            document_server.set_response(PATH, redirect.header("cache-control", "max-age=600"));
            assert_eq!(authorize(&world, &id).await.0, 503, "{status} to {to}");
        }
    }
    assert_eq!((connections.load(Ordering::SeqCst), document_server.request_count("/moved")), (0, 0));
}

#[tokio::test]
async fn fetch_errors_do_not_reveal_internal_names_and_ports() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let _came = private_server(&document_server).await;
    let mut results = Vec::new();
    for name in ["private.example.com", "mixed.example.com", "nowhere.example.com"] {
        results.push(authorize(&world, &document_server.url(name, PATH)).await);
    }
    results.push(authorize(&world, "https://private.example.com:1/closed.json").await);
    document_server.set_down(true);
    results.push(authorize(&world, &document_server.url(HOST, PATH)).await);
    assert!(results.iter().all(|response| *response == results[0] && response.0 == 503), "{results:?}");
}

#[tokio::test]
async fn hosts_of_the_gateways_own_configuration_are_not_fetched_for_a_client() {
    let calls = |site: SiteBuilder| {
        site.change("/mcp/raw/", |route| {
            let target = gateway_routes::Target { host: "Inner.example.com", ..route.target };
            gateway_routes::Route { target, ..route }
        })
    };
    let (mut world, document_server) =
        World::with(StoreKind::Embedded, calls).await.with_document_server().await;
    world.restart_with_okta_url("https://okta.example.com").await;
    let unreachable = authorize(&world, &document_server.url("nowhere.example.com", PATH)).await;
    for name in ["inner.example.com", "okta.example.com"] {
        let id = document_server.url(name, PATH);
        document_server.set_response(PATH, DocumentResponse::json(&document(&id)));
        assert_eq!(authorize(&world, &id).await, unreachable, "{name}");
    }
    assert_eq!(document_server.request_count(PATH), 0);
}

#[tokio::test]
async fn the_production_fetcher_does_not_connect_to_loopback() {
    let world = World::start().await;
    let document_server = DocumentServer::start().await.unwrap();
    let port = document_server.address().port();
    for id in [
        format!("https://localhost:{port}{PATH}"),
        format!("https://127.0.0.1:{port}{PATH}"),
        format!("https://[::1]:{port}{PATH}"),
        format!("https://2130706433:{port}{PATH}"),
        format!("https://client.localhost:{port}{PATH}"),
    ] {
        document_server.set_response(PATH, DocumentResponse::json(&document(&id)));
        assert!([400, 503].contains(&authorize(&world, &id).await.0), "{id}");
    }
    assert_eq!(document_server.request_count(PATH), 0);
}
