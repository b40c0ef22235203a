//! Upgrades and rollbacks on the same store. The next release is this one with one more format.

use crate::harness::{StoreKind, World, http};
use crate::replicas::Sessions;
use gateway::base::clock::Clock;
use gateway::base::entropy::Entropy;
use gateway::settings::RedisAddress;
use gateway::store::{Format, Formats, Store};
use gateway_standins::client::Tokens;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Formats of the next release.
const NEXT: Formats = Formats { newest: 2, ..Formats::THIS };
const ECHO: &str = "/mcp/raw/echo";

async fn restart_with(world: &mut World, formats: Formats, store_format: &'static str) {
    (world.formats, world.store_format) = (formats, store_format);
    world.restart().await;
    world.wait_until_ready().await;
}

async fn call(world: &World, tokens: &Tokens) -> u16 {
    let request = http().post(world.url(ECHO)).bearer_auth(&tokens.access_token).json(&json!({}));
    request.send().await.unwrap().status().as_u16()
}

async fn ready(world: &World) -> u16 {
    http().get(world.url("/readyz")).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_can_be_rolled_back_until_its_format_is_enabled() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let mut world = World::with(store_kind, |site| site).await;
        let (old_client, old) = world.sign_in(ECHO, "alice").await;
        restart_with(&mut world, NEXT, "").await;
        let old = old_client.refresh(&old.refresh_token.unwrap()).await.unwrap();
        let (new_client, new) = world.sign_in(ECHO, "alice").await;
        restart_with(&mut world, Formats::THIS, "").await;
        for (client, tokens) in [(old_client, old), (new_client, new)] {
            assert_eq!(call(&world, &tokens).await, 200);
            client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_and_rollbacks_under_load_fail_no_request() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    let balancer = world.start_balancer(3).await;
    let sessions = Sessions::start(&world).await;
    for (formats, store_format) in [(NEXT, ""), (Formats::THIS, ""), (NEXT, ""), (NEXT, "2")] {
        (world.formats, world.store_format) = (formats, store_format);
        balancer.restart_rolling(&world).await;
    }
    sessions.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_format_switch_an_older_release_rejects_the_store() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let mut world = World::with(store_kind, |site| site).await;
        let (old_client, old) = world.sign_in(ECHO, "alice").await;
        restart_with(&mut world, NEXT, "2").await;
        let old = old_client.refresh(&old.refresh_token.unwrap()).await.unwrap();
        let (new_client, new) = world.sign_in(ECHO, "alice").await;
        world.stop_gateway().await;
        (world.formats, world.store_format) = (Formats::THIS, "");
        let error = older_release_error(&mut world).await;
        assert!(
            error.contains("run the release that switched it on (STORE_FORMAT=2) or a newer one"),
            "{error}"
        );
        // The store records the switch.
        restart_with(&mut world, NEXT, "").await;
        for (client, tokens) in [(old_client, old), (new_client, new)] {
            assert_eq!(call(&world, &tokens).await, 200);
            client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
        }
    }
}

/// Error of the older release: it does not start on the file, or does not become ready on Redis.
async fn older_release_error(world: &mut World) -> String {
    let Some(address) = world.redis.as_ref().map(gateway_standins::redis::Redis::address) else {
        return world.startup_error();
    };
    world.start_gateway();
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        assert_eq!(ready(world).await, 503);
    }
    let address = RedisAddress::parse(&address, None).unwrap();
    let older = Store::redis(address, Clock::system(), Entropy::system(), Format::default()).unwrap();
    older.ping().await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_replica_returns_503_for_records_it_cannot_read() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    world.wait_until_ready().await;
    let (client, tokens) = world.sign_in(ECHO, "alice").await;
    (world.formats, world.store_format) = (NEXT, "2");
    let newer = world.replica();
    let deadline = Instant::now() + Duration::from_secs(30);
    while newer.request(Method::GET, "/readyz").send().await.unwrap().status() != 200 {
        assert!(Instant::now() < deadline, "the newer replica does not become ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refresh = |token: &str| json!({ "grant_type": "refresh_token", "refresh_token": token, "client_id": client.id });
    let refresh_request =
        newer.request(Method::POST, "/auth/token").form(&refresh(tokens.refresh_token.as_ref().unwrap()));
    let response: Value = refresh_request.send().await.unwrap().json().await.unwrap();
    let next = response["refresh_token"].as_str().unwrap();
    assert_eq!(call(&world, &tokens).await, 503);
    let (status, refused) =
        client.token(&[("grant_type", "refresh_token"), ("refresh_token", next)]).await.unwrap();
    assert_eq!((status, refused["error"].as_str()), (503, Some("temporarily_unavailable")));
    let again = newer.request(Method::POST, "/auth/token").form(&refresh(next)).send().await.unwrap();
    assert_eq!(again.status(), 200, "nothing was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_store_format_stops_startup() {
    let mut world = World::start().await;
    world.stop_gateway().await;
    world.store_format = "2";
    assert!(
        world.startup_error().starts_with("STORE_FORMAT is 2, and this release knows the formats 1 to 1")
    );
}
