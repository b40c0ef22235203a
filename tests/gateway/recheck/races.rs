//! Refreshes that race: one asks Okta for all, whatever replica each of them reaches.

use super::{MINUTE, asked, call, strict};
use crate::harness::{Keep, World};
use gateway_standins::client::Client;
use gateway_standins::okta::Outage;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What fifty processes get that refresh one token at once.
async fn by_fifty(client: &Arc<Client>, token: &str) -> Vec<Result<String, String>> {
    let mut processes = JoinSet::new();
    for _ in 0..50 {
        let (client, token) = (Arc::clone(client), token.to_owned());
        processes.spawn(async move {
            let refreshed = client.refresh(&token).await;
            refreshed.map(|tokens| tokens.refresh_token.unwrap()).map_err(|trouble| trouble.to_string())
        });
    }
    processes.join_all().await
}

fn same(answers: Vec<Result<String, String>>) -> String {
    let mut tokens: HashSet<String> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(tokens.len(), 1, "each got the same successor");
    tokens.drain().next().unwrap()
}

/// A minute apart, so that Okta has to be asked each time.
async fn fifty_refreshes_call_okta_once_in_three_rounds(world: &World) {
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let (client, mut token) = (Arc::new(client), tokens.refresh_token.unwrap());
    // Slow enough that all of them wait for the one who asks.
    world.okta.outage_at("/v1/token", Outage::Late(Duration::from_millis(500)));
    for round in 1..=3 {
        world.clock.advance(MINUTE);
        token = same(by_fifty(&client, &token).await);
        assert_eq!(asked(world), round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_concurrent_refreshes_call_okta_once_and_get_one_successor() {
    let world = World::in_standing_time_with(strict(), Keep::Embedded, |site| site).await;
    fifty_refreshes_call_okta_once_in_three_rounds(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_concurrent_refreshes_across_replicas_call_okta_once_and_get_one_successor() {
    let mut world = World::in_standing_time_with(strict(), Keep::Redis, |site| site).await;
    let _balancer = world.balanced(2).await;
    fifty_refreshes_call_okta_once_in_three_rounds(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_refreshes_during_an_outage_call_okta_once_and_wait_at_most_three_seconds() {
    let world = World::in_standing_time(|site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.outage_at("/v1/token", Outage::Hang);
    world.clock.advance(MINUTE);
    let before = std::time::Instant::now();
    same(by_fifty(&Arc::new(client), &tokens.refresh_token.unwrap()).await);
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    assert_eq!(asked(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_concurrent_refreshes_of_a_rejected_user_all_fail() {
    let mut world = World::in_standing_time_with(strict(), Keep::Redis, |site| site).await;
    let _balancer = world.balanced(2).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.suspend("alice");
    world.clock.advance(MINUTE);
    let client = Arc::new(client);
    for answer in by_fifty(&client, &tokens.refresh_token.unwrap()).await {
        // One that had no more patience goes on, as in an outage, with a token that is dead by now.
        let refused = match answer {
            Ok(token) => client.refresh(&token).await.unwrap_err().to_string(),
            Err(refused) => refused,
        };
        assert!(refused.starts_with("invalid_grant"), "{refused}");
    }
    assert_eq!(call(&world, &tokens.access_token).await, 401);
    assert_eq!(asked(&world), 1);
}

#[tokio::test]
async fn an_older_token_revokes_the_grant_during_an_okta_outage() {
    let world = World::in_standing_time(|site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let first = tokens.refresh_token.unwrap();
    let second = client.refresh(&first).await.unwrap().refresh_token.unwrap();
    let third = client.refresh(&second).await.unwrap();
    world.okta.outage(Outage::Refuse503);
    world.clock.advance(Duration::from_mins(9));
    let refused = client.refresh(&first).await.unwrap_err().to_string();
    assert!(refused.starts_with("invalid_grant"), "{refused}");
    assert_eq!(call(&world, &third.access_token).await, 401);
    assert_eq!(asked(&world), 0, "whoever holds a used token is no reason to ask Okta");
}
