//! Outages of the servers behind the gateway.

mod failover;
mod faults;

use crate::harness::{StoreKind, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::Login;
use gateway_standins::okta::Outage;
use serde_json::json;
use std::time::{Duration, Instant};

async fn call(world: &World, token: &str) -> u16 {
    let request = http().post(world.url("/mcp/raw/echo")).bearer_auth(token).json(&json!({}));
    request.send().await.unwrap().status().as_u16()
}

/// Repeats a request until its status is `wanted`, for at most ten seconds.
async fn eventually_returns(wanted: u16, mut request: impl AsyncFnMut() -> u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if request().await == wanted {
            return true;
        }
        // Fewer requests than the limits of one address, client and grant in a minute.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_while_okta_is_down_and_logins_work_later() {
    let mut world = World::start().await;
    world.okta.outage(Outage::Refuse503);
    world.restart().await;
    let status =
        http().get(world.url("/.well-known/oauth-authorization-server")).send().await.unwrap().status();
    assert_eq!(status, 200, "clients discover the gateway while Okta is down");
    world.okta.outage(Outage::None);
    world.sign_in("/mcp/raw/echo", "alice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_while_redis_is_down_and_becomes_ready_later() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    world.stop_gateway().await;
    world.redis.as_ref().unwrap().stop();
    world.start_gateway();
    let ready = async || http().get(world.url("/readyz")).send().await.unwrap().status().as_u16();
    assert_eq!(ready().await, 503);
    world.redis.as_ref().unwrap().resume().unwrap();
    assert!(eventually_returns(200, ready).await);
    world.sign_in("/mcp/raw/echo", "alice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_outage_is_503_and_never_401() {
    let world = World::with(StoreKind::Redis, |site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let (_, never_seen) = world.sign_in("/mcp/raw/echo", "alice").await;
    assert_eq!(call(&world, &tokens.access_token).await, 200);
    world.redis.as_ref().unwrap().stop();
    assert_eq!(call(&world, &tokens.access_token).await, 200, "valid within the last minute");
    assert_eq!(call(&world, &never_seen.access_token).await, 503);
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", &**tokens.refresh_token.as_ref().unwrap())];
    let call_started = Instant::now();
    let (status, body) = client.token(&form).await.unwrap();
    assert_eq!((status, body["error"].as_str()), (503, Some("temporarily_unavailable")));
    assert!(call_started.elapsed() < Duration::from_secs(5), "never a hang");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_redis_logs_users_out_and_keeps_registrations() {
    let world = World::with(StoreKind::Redis, |site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.redis.as_ref().unwrap().command(&["FLUSHALL"]).unwrap();
    assert!(eventually_returns(401, async || call(&world, &tokens.access_token).await).await);
    let refused = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap_err().to_string();
    assert!(refused.starts_with("invalid_grant"), "{refused}");
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    client.redeem(&code).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_survives_a_restart_of_the_gateway() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let mut world = World::with(store_kind, |site| site).await;
        let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
        world.restart().await;
        assert_eq!(call(&world, &tokens.access_token).await, 200);
        client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    }
}
