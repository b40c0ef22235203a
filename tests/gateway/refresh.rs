//! Refresh: reuse revokes the grant; lost responses and concurrent refreshes do not.

use crate::harness::{SiteBuilder, StoreKind, World, http};
use gateway_routes::RefreshReuse;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

async fn call(world: &World, token: &str) -> u16 {
    http().get(world.url("/mcp/raw/echo")).bearer_auth(token).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_processes_get_one_successor_and_an_older_token_revokes_the_grant() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = World::with(store_kind, |site| site).await;
        let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
        let (client, token) = (Arc::new(client), tokens.refresh_token.unwrap());
        let mut processes = JoinSet::new();
        for _ in 0..50 {
            let (client, token) = (Arc::clone(&client), token.clone());
            processes.spawn(async move { client.refresh(&token).await.unwrap() });
        }
        let refreshed = processes.join_all().await;
        let successors: HashSet<_> = refreshed.iter().map(|tokens| tokens.refresh_token.clone()).collect();
        assert_eq!(successors.len(), 1);
        assert_eq!(call(&world, &refreshed[49].access_token).await, 200);
        let newest = client.refresh(successors.iter().flatten().next().unwrap()).await.unwrap();
        let older = client.refresh(&token).await.unwrap_err().to_string();
        assert!(older.starts_with("invalid_grant"), "{older}");
        assert_eq!(call(&world, &newest.access_token).await, 401, "an older token revokes the grant");
        client.refresh(&newest.refresh_token.unwrap()).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_repeated_refresh_gets_the_same_response_for_a_minute_and_then_a_new_token() {
    let world = World::with_manual_clock(|site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let first = tokens.refresh_token.unwrap();
    let lost = client.refresh(&first).await.unwrap().refresh_token.unwrap();
    world.clock.advance(Duration::from_mins(1));
    let again = client.refresh(&first).await.unwrap().refresh_token.unwrap();
    assert_eq!(lost, again, "the same successor after a minute");
    world.clock.advance(Duration::from_millis(1));
    let fresh = client.refresh(&first).await.unwrap().refresh_token.unwrap();
    assert_ne!(lost, fresh, "a new token later, while the successor is unused");
    client.refresh(&fresh).await.unwrap();
    let skipped = client.refresh(&lost).await.unwrap_err().to_string();
    assert!(skipped.starts_with("invalid_grant"), "{skipped}");
}

#[tokio::test]
async fn use_of_a_skipped_token_revokes_the_grant() {
    let world = World::with_manual_clock(|site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let first = tokens.refresh_token.unwrap();
    let skipped = client.refresh(&first).await.unwrap().refresh_token.unwrap();
    world.clock.advance(Duration::from_secs(61));
    let fresh = client.refresh(&first).await.unwrap();
    client.refresh(&skipped).await.unwrap_err();
    assert_eq!(call(&world, &fresh.access_token).await, 401);
    client.refresh(&fresh.refresh_token.unwrap()).await.unwrap_err();
}

#[tokio::test]
async fn refresh_reuse_refuse_only_rejects_an_older_token() {
    let refuse = |site: SiteBuilder| site.set(|site| site.refresh_reuse = RefreshReuse::Refuse);
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = World::with(store_kind, refuse).await;
        let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
        let first = tokens.refresh_token.unwrap();
        let second = client.refresh(&first).await.unwrap().refresh_token.unwrap();
        let third = client.refresh(&second).await.unwrap();
        let refused = client.refresh(&first).await.unwrap_err().to_string();
        assert!(refused.starts_with("invalid_grant"), "{refused}");
        assert_eq!(call(&world, &third.access_token).await, 200);
        client.refresh(&third.refresh_token.unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn an_unused_refresh_token_expires() {
    let world = World::with_manual_clock(|site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let ttl = Duration::from_hours(30 * 24);
    world.clock.advance(ttl.checked_sub(Duration::from_secs(1)).unwrap());
    let next = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap().refresh_token.unwrap();
    world.clock.advance(ttl);
    let ended = client.refresh(&next).await.unwrap_err().to_string();
    assert!(ended.starts_with("invalid_grant"), "{ended}");
}
