//! `POST /auth/revoke` (RFC 7009), and the end of a revoked grant.

use crate::harness::{CALLBACK, StoreKind, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Client, Login};
use reqwest::header::HeaderValue;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Time within which a revocation applies on every replica (contract: Revocation).
const TIMEOUT: Duration = Duration::from_secs(5);

async fn revoke(world: &World, form: &[(&str, &str)]) -> (u16, Value) {
    let response = http().post(world.url("/auth/revoke")).form(form).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

async fn revoke_by(world: &World, client: &Client, token: &str) -> (u16, Value) {
    revoke(world, &[("client_id", &client.id), ("token", token)]).await
}

async fn call(world: &World, token: &str) -> u16 {
    http().get(world.url("/mcp/raw/echo")).bearer_auth(token).send().await.unwrap().status().as_u16()
}

/// Returns `true` if a stream ends in time; keep-alive comments are ignored.
async fn ends_in_time(mut stream: Response) -> bool {
    let ended = async { while let Ok(Some(_)) = stream.chunk().await {} };
    tokio::time::timeout(TIMEOUT, ended).await.is_ok()
}

#[tokio::test]
async fn either_token_revokes_the_grant() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = World::with(store_kind, |site| site).await;
        for by_refresh_token in [true, false] {
            let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
            let refresh_token = tokens.refresh_token.unwrap();
            assert_eq!(call(&world, &tokens.access_token).await, 200);
            let token = if by_refresh_token { &refresh_token } else { &tokens.access_token };
            assert_eq!(revoke_by(&world, &client, token).await, (200, Value::Null));
            assert_eq!(call(&world, &tokens.access_token).await, 401);
            let refused = client.refresh(&refresh_token).await.unwrap_err().to_string();
            assert!(refused.starts_with("invalid_grant"), "{refused}");
            assert_eq!(revoke_by(&world, &client, token).await.0, 200, "revocation is idempotent");
        }
    }
}

#[tokio::test]
async fn a_revocation_affects_no_other_grant_of_the_user() {
    let world = World::start().await;
    let (client, first) = world.sign_in("/mcp/raw/echo", "alice").await;
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let second = client.redeem(&code).await.unwrap();
    revoke_by(&world, &client, &first.access_token).await;
    assert_eq!(call(&world, &first.access_token).await, 401);
    assert_eq!(call(&world, &second.access_token).await, 200);
}

#[tokio::test]
async fn the_revocation_of_an_unknown_token_is_200() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let other = World::start().await;
    let (_, foreign) = other.sign_in("/mcp/raw/echo", "alice").await;
    for token in ["x", &foreign.access_token, &foreign.refresh_token.unwrap()] {
        let form = [("client_id", &*client.id), ("token", token), ("token_type_hint", "whatever")];
        assert_eq!(revoke(&world, &form).await.0, 200, "{token}");
    }
}

#[tokio::test]
async fn only_its_own_client_may_revoke_a_token() {
    let world = World::start().await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let other_client = world.client("/mcp/raw/echo").await;
    let (status, response) = revoke_by(&world, &other_client, &tokens.access_token).await;
    assert_eq!((status, response["error"].as_str()), (400, Some("invalid_grant")));
    let discovered = client::discover(&world.url("/mcp/raw/echo")).await.unwrap();
    let confidential = discovered.register("Confidential", "client_secret_post", CALLBACK).await.unwrap();
    let (status, response) = revoke_by(&world, &confidential, &tokens.access_token).await;
    assert_eq!((status, response["error"].as_str()), (401, Some("invalid_client")));
    assert_eq!(call(&world, &tokens.access_token).await, 200);
}

#[tokio::test]
async fn a_revocation_needs_exactly_one_token() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let id = ("client_id", &*client.id);
    for form in [&[id][..], &[id, ("token", "x"), ("token", "y")], &[id, ("token", "")]] {
        let (status, response) = revoke(&world, form).await;
        assert_eq!((status, response["error"].as_str()), (400, Some("invalid_request")), "{form:?}");
    }
}

#[tokio::test]
async fn revocation_allows_every_cors_origin() {
    let world = World::start().await;
    let any = HeaderValue::from_static("*");
    let preflight = http().request(Method::OPTIONS, world.url("/auth/revoke"));
    let preflight = preflight.header("origin", "https://app.example.net").send().await.unwrap();
    assert_eq!(
        (preflight.status().as_u16(), &preflight.headers()["access-control-allow-origin"]),
        (204, &any)
    );
    let response = http().post(world.url("/auth/revoke")).form(&[("token", "x")]).send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["access-control-allow-origin"]), (400, &any));
}

#[tokio::test]
async fn a_revocation_that_could_not_be_stored_is_503() {
    let world = World::with(StoreKind::Redis, |site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.redis.as_ref().unwrap().stop();
    let (status, response) = revoke_by(&world, &client, &tokens.access_token).await;
    assert_eq!((status, response["error"].as_str()), (503, Some("temporarily_unavailable")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_applies_on_every_replica_and_closes_open_streams() {
    let world = World::with(StoreKind::Redis, |site| site).await;
    let (replica, third) = (world.replica(), world.replica());
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let (_, other) = world.sign_in("/mcp/raw/echo", "bob").await;
    let token = &tokens.access_token;
    let here = http().get(world.url("/mcp/raw/sse/silent")).bearer_auth(token).send().await.unwrap();
    let open = |token: &str| replica.request(Method::GET, "/mcp/raw/sse/silent").bearer_auth(token);
    let there = open(token).send().await.unwrap();
    let elsewhere = third.request(Method::GET, "/mcp/raw/sse/silent").bearer_auth(token);
    let elsewhere = elsewhere.send().await.unwrap();
    let others = open(&other.access_token).send().await.unwrap();
    assert_eq!([&here, &there, &elsewhere, &others].map(|stream| stream.status().as_u16()), [200; 4]);
    assert_eq!(revoke_by(&world, &client, token).await.0, 200);
    let started = Instant::now();
    assert!(ends_in_time(here).await, "on the replica that revoked it");
    assert!(ends_in_time(there).await, "on another replica");
    assert!(ends_in_time(elsewhere).await, "on a third replica");
    assert!(started.elapsed() < TIMEOUT);
    let refused = replica.request(Method::POST, "/mcp/raw/echo").bearer_auth(token).json(&json!({}));
    assert_eq!(refused.send().await.unwrap().status(), 401);
    let allowed = replica.request(Method::POST, "/mcp/raw/echo").bearer_auth(&other.access_token);
    assert_eq!(allowed.send().await.unwrap().status(), 200);
    drop(others);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_redis_closes_the_streams_of_lost_grants() {
    let world = World::with(StoreKind::Redis, |site| site).await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let stream = http().get(world.url("/mcp/raw/sse/silent")).bearer_auth(&tokens.access_token);
    let stream = stream.send().await.unwrap();
    world.redis.as_ref().unwrap().command(&["FLUSHALL"]).unwrap();
    assert!(ends_in_time(stream).await);
}
