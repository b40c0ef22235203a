//! Published client packages: each signs in, calls the dice tool, and calls it again after a restart of the gateway
//! without a new login. `tests/clients/README.md` describes the drivers.

use crate::harness::drivers::{self, FASTMCP, MCP_REMOTE, PYTHON, Provider, TYPESCRIPT_V1, TYPESCRIPT_V2};
use crate::harness::metadata_documents::{PATH, publish};
use crate::harness::{CALLBACK, SiteBuilder, StoreKind, World, http};
use gateway::base::clock::MAX_CLOCK_SKEW;
use gateway_standins::okta::Outage;
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

/// Runs a driver against the dice server; it must succeed.
async fn run(driver: &[&str], world: &World, state: &TempDir, more: &[(&str, &str)]) -> Value {
    let line = drivers::run(driver, &world.dice_url(), state.path(), more).await;
    assert_eq!(line["ok"], true, "{driver:?}: {line}");
    line
}

/// Signs in, restarts the gateway and calls again without a login.
async fn assert_one_sign_in(driver: &[&str], store_kind: StoreKind, more: &[(&str, &str)]) {
    let mut world = World::with(store_kind, |site| site).await;
    let state = tempfile::tempdir().unwrap();
    let first = run(driver, &world, &state, more).await;
    assert_eq!(first["signed_in"], true);
    assert_eq!(first["text"].as_str().unwrap().split(", ").count(), 2, "two dice: {first}");
    world.restart().await;
    let second = run(driver, &world, &state, more).await;
    assert_eq!(second["signed_in"], false, "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_remote_signs_in_once_on_the_embedded_store() {
    assert_one_sign_in(MCP_REMOTE, StoreKind::Embedded, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_remote_signs_in_once_on_redis() {
    assert_one_sign_in(MCP_REMOTE, StoreKind::Redis, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_signs_in_once_on_the_embedded_store() {
    assert_one_sign_in(TYPESCRIPT_V2, StoreKind::Embedded, &[]).await;
    assert_one_sign_in(TYPESCRIPT_V1, StoreKind::Embedded, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_signs_in_once_on_redis() {
    assert_one_sign_in(TYPESCRIPT_V2, StoreKind::Redis, &[]).await;
    assert_one_sign_in(TYPESCRIPT_V1, StoreKind::Redis, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_signs_in_once_on_the_embedded_store() {
    assert_one_sign_in(PYTHON, StoreKind::Embedded, &[]).await;
    assert_one_sign_in(FASTMCP, StoreKind::Embedded, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_signs_in_once_on_redis() {
    assert_one_sign_in(PYTHON, StoreKind::Redis, &[]).await;
    assert_one_sign_in(FASTMCP, StoreKind::Redis, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confidential_client_signs_in_with_its_secret_in_the_header_or_in_the_body() {
    for driver in [TYPESCRIPT_V2, TYPESCRIPT_V1, PYTHON] {
        for method in ["client_secret_basic", "client_secret_post"] {
            let world = World::start().await;
            let state = tempfile::tempdir().unwrap();
            run(driver, &world, &state, &[("AUTH_METHOD", method)]).await;
        }
    }
}

/// The clients only know the URL of the document; the gateway fetches it.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_signs_in_with_a_metadata_document() {
    for driver in [MCP_REMOTE, TYPESCRIPT_V2, TYPESCRIPT_V1, PYTHON] {
        let limits = |site: SiteBuilder| site.set(|site| site.limits.registrations = 1);
        let (mut world, document_server) =
            World::with(StoreKind::Embedded, limits).await.with_document_server().await;
        world.client("/mcp/dice/mcp").await;
        let id = publish(&document_server, |document| {
            document["redirect_uris"] =
                json!(["http://localhost/callback", "http://localhost/oauth/callback"]);
        });
        let state = tempfile::tempdir().unwrap();
        let more = [("CLIENT_METADATA_URL", &*id)];
        assert_eq!(run(driver, &world, &state, &more).await["signed_in"], true);
        assert_eq!(document_server.request_count(PATH), 1, "{driver:?}");
        world.restart().await;
        assert_eq!(run(driver, &world, &state, &more).await["signed_in"], false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_remote_signs_in_after_okta_was_down_at_startup() {
    let mut world = World::start().await;
    world.okta.outage(Outage::Refuse503);
    world.restart().await;
    assert_eq!(http().get(world.url("/healthz")).send().await.unwrap().status(), 200);
    world.okta.outage(Outage::None);
    assert_eq!(run(MCP_REMOTE, &world, &tempfile::tempdir().unwrap(), &[]).await["signed_in"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_remote_signs_in_after_redis_was_down_at_startup() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    world.stop_gateway().await;
    world.redis.as_ref().unwrap().stop();
    world.start_gateway();
    assert_eq!(http().get(world.url("/readyz")).send().await.unwrap().status(), 503);
    world.redis.as_ref().unwrap().resume().unwrap();
    world.wait_until_ready().await;
    assert_eq!(run(MCP_REMOTE, &world, &tempfile::tempdir().unwrap(), &[]).await["signed_in"], true);
}

/// Clients refresh instead of starting a new login: the Node clients after a 401, the Python clients by their own
/// clock.
#[tokio::test(flavor = "multi_thread")]
async fn every_client_refreshes_after_its_access_token_expired() {
    let ttl = Duration::from_mins(10);
    for driver in [MCP_REMOTE, TYPESCRIPT_V2, TYPESCRIPT_V1, PYTHON, FASTMCP] {
        let world = World::with_manual_clock(|site| site.set(|site| site.tokens.access_ttl = ttl)).await;
        let state = tempfile::tempdir().unwrap();
        run(driver, &world, &state, &[]).await;
        world.clock.advance(ttl + MAX_CLOCK_SKEW);
        let second = run(driver, &world, &state, &[("CLOCK_AHEAD", "720")]).await;
        assert_eq!(second["signed_in"], false, "{driver:?}: {second}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_an_okta_session_clicks_once() {
    let world = World::start().await;
    let jar = tempfile::tempdir().unwrap();
    let jar = jar.path().join("jar");
    let more = [("BROWSER_JAR", jar.to_str().unwrap())];
    let first = run(TYPESCRIPT_V2, &world, &tempfile::tempdir().unwrap(), &more).await;
    assert_eq!(first["forms"], serde_json::json!(["approve", "login"]));
    let second = run(TYPESCRIPT_V2, &world, &tempfile::tempdir().unwrap(), &more).await;
    assert_eq!(second["forms"], serde_json::json!(["approve"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certified_openid_provider_works_in_place_of_okta() {
    let mut world = World::start().await;
    let provider = Provider::start(&world.url("/auth/callback")).await;
    world.restart_with_okta_url(&provider.issuer).await;
    let first = run(MCP_REMOTE, &world, &tempfile::tempdir().unwrap(), &[]).await;
    assert_eq!(first["signed_in"], true);
    run(PYTHON, &world, &tempfile::tempdir().unwrap(), &[("REDIRECT_URI", CALLBACK)]).await;
}
