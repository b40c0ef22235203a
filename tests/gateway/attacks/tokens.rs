//! Tokens used for another route, client, purpose or issuer (RFC 9700 §4.9, §4.10; MCP: token passthrough).

use super::{TARGET, authorization_response, parameter};
use crate::harness::{World, http};
use gateway_standins::browser::Browser;
use gateway_standins::okta::OktaOptions;
use serde_json::{Value, json};

async fn call(world: &World, path: &str, token: &str) -> u16 {
    http().get(world.url(path)).bearer_auth(token).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_token_is_rejected_on_another_route() {
    let world = World::start().await;
    let (_, tokens) = world.sign_in(TARGET, "alice").await;
    assert_eq!(call(&world, TARGET, &tokens.access_token).await, 200);
    for path in ["/mcp/dice/mcp", "/mcp/dice", "/mcp/dice/"] {
        assert_eq!(call(&world, path, &tokens.access_token).await, 401, "{path}");
    }
}

#[tokio::test]
async fn each_credential_is_accepted_only_in_its_own_place() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    let code =
        parameter(&authorization_response(&client, &mut Browser::new(), "alice").await, "code").unwrap();
    let (_, tokens) = world.sign_in(TARGET, "alice").await;
    let refresh = tokens.refresh_token.unwrap();
    for (what, credential) in [("a code", &code), ("a refresh token", &refresh), ("a client id", &client.id)]
    {
        assert_eq!(call(&world, TARGET, credential).await, 401, "{what} as an access token");
    }
    for (what, credential) in
        [("an access token", &tokens.access_token), ("a code", &code), ("a client id", &client.id)]
    {
        let refused = client.refresh(credential).await.unwrap_err().to_string();
        assert!(refused.starts_with("invalid_grant"), "{what} as a refresh token: {refused}");
    }
    for (what, credential) in [("an access token", &tokens.access_token), ("a refresh token", &refresh)] {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &**credential),
            ("code_verifier", super::VERIFIER),
        ];
        assert_eq!(client.token(&form).await.unwrap().1["error"], "invalid_grant", "{what} as a code");
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", &**credential)];
        let request = http().post(world.url("/auth/token")).form(&form).send().await.unwrap();
        assert_eq!(request.status(), 401, "{what} as a client id");
    }
}

#[tokio::test]
async fn a_stolen_refresh_token_fails_for_another_client() {
    let world = World::start().await;
    let (owner, tokens) = world.sign_in(TARGET, "alice").await;
    let (attacker, _) = world.sign_in(TARGET, "bob").await;
    let stolen = tokens.refresh_token.unwrap();
    let refused = attacker.refresh(&stolen).await.unwrap_err().to_string();
    assert!(refused.starts_with("invalid_grant"), "{refused}");
    owner.refresh(&stolen).await.expect("the failed attempt revokes nothing");
}

#[tokio::test]
async fn an_altered_refresh_token_is_unknown_and_revokes_nothing() {
    let world = World::start().await;
    let (client, tokens) = world.sign_in(TARGET, "alice").await;
    let token = tokens.refresh_token.unwrap();
    for place in [0, 21, 24, 27, token.len() - 2] {
        let mut altered = token.clone().into_bytes();
        altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
        let refused = client.refresh(&String::from_utf8(altered).unwrap()).await.unwrap_err().to_string();
        assert!(refused.starts_with("invalid_grant"), "{place}: {refused}");
    }
    client.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn tokens_of_okta_are_rejected() {
    let world = World::start().await;
    for (what, token) in okta_tokens(&world).await {
        assert_eq!(call(&world, TARGET, &token).await, 401, "{what}");
    }
}

/// Tokens that a user gets by a direct login at Okta with the gateway's app.
async fn okta_tokens(world: &World) -> Vec<(&'static str, String)> {
    let options = OktaOptions::default();
    let callback = world.url("/auth/callback");
    let mut browser = Browser::new();
    browser.stop_at(&callback);
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let authorize_url = format!(
        "{}/oauth2/v1/authorize?response_type=code&client_id={}&redirect_uri={callback}&scope=openid+offline_access\
         &state=s&nonce=n&code_challenge={challenge}&code_challenge_method=S256",
        world.okta.url(),
        options.client_id
    );
    let page = browser.open(&authorize_url).await.unwrap().page().unwrap();
    let back = browser.sign_in(&page, "alice").await.unwrap().stopped().unwrap();
    let code = parameter(&back, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", &*callback),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ];
    let request = http().post(format!("{}/oauth2/v1/token", world.okta.url())).form(&form);
    let request = request.basic_auth(&options.client_id, Some(&options.client_secret));
    let response: Value = request.send().await.unwrap().json().await.unwrap();
    ["access_token", "id_token", "refresh_token"]
        .map(|name| {
            (name, response[name].as_str().unwrap_or_else(|| panic!("{name}: {response}")).to_owned())
        })
        .into()
}

#[tokio::test]
async fn the_access_token_is_never_forwarded_upstream() {
    let world = World::start().await;
    let (_, tokens) = world.sign_in(TARGET, "alice").await;
    world.backend.clear_requests();
    let request = http().post(world.url(TARGET)).bearer_auth(&tokens.access_token).json(&json!({ "a": 1 }));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let seen = world.backend.last().unwrap();
    for (name, value) in &seen.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        assert!(!value.contains(&tokens.access_token), "{name}");
    }
    assert!(!seen.target.contains(&tokens.access_token));
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_second_authorization_header_or_another_scheme_is_rejected() {
    let world = World::start().await;
    let (_, tokens) = world.sign_in(TARGET, "alice").await;
    let good = format!("Bearer {}", tokens.access_token);
    let basic = format!("Basic {}", tokens.access_token);
    for headers in
        [&[&*good, &good][..], &["Bearer x", &good], &[&good, "Bearer x"], &[&basic], &["Bearer  "]]
    {
        let mut request = http().get(world.url(TARGET));
        for value in headers {
            request = request.header("authorization", *value);
        }
        let expected = if headers.len() == 1 { 401 } else { 400 };
        assert_eq!(request.send().await.unwrap().status(), expected, "{headers:?}");
    }
}
