//! Calls that end before the response head, because what admitted them has ended.

use super::TIMEOUT;
use crate::harness::{SiteBuilder, StoreKind, World, http};
use gateway_routes::Route;
use reqwest::Response;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const SLOW: &str = "/mcp/raw/slow-head";

fn engineers_only(site: SiteBuilder) -> SiteBuilder {
    site.change("/mcp/raw/", |route| Route { groups: &["Engineering"], ..route })
}

/// Starts a call whose response head does not come.
async fn start_call(world: &World, token: &str) -> JoinHandle<reqwest::Result<Response>> {
    let call = tokio::spawn(http().get(world.url(SLOW)).bearer_auth(token).send());
    world.backend.wait_for_request("/slow-head").await.unwrap();
    call
}

/// Status, `Retry-After` and body of the response to the call.
async fn ended(call: JoinHandle<reqwest::Result<Response>>) -> (u16, Option<String>, String) {
    let response = timeout(TIMEOUT, call).await.unwrap().unwrap().unwrap();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), retry_after, response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_leaves_the_groups_before_the_response_head_gets_403() {
    let world = World::with_manual_clock(engineers_only).await;
    world.okta.set_groups("alice", &["Engineering"]);
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let call = start_call(&world, &tokens.access_token).await;
    world.okta.set_groups("alice", &["Sales"]);
    world.clock.advance(Duration::from_mins(1));
    client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    let (status, retry_after, body) = ended(call).await;
    assert_eq!((status, retry_after), (403, None), "{body}");
    assert!(!body.contains("insufficient_scope") && !body.contains("cannot be reached"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_grant_could_not_be_checked_for_a_minute_gets_503() {
    let world = World::with_manual_clock_on(StoreKind::Redis, |site| site).await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let call = start_call(&world, &tokens.access_token).await;
    world.redis.as_ref().unwrap().stop();
    world.clock.advance(Duration::from_secs(61));
    let (status, retry_after, body) = ended(call).await;
    assert_eq!((status, retry_after.as_deref()), (503, Some("2")), "{body}");
    assert!(!body.contains("cannot be reached"), "{body}");
}
