//! Attacks on authorization codes: theft, injection, mix-up (RFC 9700 §4.4, §4.5, §4.8, §4.13).

use super::{TARGET, VERIFIER, authorization_response, client_at, parameter};
use crate::harness::{CALLBACK, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Login};
use serde_json::Value;

fn redeem_form<'a>(code: &'a str, verifier: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("grant_type", "authorization_code"), ("code", code), ("code_verifier", verifier)]
}

async fn assert_rejected(client: &Client, form: &[(&str, &str)], error: &str, what: &str) {
    let (status, response): (u16, Value) = client.token(form).await.unwrap();
    assert_eq!((status, response["error"].as_str()), (400, Some(error)), "{what}: {response}");
    assert!(response.get("access_token").is_none(), "{what}");
}

#[tokio::test]
async fn a_stolen_code_fails_without_its_verifier() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    for (what, guess) in [
        ("none", ""),
        ("another", "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"),
        ("shorter than RFC 7636 allows", "v"),
        ("with another character", "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\n"),
    ] {
        let code =
            parameter(&authorization_response(&client, &mut Browser::new(), "alice").await, "code").unwrap();
        let error = if guess.is_empty() { "invalid_request" } else { "invalid_grant" };
        assert_rejected(&client, &redeem_form(&code, guess), error, what).await;
    }
}

#[tokio::test]
async fn a_stolen_code_fails_for_another_client_even_with_the_verifier() {
    let world = World::start().await;
    let (victim, attacker) = (world.client(TARGET).await, world.client(TARGET).await);
    let code =
        parameter(&authorization_response(&victim, &mut Browser::new(), "alice").await, "code").unwrap();
    assert_rejected(&attacker, &redeem_form(&code, VERIFIER), "invalid_grant", "the attacker's client").await;
}

#[tokio::test]
async fn an_injected_code_fails_the_verifier_check() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    // Code of the attacker's own login, whose challenge differs from the victim's.
    let injected = client.authorize(&mut Browser::new(), &Login::of("bob")).await.unwrap();
    assert_rejected(
        &client,
        &redeem_form(&injected.code, VERIFIER),
        "invalid_grant",
        "the victim's verifier",
    )
    .await;
}

#[tokio::test]
async fn a_missing_or_plain_pkce_challenge_is_rejected() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    let url = client.authorize_url("state", VERIFIER, &[]).unwrap();
    let challenge = parameter(&url, "code_challenge").unwrap();
    for (what, from, to) in [
        ("no challenge", format!("code_challenge={challenge}&"), String::new()),
        ("no method", "code_challenge_method=S256&".into(), String::new()),
        ("plain", "=S256".into(), "=plain".into()),
        ("lower case", "=S256".into(), "=s256".into()),
        ("two methods", "=S256".into(), "=S256&code_challenge_method=plain".into()),
        ("two challenges", format!("={challenge}"), format!("={challenge}&code_challenge={VERIFIER}")),
        ("the verifier as challenge", format!("={challenge}"), format!("={VERIFIER}A")),
    ] {
        let altered = url.as_str().replace(&from, &to);
        assert_ne!(altered, url.as_str(), "{what}");
        let response = http().get(altered).send().await.unwrap();
        let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        assert!(location.is_some_and(|to| to.contains("error=invalid_request")), "{what}");
    }
}

#[tokio::test]
async fn a_code_for_another_resource_is_rejected() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    let code =
        parameter(&authorization_response(&client, &mut Browser::new(), "alice").await, "code").unwrap();
    let mut form = redeem_form(&code, VERIFIER);
    let dice = world.dice_url();
    form.push(("resource", &dice));
    assert_rejected(&client, &form, "invalid_target", "another route").await;
}

#[tokio::test]
async fn every_authorization_response_has_the_issuer() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    let url = authorization_response(&client, &mut Browser::new(), "alice").await;
    assert_eq!(parameter(&url, "iss").as_deref(), Some(&*world.base_url));
    world.okta.refuse_assignment("bob");
    let refusal = authorization_response(&client, &mut Browser::new(), "bob").await;
    assert_eq!(parameter(&refusal, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&refusal, "iss").as_deref(), Some(&*world.base_url));
    let metadata = &client.discovered.server_metadata;
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    assert_eq!(metadata["issuer"], world.base_url);
}

#[tokio::test]
async fn an_okta_code_of_another_login_or_gateway_is_rejected() {
    let (world, other) = (World::start().await, World::start().await);
    let client = world.client(TARGET).await;
    // Okta's response to a login at the other gateway, combined with a state of this one.
    let mut foreign = Browser::new();
    foreign.stop_at(&other.url("/auth/callback"));
    let page = super::consent_page(&other.client(TARGET).await, &mut foreign, "x").await;
    let okta = super::approve(&mut foreign, &page).await;
    let foreign = foreign.sign_in(&okta, "bob").await.unwrap().stopped().unwrap();
    let code = parameter(&foreign, "code").unwrap();
    let mut browser = Browser::new();
    let page = super::consent_page(&client, &mut browser, "x").await;
    let okta = super::approve(&mut browser, &page).await;
    let state = okta.form_with("password").unwrap();
    assert!(state.value("username").is_some(), "a login is pending");
    let here = parameter(okta.trail.last().map_or(&okta.url, |hop| &hop.url), "state")
        .or_else(|| parameter(&okta.url, "state"))
        .expect("the request to Okta has a state");
    let injected = world.url(&format!("/auth/callback?code={code}&state={here}"));
    let landed = browser.open(&injected).await.unwrap().stopped().unwrap();
    assert!(parameter(&landed, "code").is_none(), "{landed}");
    assert!(parameter(&landed, "error").is_some(), "{landed}");
}

#[tokio::test]
async fn a_code_fails_with_another_redirect_uri() {
    let world = World::start().await;
    let client = client_at(&world, CALLBACK).await;
    for uri in
        ["https://evil.example.com/", "http://localhost:43110/callback/", "http://LOCALHOST:43110/callback"]
    {
        let code =
            parameter(&authorization_response(&client, &mut Browser::new(), "alice").await, "code").unwrap();
        let mut form = redeem_form(&code, VERIFIER);
        form.push(("redirect_uri", uri));
        assert_rejected(&client, &form, "invalid_grant", uri).await;
    }
}
