//! Limits of the fetches of client documents.

use super::{SERVER, authorize, authorize_error, sign_in};
use crate::harness::metadata_documents::{HOST, PATH, document, publish};
use crate::harness::{SiteBuilder, StoreKind, World};
use gateway_routes::ClientMetadataMode::Fetch;
use gateway_standins::client::Client;
use gateway_standins::document_server::{DocumentResponse, DocumentServer};
use std::time::Duration;

/// Longer than any document stays fresh.
const DAY: Duration = Duration::from_hours(25);
const RETRY_DELAY: Duration = Duration::from_secs(31);

/// Allows one fetch in a minute for each client and address.
fn one_fetch(site: SiteBuilder) -> SiteBuilder {
    site.set(|site| {
        site.limits.client_metadata_fetches = 1;
        (site.limits.client_authorizations, site.limits.client_tokens) = (1000, 1000);
    })
}

/// World with a manual clock at the start of a minute and one fetch in a minute.
async fn world_with_one_fetch(store_kind: StoreKind) -> (World, DocumentServer, String) {
    let world = World::with_manual_clock_on(store_kind, one_fetch).await;
    let (world, document_server) = world.with_document_server().await;
    next_minute(&world);
    let id = document_server.url(HOST, PATH);
    (world, document_server, id)
}

fn next_minute(world: &World) {
    world.clock.advance(Duration::from_secs(60 - world.clock.now().seconds() % 60));
}

/// Statuses of many concurrent authorization requests of one client.
async fn authorize_concurrently(client: &Client) -> Vec<u16> {
    let requests = (0..60).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { authorize(&client, "text/html").await.0 })
    });
    let mut statuses = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        statuses.push(request.await.unwrap());
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_for_a_shared_fetch_are_not_counted() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let (world, document_server, id) = world_with_one_fetch(store_kind).await;
        let slow = DocumentResponse::json(&document(&id)).delay(Duration::from_millis(500));
        document_server.set_response(PATH, slow);
        let client = world.published_client(&id, SERVER).await;
        assert_eq!(authorize_concurrently(&client).await, [200; 60]);
        assert_eq!(document_server.request_count(PATH), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_hangs_costs_no_client_with_a_compiled_document_its_limit() {
    let (mut world, document_server, id) = world_with_one_fetch(StoreKind::Embedded).await;
    world.compile_documents(Fetch, &[document(&id)]).await;
    document_server.set_response(PATH, DocumentResponse::json(&document(&id)).delay(Duration::from_secs(20)));
    let client = world.published_client(&id, SERVER).await;
    assert_eq!(authorize_concurrently(&client).await, [200; 60]);
    assert_eq!(document_server.request_count(PATH), 1);
    // The failure is no longer remembered, and the one fetch of this minute is used.
    world.clock.advance(RETRY_DELAY);
    assert_eq!(authorize_concurrently(&client).await, [200; 60]);
    let token = sign_in(&client).await.refresh_token.unwrap();
    client.refresh(&token).await.unwrap();
    assert_eq!(document_server.request_count(PATH), 1);
    next_minute(&world);
    document_server.set_response(PATH, DocumentResponse::json(&document(&id)));
    assert_eq!(authorize(&client, "text/html").await.0, 200);
    assert_eq!(document_server.request_count(PATH), 2);
}

#[tokio::test]
async fn the_last_good_copy_is_used_over_the_limit() {
    let (world, document_server, id) = world_with_one_fetch(StoreKind::Embedded).await;
    publish(&document_server, |_| {});
    let client = world.published_client(&id, SERVER).await;
    let token = sign_in(&client).await.refresh_token.unwrap();
    world.clock.advance(DAY);
    next_minute(&world);
    document_server.set_down(true);
    let token = client.refresh(&token).await.unwrap().refresh_token.unwrap();
    world.clock.advance(RETRY_DELAY);
    document_server.set_down(false);
    client.refresh(&token).await.unwrap();
    sign_in(&client).await;
    assert_eq!(document_server.request_count(PATH), 1, "no fetch over the limit");
}

#[tokio::test]
async fn a_client_cannot_select_the_compiled_document_by_exceeding_the_limit() {
    let (mut world, document_server, id) = world_with_one_fetch(StoreKind::Embedded).await;
    world.compile_documents(Fetch, &[document(&id)]).await;
    document_server.set_response(PATH, DocumentResponse::text("text/html", "").status(404));
    let client = world.published_client(&id, SERVER).await;
    assert_eq!(authorize_error(&client).await.0, 400);
    for _ in 0..2 {
        assert_eq!(authorize(&client, "application/json").await.0, 429);
        world.clock.advance(RETRY_DELAY / 2);
    }
}

/// Starts as many slow fetches as an address may have.
async fn occupy(world: &World, document_server: &DocumentServer) -> Vec<tokio::task::JoinHandle<u16>> {
    let path = |n: usize| format!("/slow/{n}.json");
    let mut requests = Vec::new();
    for n in 0..4 {
        let id = document_server.url(HOST, &path(n));
        document_server
            .set_response(&path(n), DocumentResponse::json(&document(&id)).delay(Duration::from_secs(3)));
        let client = world.published_client(&id, SERVER).await;
        requests.push(tokio::spawn(async move { authorize(&client, "text/html").await.0 }));
        while document_server.request_count(&path(n)) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    requests
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_at_most_four_concurrent_fetches() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let requests = occupy(&world, &document_server).await;
    let other = world.published_client(&publish(&document_server, |_| {}), SERVER).await;
    assert_eq!(authorize(&other, "application/json").await.0, 429);
    for status in requests {
        assert_eq!(status.await.unwrap(), 200);
    }
    assert_eq!(authorize(&other, "text/html").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiled_document_is_used_while_an_address_has_too_many_concurrent_fetches() {
    let (mut world, document_server) = World::start().await.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    world.compile_documents(Fetch, &[document(&id)]).await;
    let requests = occupy(&world, &document_server).await;
    let client = world.published_client(&id, SERVER).await;
    assert_eq!(authorize(&client, "text/html").await.0, 200);
    sign_in(&client).await;
    assert_eq!(document_server.request_count(PATH), 0);
    for status in requests {
        assert_eq!(status.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn failed_fetches_are_rate_limited_per_client_and_address() {
    let few = |site: SiteBuilder| {
        site.set(|site| (site.limits.client_metadata_fetches, site.limits.metadata_fetches) = (2, 3))
    };
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = World::with_manual_clock_on(store_kind, few).await;
        let (world, document_server) = world.with_document_server().await;
        let id = document_server.url(HOST, PATH);
        let client = world.published_client(&id, SERVER).await;
        let other = world.published_client(&document_server.url("other.example.com", PATH), SERVER).await;
        for wanted in [400, 400, 429, 429] {
            assert_eq!(authorize(&client, "application/json").await.0, wanted);
        }
        assert_eq!(document_server.request_count(PATH), 2);
        for wanted in [400, 429] {
            assert_eq!(authorize(&other, "application/json").await.0, wanted);
        }
        assert_eq!(document_server.request_count(PATH), 3);
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
        let (status, response) = client.token(&form).await.unwrap();
        assert_eq!((status, response["error"].as_str()), (429, Some("temporarily_unavailable")));
        world.clock.advance(Duration::from_mins(1));
        document_server.set_response(PATH, DocumentResponse::json(&document(&id)));
        assert_eq!(authorize(&client, "text/html").await.0, 200);
    }
}
