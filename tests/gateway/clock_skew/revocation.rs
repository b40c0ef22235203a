//! An acknowledged revocation ends its grant, regardless of clock skew and of the times in the token.

use super::{ECHO, SKEWS, call, post, refresh};
use crate::harness::{Replica, StoreKind, World};
use gateway_standins::client::{Client, Tokens};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time within which a revocation applies on every replica (contract: Revocation).
const TIMEOUT: Duration = Duration::from_secs(5);

async fn revoke(replica: &Replica, client: &Client, token: &str) -> (u16, Value) {
    post(replica, "/auth/revoke", &[("client_id", &client.id), ("token", token)]).await
}

/// Checks that calls end in time on every replica, and refreshes at once.
async fn assert_ended(replicas: &[Arc<Replica>], client: &Client, tokens: &Tokens, what: &str) {
    let deadline = Instant::now() + TIMEOUT;
    for replica in replicas {
        while call(replica, &tokens.access_token).await != 401 {
            assert!(Instant::now() < deadline, "{what}: it is still valid");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (status, refused) = refresh(replica, client, tokens.refresh_token.as_ref().unwrap()).await;
        assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_grant")), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_of_either_token_ends_the_grant_on_every_replica() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    let balancer = world.start_balancer_with_clock_skews(&SKEWS).await;
    let replicas = balancer.replicas();
    let mut ended = Vec::new();
    for (seconds, replica) in SKEWS.into_iter().zip(&replicas) {
        for by_refresh_token in [true, false] {
            let (client, tokens) = world.sign_in(ECHO, "alice").await;
            for replica in &replicas {
                assert_eq!(call(replica, &tokens.access_token).await, 200);
            }
            let refresh_token = tokens.refresh_token.clone().unwrap();
            let token = if by_refresh_token { &refresh_token } else { &tokens.access_token };
            assert_eq!(revoke(replica, &client, token).await.0, 200);
            ended.push((client, tokens, format!("{seconds} s, by refresh token: {by_refresh_token}")));
        }
    }
    for (client, tokens, what) in &ended {
        assert_ended(&replicas, client, tokens, what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_issued_in_the_future_can_be_revoked() {
    // Beyond the tolerated clock skew: calls are rejected, a revocation is not.
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    let ahead = world.skewed_replica(3600).await;
    let (client, tokens) = world.sign_in(ECHO, "alice").await;
    let (status, response) = refresh(&ahead, &client, tokens.refresh_token.as_ref().unwrap()).await;
    assert_eq!(status, 200, "{response}");
    let access_token = response["access_token"].as_str().unwrap().to_owned();
    let refresh_token = Some(response["refresh_token"].as_str().unwrap().to_owned());
    let behind = Arc::new(world.skewed_replica(-600).await);
    assert_eq!(call(&behind, &access_token).await, 401);
    assert_eq!(revoke(&behind, &client, &access_token).await.0, 200);
    let tokens = Tokens { access_token, refresh_token, ..tokens };
    assert_ended(&[behind, Arc::new(ahead)], &client, &tokens, "an hour ahead").await;
}

#[tokio::test]
async fn an_expired_access_token_revokes_its_grant_in_both_stores() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let mut world = World::with_manual_clock_on(store_kind, |site| site).await;
        let shared = world.redis.is_some();
        for days in [0, 1, 29] {
            let (client, tokens) = world.sign_in(ECHO, "alice").await;
            world.clock.advance(Duration::from_secs(days * 24 * 60 * 60 + 3600));
            let form = [("client_id", &*client.id), ("token", &tokens.access_token)];
            let revoked = crate::harness::http().post(world.url("/auth/revoke")).form(&form).send().await;
            assert_eq!(revoked.unwrap().status(), 200);
            let refused = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap_err().to_string();
            assert!(refused.starts_with("invalid_grant"), "{days} days, shared: {shared}: {refused}");
        }
        world.stop_gateway().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_races_a_revocation_does_not_restore_the_grant() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    let balancer = world.start_balancer_with_clock_skews(&[0, 90, -90]).await;
    let replicas = balancer.replicas();
    for round in 0..12 {
        let (client, tokens) = world.sign_in(ECHO, "alice").await;
        let refresh_token = tokens.refresh_token.clone().unwrap();
        let (revoking, refreshing) = (&replicas[round % 3], &replicas[(round + 1) % 3]);
        let (revoked, refreshed) = tokio::join!(
            revoke(revoking, &client, &tokens.access_token),
            refresh(refreshing, &client, &refresh_token)
        );
        assert_eq!(revoked.0, 200);
        assert_ended(&replicas, &client, &tokens, "the old tokens").await;
        if refreshed.0 == 200 {
            let text = |member: &str| refreshed.1[member].as_str().unwrap().to_owned();
            let refresh_token = Some(text("refresh_token"));
            let tokens = Tokens { access_token: text("access_token"), refresh_token, ..tokens };
            assert_ended(&replicas, &client, &tokens, "the new tokens").await;
        }
    }
}
