//! Okta's refresh token: the gateway has its only copy, which Okta may replace at each use.

use super::{MINUTE, call, okta_refresh_count, single_use_refresh_tokens};
use crate::harness::{StoreKind, World};
use gateway_standins::browser::Browser;
use gateway_standins::client::Login;
use gateway_standins::okta::{IdTokenFault, Outage};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_okta_refresh_token_is_stored_and_survives_a_restart() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let mut world =
            World::with_manual_clock_and_okta(single_use_refresh_tokens(), store_kind, |site| site).await;
        let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
        let mut token = tokens.refresh_token.unwrap();
        for _ in 0..3 {
            world.clock.advance(MINUTE);
            token = client.refresh(&token).await.unwrap().refresh_token.unwrap();
            world.restart().await;
        }
        assert_eq!(okta_refresh_count(&world), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_okta_response_delays_no_client_and_is_stored() {
    let world =
        World::with_manual_clock_and_okta(single_use_refresh_tokens(), StoreKind::Embedded, |site| site)
            .await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.outage_at("/v1/token", Outage::Late(Duration::from_secs(4)));
    world.clock.advance(MINUTE);
    let token = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap().refresh_token.unwrap();
    world.okta.outage_at("/v1/token", Outage::None);
    let token = client.refresh(&token).await.unwrap().refresh_token.unwrap();
    assert_eq!(okta_refresh_count(&world), 1, "it waits for the pending call");
    world.clock.advance(MINUTE);
    client.refresh(&token).await.unwrap();
    assert_eq!(okta_refresh_count(&world), 2, "with the token of the late response");
}

#[tokio::test]
async fn a_lost_okta_response_with_a_new_token_costs_one_new_login() {
    let world =
        World::with_manual_clock_and_okta(single_use_refresh_tokens(), StoreKind::Embedded, |site| site)
            .await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.outage_at("/v1/token", Outage::Lost);
    world.clock.advance(MINUTE);
    let token = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap().refresh_token.unwrap();
    world.okta.outage_at("/v1/token", Outage::None);
    world.clock.advance(MINUTE);
    let refused = client.refresh(&token).await.unwrap_err().to_string();
    assert!(refused.starts_with("invalid_grant"), "{refused}");
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let tokens = client.redeem(&code).await.unwrap();
    world.clock.advance(MINUTE);
    client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_invalid_id_token_counts_as_an_outage_and_the_new_refresh_token_is_stored() {
    let world =
        World::with_manual_clock_and_okta(single_use_refresh_tokens(), StoreKind::Embedded, |site| site)
            .await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.id_token_fault(Some(IdTokenFault::BrokenSignature));
    let mut token = tokens.refresh_token.unwrap();
    for _ in 0..2 {
        world.clock.advance(MINUTE);
        token = client.refresh(&token).await.unwrap().refresh_token.unwrap();
    }
    world.clock.advance(Duration::from_hours(1));
    let refused = client.refresh(&token).await.unwrap_err().to_string();
    assert!(refused.starts_with("temporarily_unavailable"), "{refused}");
    world.okta.id_token_fault(None);
    world.clock.advance(MINUTE);
    client.refresh(&token).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_okta_rejection_revokes_the_grant() {
    let world =
        World::with_manual_clock_and_okta(single_use_refresh_tokens(), StoreKind::Embedded, |site| site)
            .await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.suspend("alice");
    world.okta.outage_at("/v1/token", Outage::Late(Duration::from_secs(4)));
    world.clock.advance(MINUTE);
    let tokens = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    let refused = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap_err().to_string();
    assert!(refused.starts_with("invalid_grant"), "it waits for the pending call: {refused}");
    assert_eq!(call(&world, &tokens.access_token).await, 401);
    assert_eq!(okta_refresh_count(&world), 1);
}
