//! What an attacker would have the gateway fetch by the address of a client, or of its keys.

use super::{TARGET, VERIFIER};
use crate::harness::publishing::{HOST, PATH, WITHIN, document, publish};
use crate::harness::{CALLBACK, Keep, SiteOf, World, http};
use gateway_standins::client::Key;
use gateway_standins::publisher::{Answer, Publisher};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

/// A server within that counts who comes, on the publisher's port.
async fn trap(publisher: &Publisher) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind(SocketAddr::new(WITHIN, publisher.address().port())).await.unwrap();
    let came = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&came);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    came
}

async fn authorize(world: &World, client_id: &str) -> (u16, Value) {
    let client = world.published(client_id, TARGET).await;
    let url = client.authorize_url(("state", VERIFIER), &[]).unwrap();
    let response = http().get(url).header("accept", "application/json").send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_never_connected_to() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let came = trap(&publisher).await;
    for name in ["within.example.com", "mixed.example.com"] {
        let id = publisher.url(name, PATH);
        publisher.says(PATH, Answer::json(&document(&id)));
        assert_eq!(authorize(&world, &id).await.0, 503, "{name}");
    }
    assert_eq!((came.load(Ordering::SeqCst), publisher.asked(PATH)), (0, 0));
}

#[tokio::test]
async fn a_key_set_at_a_private_address_is_never_fetched() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let came = trap(&publisher).await;
    let within = publisher.url("within.example.com", "/jwks.json");
    let at_a_url = publish(&publisher, |document| {
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["jwks_uri"] = json!(within);
    });
    let metadata = json!({
        "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": within,
    });
    let response = http().post(world.url("/auth/register")).json(&metadata).send().await.unwrap();
    let registered: Value = response.json().await.unwrap();
    for id in [&*at_a_url, registered["client_id"].as_str().unwrap()] {
        let client = world.published_with_key(id, TARGET, Key::es256("1")).await;
        let (status, _) =
            client.token(&[("grant_type", "refresh_token"), ("refresh_token", "x")]).await.unwrap();
        assert_eq!(status, 503);
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
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
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let came = trap(&publisher).await;
    let id = publisher.url(HOST, PATH);
    let within = publisher.url("within.example.com", PATH);
    for to in [&*within, &publisher.url("127.0.0.2", PATH), "/moved", "file:///etc/passwd"] {
        for status in [301, 302, 303, 307, 308] {
            let moved = Answer::json(&document(&id)).status(status).header("location", to);
            publisher.says(PATH, moved.header("cache-control", "max-age=600"));
            assert_eq!(authorize(&world, &id).await.0, 400, "{status} to {to}");
        }
    }
    assert_eq!((came.load(Ordering::SeqCst), publisher.asked("/moved")), (0, 0));
}

#[tokio::test]
async fn fetch_errors_do_not_reveal_internal_names_and_ports() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let _came = trap(&publisher).await;
    let mut told = Vec::new();
    for name in ["within.example.com", "mixed.example.com", "nowhere.example.com"] {
        told.push(authorize(&world, &publisher.url(name, PATH)).await);
    }
    told.push(authorize(&world, "https://within.example.com:1/closed.json").await);
    publisher.is_down(true);
    told.push(authorize(&world, &publisher.url(HOST, PATH)).await);
    assert!(told.iter().all(|answer| *answer == told[0] && answer.0 == 503), "{told:?}");
}

#[tokio::test]
async fn hosts_of_the_gateways_own_configuration_are_not_fetched_for_a_client() {
    let calls = |site: SiteOf| {
        site.change("/mcp/raw/", |route| {
            let target = gateway_routes::Target { host: "Inner.example.com", ..route.target };
            gateway_routes::Route { target, ..route }
        })
    };
    let (mut world, publisher) = World::with(Keep::Embedded, calls).await.and_a_publisher().await;
    world.okta_url("https://okta.example.com").await;
    let unreachable = authorize(&world, &publisher.url("nowhere.example.com", PATH)).await;
    for name in ["inner.example.com", "okta.example.com"] {
        let id = publisher.url(name, PATH);
        publisher.says(PATH, Answer::json(&document(&id)));
        assert_eq!(authorize(&world, &id).await, unreachable, "{name}");
    }
    assert_eq!(publisher.asked(PATH), 0);
}

#[tokio::test]
async fn the_production_fetcher_does_not_connect_to_loopback() {
    let world = World::start().await;
    let publisher = Publisher::start().await.unwrap();
    let port = publisher.address().port();
    for id in [
        format!("https://localhost:{port}{PATH}"),
        format!("https://127.0.0.1:{port}{PATH}"),
        format!("https://[::1]:{port}{PATH}"),
        format!("https://2130706433:{port}{PATH}"),
        format!("https://client.localhost:{port}{PATH}"),
    ] {
        publisher.says(PATH, Answer::json(&document(&id)));
        assert!([400, 503].contains(&authorize(&world, &id).await.0), "{id}");
    }
    assert_eq!(publisher.asked(PATH), 0);
}
