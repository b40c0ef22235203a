//! Okta's error responses at the revalidation: about the user, about the app's settings, or an outage.

use super::{MINUTE, call, okta_refresh_count};
use crate::harness::World;
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Login};
use gateway_standins::okta::Outage;
use std::time::Duration;

async fn sign_in(response: Outage) -> (World, Client, String, String) {
    let world = World::with_manual_clock(|site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.outage_at("/v1/token", response);
    (world, client, tokens.refresh_token.unwrap(), tokens.access_token)
}

async fn refresh(client: &Client, token: &str) -> (u16, String, Option<String>) {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let (status, body) = client.token(&form).await.unwrap();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    (status, text("error").unwrap_or_default(), text("refresh_token"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_user_in_either_shape_ends_the_grant_without_grace() {
    for (status, body) in [
        (400, r#"{"error":"invalid_grant","error_description":"The refresh token is invalid or expired."}"#),
        (
            400,
            r#"{"error":"access_denied","error_description":"Policy evaluation failed for this request."}"#,
        ),
        (403, r#"{"errorCode":"access_denied","errorSummary":"Policy evaluation failed for this request."}"#),
        (
            400,
            r#"{"error":"invalid_request","error_description":"Policy evaluation failed for this request."}"#,
        ),
        (401, r#"{"errorCode":"invalid_grant","errorSummary":"The refresh token is invalid or expired."}"#),
        (400, r#"{"error":"no_matching_policy"}"#),
        (
            401,
            r#"{"error":"invalid_request","error_description":"Policy evaluation failed for this request."}"#,
        ),
    ] {
        let (world, client, token, access_token) = sign_in(Outage::Respond(status, body)).await;
        world.clock.advance(MINUTE);
        let (status, error, _) = refresh(&client, &token).await;
        assert_eq!((status, &*error), (400, "invalid_grant"), "{body}");
        assert_eq!(call(&world, &access_token).await, 401, "{body}");
        world.okta.outage_at("/v1/token", Outage::None);
        let (_, error, _) = refresh(&client, &token).await;
        assert_eq!((&*error, okta_refresh_count(&world)), ("invalid_grant", 1), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_apps_settings_ends_no_grant_within_the_grace_and_asks_for_a_new_login_after_it() {
    for (status, body) in [
        (400, r#"{"error":"unauthorized_client","error_description":"The grant type is not allowed."}"#),
        (400, r#"{"errorCode":"invalid_scope","errorSummary":"One or more scopes are not configured."}"#),
        (
            400,
            r#"{"error":"invalid_dpop_proof","error_description":"The DPoP proof JWT header is missing."}"#,
        ),
        (400, r#"{"error":"use_dpop_nonce","error_description":"Authorization server requires nonce."}"#),
        (400, r#"{"error":"unsupported_grant_type"}"#),
        (401, r#"{"error":"unauthorized_client","error_description":"The grant type is not allowed."}"#),
        (401, r#"{"errorCode":"invalid_scope","errorSummary":"One or more scopes are not configured."}"#),
        (
            401,
            r#"{"error":"invalid_dpop_proof","error_description":"The DPoP proof JWT header is missing."}"#,
        ),
    ] {
        let (world, client, token, access_token) = sign_in(Outage::Respond(status, body)).await;
        world.clock.advance(Duration::from_mins(59));
        let (status, error, next) = refresh(&client, &token).await;
        assert_eq!((status, &*error), (200, ""), "{body}");
        world.clock.advance(MINUTE);
        let (status, error, _) = refresh(&client, next.as_deref().unwrap()).await;
        assert_eq!((status, &*error), (400, "invalid_grant"), "{body}");
        let (status, error, _) = refresh(&client, next.as_deref().unwrap()).await;
        assert_eq!((status, &*error), (400, "invalid_grant"), "{body}: the grant has ended");
        assert_eq!(call(&world, &access_token).await, 401, "{body}");
        world.okta.outage_at("/v1/token", Outage::None);
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
        client.redeem(&code).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_apps_settings_asks_for_a_new_login_as_soon_as_the_grace_ends() {
    let fault = Outage::Respond(400, r#"{"error":"invalid_scope"}"#);
    let seconds = |seconds| Duration::from_secs(seconds);
    let (world, client, token, access_token) = sign_in(fault).await;
    world.clock.advance(seconds(59 * 60 + 30));
    let (status, _, next) = refresh(&client, &token).await;
    assert_eq!(status, 200);
    world.clock.advance(seconds(45));
    let (status, error, _) = refresh(&client, next.as_deref().unwrap()).await;
    assert_eq!((status, &*error), (400, "invalid_grant"), "at 60:15");
    assert_eq!(call(&world, &access_token).await, 401);
    assert_eq!(okta_refresh_count(&world), 2);
    // Settings that were corrected in the meantime cost no new login.
    let (world, client, token, _) = sign_in(fault).await;
    world.clock.advance(seconds(59 * 60 + 30));
    let (_, _, next) = refresh(&client, &token).await;
    world.okta.outage_at("/v1/token", Outage::None);
    world.clock.advance(seconds(45));
    assert_eq!(refresh(&client, next.as_deref().unwrap()).await.0, 200);
    // Where no new login could work, Okta is not asked again within the minute.
    let (world, client, token, _) = sign_in(Outage::Respond(400, r#"{"error":"invalid_client"}"#)).await;
    world.clock.advance(seconds(59 * 60 + 30));
    let (_, _, next) = refresh(&client, &token).await;
    world.clock.advance(seconds(29));
    let next = refresh(&client, next.as_deref().unwrap()).await.2;
    world.clock.advance(seconds(16));
    assert_eq!(refresh(&client, next.as_deref().unwrap()).await.0, 503, "at 60:15");
    assert_eq!(okta_refresh_count(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_new_login_could_work_a_refresh_is_503_after_the_grace_and_works_later() {
    for (status, body) in [
        (401, r#"{"error":"invalid_client","error_description":"The client secret is invalid."}"#),
        (401, r#"{"errorCode":"invalid_client","errorSummary":"Invalid value for 'client_id' parameter."}"#),
        (400, r#"{"error":"invalid_client"}"#),
        (
            401,
            r#"{"error":"invalid_request","error_description":"Cannot supply multiple client credentials."}"#,
        ),
        (401, "<html>"),
        (429, r#"{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit."}"#),
        (500, r#"{"errorCode":"E0000009","errorSummary":"Internal Server Error"}"#),
        (404, "<html>"),
        (502, r#"{"error":"invalid_grant"}"#),
    ] {
        let (world, client, token, _) = sign_in(Outage::Respond(status, body)).await;
        world.clock.advance(Duration::from_mins(59));
        let (status, _, next) = refresh(&client, &token).await;
        assert_eq!(status, 200, "{body}");
        world.clock.advance(MINUTE);
        let (status, error, _) = refresh(&client, next.as_deref().unwrap()).await;
        assert_eq!((status, &*error), (503, "temporarily_unavailable"), "{body}");
        world.okta.outage_at("/v1/token", Outage::None);
        world.clock.advance(MINUTE);
        assert_eq!(refresh(&client, next.as_deref().unwrap()).await.0, 200, "{body}");
    }
}
