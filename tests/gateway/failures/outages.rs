//! Outages of the store and of Okta, and errors of the gateway's own: one line in the log with the request id and the
//! cause, which is bounded when it repeats, and a `failed` audit event for each request.

use super::{
    Consent, Logged, TARGET, VERIFIER, code_request, named, named_at, named_with_user, parameter,
    refresh_request, send, world,
};
use crate::harness::events::Events;
use crate::harness::{CALLBACK, StoreKind, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::Login;
use gateway_standins::okta::{IdTokenFault, Outage};
use serde_json::{Value, json};
use std::time::Duration;

/// More than the time in which a repeated failure is only counted.
const LATER: Duration = Duration::from_secs(61);

async fn world_on_redis() -> World {
    Events::record();
    World::with_manual_clock_on(StoreKind::Redis, |site| site).await
}

/// A failed event, and one line about it with the same cause.
fn assert_failed(logged: &Logged, event: &str, named: &Value, cause: &str) {
    logged.has_event(event, "failed", named);
    assert!(logged.reason().contains(cause), "{}", logged.reason());
    let warning = logged.warning();
    assert_eq!(warning["cause"], logged.reason());
    assert_eq!(warning["event"], event, "{warning}");
    assert!(!logged.body.contains(cause), "the cause is for the log only: {}", logged.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_each_endpoint_that_needs_it_leaves_one_warning_and_a_failed_event() {
    const CAUSE: &str = "the store is unavailable";
    let world = world_on_redis().await;
    let (client, tokens) = world.sign_in(TARGET, "alice").await;
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let (approved, denied) = (Consent::of(&world, &client).await, Consent::of(&world, &client).await);
    let mut signed_in = Consent::of(&world, &client).await;
    let callback = signed_in.sign_in_at_okta().await;
    world.redis.as_ref().unwrap().stop();

    let redeemed = code_request(&world, &client, &code.code, &code.verifier).await;
    assert_eq!(redeemed.status, 503);
    assert_failed(&redeemed, "token", &named(&client), CAUSE);
    world.clock.advance(LATER);
    let refreshed = refresh_request(&world, &client, &tokens.refresh_token.unwrap(), &[]).await;
    assert_eq!(refreshed.status, 503);
    assert_failed(&refreshed, "token", &named(&client), CAUSE);
    world.clock.advance(LATER);
    let form = [("client_id", &*client.id), ("token", &*tokens.access_token)];
    let revoked = send(http().post(world.url("/auth/revoke")).form(&form)).await;
    assert_eq!(revoked.status, 503);
    assert_failed(&revoked, "revocation", &named(&client), CAUSE);
    world.clock.advance(LATER);
    let consented = approved.decide(&world, "approve").await;
    assert!(consented.body.contains("Signing in did not work"), "{}", consented.body);
    assert_failed(&consented, "consent", &named_at(&client), CAUSE);
    world.clock.advance(LATER);
    let refused = denied.decide(&world, "deny").await;
    refused.has_event("consent", "refused", &named_at(&client));
    let warning = refused.warning();
    assert!(warning["cause"].as_str().unwrap().contains(CAUSE), "{warning}");
    assert!(warning["message"].as_str().unwrap().contains("denial could not be stored"), "{warning}");
    world.clock.advance(LATER);
    let returned = signed_in.open(&world, &callback).await;
    assert_eq!(returned.status, 503);
    assert_failed(&returned, "login", &json!({}), CAUSE);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_clients_register_and_users_see_the_consent_page() {
    let world = world_on_redis().await;
    let client = world.client(TARGET).await;
    world.redis.as_ref().unwrap().stop();
    let metadata = json!({ "client_name": "Later", "redirect_uris": [CALLBACK] });
    let registered = send(http().post(world.url("/auth/register")).json(&metadata)).await;
    assert_eq!(registered.status, 201);
    assert_eq!(registered.lines.event()["decision"], "allowed");
    let page = send(http().get(client.authorize_url("xyz", VERIFIER, &[]).unwrap())).await;
    assert_eq!((page.status, page.lines.events().len()), (200, 0), "nothing was decided yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_repeats_is_logged_once_and_counted_and_each_request_has_its_event() {
    let world = world_on_redis().await;
    let client = world.client(TARGET).await;
    world.redis.as_ref().unwrap().stop();
    let request = async || code_request(&world, &client, "a-code", VERIFIER).await;
    assert_eq!(request().await.warning()["repeated"], 0);
    for _ in 0..3 {
        let repeated = request().await;
        repeated.has_event("token", "failed", &named(&client));
        assert!(repeated.lines.warnings().is_empty(), "{:?}", repeated.lines);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_okta_a_consent_and_a_callback_leave_one_warning_and_a_failed_event() {
    const CAUSE: &str = "Okta is unavailable";
    let world = world(|site| site).await;
    let client = world.client(TARGET).await;
    let consent = Consent::of(&world, &client).await;
    world.okta.outage(Outage::Refuse503);
    let approved = consent.decide(&world, "approve").await;
    assert_failed(&approved, "consent", &named_at(&client), CAUSE);
    assert!(approved.warning()["remedy"].as_str().unwrap().contains("OKTA_URL"), "{}", approved.warning());
    world.okta.outage(Outage::None);
    world.clock.advance(LATER);
    let mut consent = Consent::of(&world, &client).await;
    let callback = consent.sign_in_at_okta().await;
    world.okta.outage(Outage::Refuse503);
    let returned = consent.open(&world, &callback).await;
    assert_eq!(parameter(returned.location.as_ref().unwrap(), "error"), "temporarily_unavailable");
    assert_failed(&returned, "login", &named_at(&client), CAUSE);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_okta_a_refresh_leaves_one_warning_within_the_grace_and_fails_after_it() {
    const CAUSE: &str = "Okta is unavailable";
    let world = world(|site| site).await;
    let (client, tokens) = world.sign_in(TARGET, "alice").await;
    let token = tokens.refresh_token.unwrap();
    world.okta.outage(Outage::Refuse503);
    world.clock.advance(LATER);
    let refreshed = refresh_request(&world, &client, &token, &[]).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.body);
    refreshed.has_event("token", "allowed", &named_with_user(&client));
    assert!(refreshed.warning()["cause"].as_str().unwrap().contains(CAUSE), "{}", refreshed.warning());
    let next: Value = serde_json::from_str(&refreshed.body).unwrap();
    world.clock.advance(Duration::from_hours(1));
    let failed = refresh_request(&world, &client, next["refresh_token"].as_str().unwrap(), &[]).await;
    assert_eq!(failed.status, 503);
    assert_failed(&failed, "token", &named_with_user(&client), CAUSE);
    assert!(failed.reason().contains("okta_grace"), "{}", failed.reason());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_at_okta_and_an_invalid_id_token_are_logged_with_their_cause() {
    let world = world(|site| site).await;
    let client = world.client(TARGET).await;
    let mut consent = Consent::of(&world, &client).await;
    let callback = consent.sign_in_at_okta().await;
    world.okta.set_client_secret("another");
    let returned = consent.open(&world, &callback).await;
    assert_eq!(parameter(returned.location.as_ref().unwrap(), "error"), "temporarily_unavailable");
    assert_failed(&returned, "login", &named_at(&client), "check OKTA_CLIENT_SECRET");
    world.okta.set_client_secret(&gateway_standins::okta::OktaOptions::default().client_secret);
    let mut consent = Consent::of(&world, &client).await;
    let callback = consent.sign_in_at_okta().await;
    world.okta.id_token_fault(Some(IdTokenFault::BrokenSignature));
    let returned = consent.open(&world, &callback).await;
    assert_eq!(parameter(returned.location.as_ref().unwrap(), "error"), "server_error");
    assert_failed(&returned, "login", &named_at(&client), "the token's signature is invalid");
    assert_eq!(returned.warning()["level"], "ERROR");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_apps_settings_at_okta_is_one_error_with_the_remedy() {
    const REFUSED: &str = r#"{"errorCode":"invalid_scope","errorSummary":"One or more scopes are wrong."}"#;
    let world = world(|site| site).await;
    let (client, tokens) = world.sign_in(TARGET, "alice").await;
    world.okta.outage_at("/v1/token", Outage::Respond(400, REFUSED));
    let mut token = tokens.refresh_token.unwrap();
    for _ in 0..2 {
        world.clock.advance(LATER);
        let refreshed = refresh_request(&world, &client, &token, &[]).await;
        assert_eq!(refreshed.status, 200, "{}", refreshed.body);
        let next: Value = serde_json::from_str(&refreshed.body).unwrap();
        next["refresh_token"].as_str().unwrap().clone_into(&mut token);
        let line = refreshed.warning();
        let cause = line["cause"].as_str().unwrap();
        assert_eq!(line["level"], "ERROR", "{line}");
        assert!(cause.contains("allow the scopes openid") && cause.contains("scopes are wrong"), "{cause}");
    }
    let mut consent = Consent::of(&world, &client).await;
    let callback = consent.sign_in_at_okta().await;
    world.clock.advance(LATER);
    let returned = consent.open(&world, &callback).await;
    assert_eq!(parameter(returned.location.as_ref().unwrap(), "error"), "temporarily_unavailable");
    assert_failed(&returned, "login", &named_at(&client), "allow the scopes openid");
    assert_eq!(returned.warning()["level"], "ERROR");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_okta_at_the_callback_that_is_not_about_the_user_is_a_failure_with_one_line() {
    let world = world(|site| site).await;
    let client = world.client(TARGET).await;
    for (error, decision, level, code) in [
        ("server_error", "failed", "WARN", "temporarily_unavailable"),
        ("temporarily_unavailable", "failed", "WARN", "temporarily_unavailable"),
        ("invalid_scope", "failed", "ERROR", "access_denied"),
        ("access_denied", "refused", "", "access_denied"),
    ] {
        world.clock.advance(LATER);
        let mut consent = Consent::of(&world, &client).await;
        let mut callback = consent.sign_in_at_okta().await;
        let state = parameter(&callback, "state");
        callback.query_pairs_mut().clear().extend_pairs([
            ("error", error),
            ("error_description", "Oops"),
            ("state", &state),
        ]);
        let returned = consent.open(&world, &callback).await;
        let location = returned.location.as_ref().unwrap();
        assert_eq!(parameter(location, "error"), code, "{error}");
        assert!(parameter(location, "error_description").contains("Oops"), "{location}");
        returned.has_event("login", decision, &named_at(&client));
        if level.is_empty() {
            assert!(returned.lines.warnings().is_empty(), "{:?}", returned.lines);
        } else {
            let line = returned.warning();
            assert_eq!((&line["level"], &line["cause"]), (&json!(level), &json!(returned.reason())));
            assert!(returned.reason().contains(error), "{}", returned.reason());
        }
    }
}
