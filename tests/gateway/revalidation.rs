//! Revalidation: before a refresh rotates, the gateway asks Okta whether the user may still use the app.

mod earlier_release;
mod errors;
mod races;
mod sharing;
mod tokens;

use crate::harness::{SiteBuilder, StoreKind, World, http};
use gateway_standins::okta::{OktaOptions, Outage, RefreshTokens};
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
/// Time within which changes apply on every replica, and streams are closed.
const TIMEOUT: Duration = Duration::from_secs(5);

/// App whose refresh tokens work once: a second use logs the user out.
fn single_use_refresh_tokens() -> OktaOptions {
    OktaOptions { refresh_tokens: RefreshTokens::Rotating { grace: 0 }, ..OktaOptions::default() }
}

/// Number of refreshes that Okta received.
pub(crate) fn okta_refresh_count(world: &World) -> usize {
    let requests = world.okta.requests().into_iter();
    requests.filter(|request| request.field("grant_type") == Some("refresh_token")).count()
}

async fn call(world: &World, token: &str) -> u16 {
    http().get(world.url("/mcp/raw/echo")).bearer_auth(token).send().await.unwrap().status().as_u16()
}

/// Returns `true` if a stream ends in time; keep-alive comments are ignored.
async fn ends_in_time(mut stream: reqwest::Response) -> bool {
    let ended = async { while let Ok(Some(_)) = stream.chunk().await {} };
    tokio::time::timeout(TIMEOUT, ended).await.is_ok()
}

async fn stream(world: &World, token: &str) -> reqwest::Response {
    http().get(world.url("/mcp/raw/sse/silent")).bearer_auth(token).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_rejected_by_okta_loses_access_at_the_next_refresh() {
    let removals: [fn(&World); 3] = [
        |world| world.okta.suspend("alice"),
        |world| world.okta.refuse_assignment("alice"),
        |world| world.okta.revoke_refresh_tokens(),
    ];
    for (store_kind, remove_access) in
        [StoreKind::Embedded, StoreKind::Redis, StoreKind::Embedded].into_iter().zip(removals)
    {
        let world = World::with_manual_clock_on(store_kind, |site| site).await;
        let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
        let stream = stream(&world, &tokens.access_token).await;
        remove_access(&world);
        world.clock.advance(MINUTE);
        let refused = client.refresh(tokens.refresh_token.as_ref().unwrap()).await.unwrap_err().to_string();
        assert!(refused.starts_with("invalid_grant"), "{refused}");
        assert!(refused.contains("Okta does not let this user in any more"), "{refused}");
        assert_eq!(call(&world, &tokens.access_token).await, 401, "the access token ends with the grant");
        assert!(ends_in_time(stream).await, "the stream is still open");
        let again = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap_err().to_string();
        assert!(again.starts_with("invalid_grant"), "{again}");
        assert_eq!(okta_refresh_count(&world), 1, "Okta is not called for an ended grant");
    }
}

#[tokio::test]
async fn okta_is_called_at_most_once_a_minute_per_grant() {
    let world = World::with_manual_clock(|site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let mut token = tokens.refresh_token.unwrap();
    let mut expected = 0;
    for (seconds, calls) in [(0, 0), (59, 0), (1, 1), (0, 0), (59, 0), (1, 1), (600, 1)] {
        world.clock.advance(Duration::from_secs(seconds));
        token = client.refresh(&token).await.unwrap().refresh_token.unwrap();
        expected += calls;
        assert_eq!(okta_refresh_count(&world), expected, "a login and a check are valid for a minute");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_okta_outage_logs_nobody_out() {
    for outage in [Outage::Refuse503, Outage::RateLimited429, Outage::Garbage, Outage::Hang] {
        let world = World::with_manual_clock(|site| site).await;
        let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
        world.okta.outage(outage);
        world.clock.advance(Duration::from_mins(59));
        let token = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap().refresh_token.unwrap();
        world.clock.advance(MINUTE);
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        let (status, body) = client.token(&form).await.unwrap();
        assert_eq!((status, body["error"].as_str()), (503, Some("temporarily_unavailable")), "{outage:?}");
        assert!(okta_refresh_count(&world) <= 2, "{outage:?}: one call a minute during an outage");
        world.okta.outage(Outage::None);
        world.clock.advance(MINUTE);
        client.refresh(&token).await.unwrap();
    }
}

#[tokio::test]
async fn wrong_okta_credentials_of_the_gateway_log_nobody_out() {
    let world = World::with_manual_clock(|site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.set_client_secret("another");
    world.clock.advance(MINUTE);
    let tokens = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    assert_eq!(okta_refresh_count(&world), 1, "Okta returned invalid_client");
    world.okta.set_client_secret(&OktaOptions::default().client_secret);
    world.clock.advance(MINUTE);
    client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
}

#[tokio::test]
async fn okta_grace_sets_the_length_of_a_tolerated_outage() {
    let no_grace = |site: SiteBuilder| site.set(|site| site.okta_grace = Duration::ZERO);
    let world = World::with_manual_clock(no_grace).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.outage(Outage::Refuse503);
    let token = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap().refresh_token.unwrap();
    world.clock.advance(MINUTE);
    let refused = client.refresh(&token).await.unwrap_err().to_string();
    assert!(refused.starts_with("temporarily_unavailable"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn group_changes_apply_at_the_next_refresh_on_every_replica() {
    let members = |site: SiteBuilder| {
        site.change("/mcp/raw/", |route| gateway_routes::Route { groups: &["Engineering"], ..route })
    };
    let world = World::with_manual_clock_on(StoreKind::Redis, members).await;
    let replica = world.replica();
    let there = async |token: &str| {
        let call = replica.request(reqwest::Method::GET, "/mcp/raw/echo").bearer_auth(token);
        call.send().await.unwrap().status().as_u16()
    };
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    assert_eq!((call(&world, &tokens.access_token).await, there(&tokens.access_token).await), (200, 200));
    let stream = stream(&world, &tokens.access_token).await;
    world.okta.set_groups("alice", &["Support"]);
    world.clock.advance(MINUTE);
    let tokens = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    assert_eq!((call(&world, &tokens.access_token).await, there(&tokens.access_token).await), (403, 403));
    assert!(ends_in_time(stream).await, "the stream is open after the user left the group");
    world.okta.set_groups("alice", &["Engineering"]);
    world.clock.advance(MINUTE);
    let tokens = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    assert_eq!((call(&world, &tokens.access_token).await, there(&tokens.access_token).await), (200, 200));
}

#[tokio::test]
async fn the_server_gets_the_updated_groups() {
    let world = World::with_manual_clock(|site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "carol").await;
    world.okta.set_groups("carol", &["Admins"]);
    world.clock.advance(MINUTE);
    let tokens = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    assert_eq!(call(&world, &tokens.access_token).await, 200);
    let forwarded = world.backend.last().unwrap();
    assert_eq!(forwarded.header("x-forwarded-groups"), Some("Admins"));
}
