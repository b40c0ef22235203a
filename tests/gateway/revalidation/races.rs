//! Concurrent refreshes: one of them calls Okta for all, across replicas.

use super::{MINUTE, call, okta_refresh_count, single_use_refresh_tokens};
use crate::harness::{SiteBuilder, StoreKind, World};
use gateway_standins::client::{Client, Tokens};
use gateway_standins::okta::Outage;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Time that fifty requests take at most on a busy machine: far less than the lease of a revalidation lasts.
const MAX_ROUND_TIME: Duration = Duration::from_secs(30);

/// Site without a noticeable limit of a grant: each refresh may be repeated many times in the same minute.
fn many_refreshes(site: SiteBuilder) -> SiteBuilder {
    site.set(|site| site.limits.grant_tokens = 1_000_000)
}

/// Results of fifty processes that refresh one token concurrently.
async fn fifty_concurrent_refreshes(client: &Arc<Client>, token: &str) -> Vec<Result<String, String>> {
    let mut processes = JoinSet::new();
    for _ in 0..50 {
        let (client, token) = (Arc::clone(client), token.to_owned());
        processes.spawn(async move {
            let refreshed = refresh_despite_outages(&client, &token).await;
            refreshed.map(|tokens| tokens.refresh_token.unwrap())
        });
    }
    processes.join_all().await
}

/// Refreshes again after 503, as clients do: on a busy machine, Redis may not respond within its timeout.
async fn refresh_despite_outages(client: &Client, token: &str) -> Result<Tokens, String> {
    let before = Instant::now();
    loop {
        let refreshed = client.refresh(token).await.map_err(|error| error.to_string());
        let is_outage = matches!(&refreshed, Err(error) if error.starts_with("temporarily_unavailable"));
        if !is_outage || before.elapsed() > MAX_ROUND_TIME {
            return refreshed;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn single_successor(responses: Vec<Result<String, String>>) -> String {
    let mut tokens: HashSet<String> = responses.into_iter().map(Result::unwrap).collect();
    assert_eq!(tokens.len(), 1, "all got the same successor");
    tokens.drain().next().unwrap()
}

/// Error of the first refresh that fails, once the response of Okta has arrived.
async fn refusal_of(client: &Client, mut token: String) -> String {
    let before = Instant::now();
    loop {
        match refresh_despite_outages(client, &token).await {
            Ok(tokens) => token = tokens.refresh_token.unwrap(),
            Err(refused) => return refused,
        }
        assert!(before.elapsed() < MAX_ROUND_TIME, "the grant is not revoked");
    }
}

/// A minute apart, so that each round needs a call to Okta.
async fn fifty_refreshes_call_okta_once_in_three_rounds(world: &World) {
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let (client, mut token) = (Arc::new(client), tokens.refresh_token.unwrap());
    // Slow enough that all others wait for it.
    world.okta.outage_at("/v1/token", Outage::Late(Duration::from_millis(500)));
    for round in 1..=3 {
        world.clock.advance(MINUTE);
        token = single_successor(fifty_concurrent_refreshes(&client, &token).await);
        assert_eq!(okta_refresh_count(world), round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_concurrent_refreshes_call_okta_once_and_get_one_successor() {
    let world =
        World::with_manual_clock_and_okta(single_use_refresh_tokens(), StoreKind::Embedded, many_refreshes)
            .await;
    fifty_refreshes_call_okta_once_in_three_rounds(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_concurrent_refreshes_across_replicas_call_okta_once_and_get_one_successor() {
    let mut world =
        World::with_manual_clock_and_okta(single_use_refresh_tokens(), StoreKind::Redis, many_refreshes)
            .await;
    let _balancer = world.start_balancer(2).await;
    fifty_refreshes_call_okta_once_in_three_rounds(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_refreshes_during_an_outage_call_okta_once_and_wait_at_most_three_seconds() {
    let world = World::with_manual_clock(|site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.outage_at("/v1/token", Outage::Hang);
    world.clock.advance(MINUTE);
    let before = Instant::now();
    single_successor(fifty_concurrent_refreshes(&Arc::new(client), &tokens.refresh_token.unwrap()).await);
    assert!(before.elapsed() < MAX_ROUND_TIME, "{:?}", before.elapsed());
    assert_eq!(okta_refresh_count(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_concurrent_refreshes_of_a_rejected_user_all_fail() {
    let mut world =
        World::with_manual_clock_and_okta(single_use_refresh_tokens(), StoreKind::Redis, many_refreshes)
            .await;
    let _balancer = world.start_balancer(2).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.suspend("alice");
    world.clock.advance(MINUTE);
    let client = Arc::new(client);
    for response in fifty_concurrent_refreshes(&client, &tokens.refresh_token.unwrap()).await {
        // A request whose wait timed out continues as in an outage, with a token that is revoked soon.
        let refused = match response {
            Ok(token) => refusal_of(&client, token).await,
            Err(refused) => refused,
        };
        assert!(refused.starts_with("invalid_grant"), "{refused}");
    }
    assert_eq!(call(&world, &tokens.access_token).await, 401);
    assert_eq!(okta_refresh_count(&world), 1);
}

#[tokio::test]
async fn an_older_token_revokes_the_grant_during_an_okta_outage() {
    let world = World::with_manual_clock(|site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let first = tokens.refresh_token.unwrap();
    let second = client.refresh(&first).await.unwrap().refresh_token.unwrap();
    let third = client.refresh(&second).await.unwrap();
    world.okta.outage(Outage::Refuse503);
    world.clock.advance(Duration::from_mins(9));
    let refused = client.refresh(&first).await.unwrap_err().to_string();
    assert!(refused.starts_with("invalid_grant"), "{refused}");
    assert_eq!(call(&world, &third.access_token).await, 401);
    assert_eq!(okta_refresh_count(&world), 0, "an older token causes no call to Okta");
}
