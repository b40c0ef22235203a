//! `POST /auth/token`: form of a request, and error codes.

mod malformed;
mod redemption;
mod scopes;

use crate::harness::{World, http};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Login, Tokens};
use reqwest::Response;
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;

async fn post(world: &World, form: &[(&str, &str)]) -> Response {
    http().post(world.url("/auth/token")).form(form).send().await.unwrap()
}

/// Status and error code of a response.
async fn refusal(world: &World, form: &[(&str, &str)]) -> (u16, String) {
    let response = post(world, form).await;
    let status = response.status().as_u16();
    let response: Value = response.json().await.unwrap();
    (status, response["error"].as_str().unwrap_or_default().to_owned())
}

/// Signs alice in to `/mcp/raw/` with these scopes.
async fn signed_in(world: &World, scopes: &[&str]) -> (Client, Tokens) {
    let mut client = world.client("/mcp/raw/echo").await;
    client.discovered.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let tokens = client.redeem(&code).await.unwrap();
    (client, tokens)
}

#[tokio::test]
async fn each_token_error_has_its_oauth_code() {
    let world = World::start().await;
    let id = world.client("/mcp/raw/echo").await.id;
    let id = ("client_id", &*id);
    let (code, verifier) = (("code", "unknown"), ("code_verifier", &*"v".repeat(43)));
    let (by_code, by_refresh) = (("grant_type", "authorization_code"), ("grant_type", "refresh_token"));
    for (form, expected) in [
        (&[id][..], (400, "invalid_request")),
        (&[id, by_code, verifier], (400, "invalid_request")),
        (&[id, by_code, code], (400, "invalid_request")),
        (&[id, by_refresh], (400, "invalid_request")),
        (&[id, by_code, code, verifier], (400, "invalid_grant")),
        (&[id, by_refresh, ("refresh_token", "unknown")], (400, "invalid_grant")),
        (&[id, ("grant_type", "password")], (400, "unsupported_grant_type")),
        (&[id, ("grant_type", "client_credentials")], (400, "unsupported_grant_type")),
        (&[by_code, code, verifier], (400, "invalid_request")),
        (&[("client_id", "unknown"), by_code, code, verifier], (401, "invalid_client")),
    ] {
        let response = post(&world, form).await;
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["pragma"], "no-cache");
        let status = response.status().as_u16();
        let response: Value = response.json().await.unwrap();
        assert_eq!((status, response["error"].as_str().unwrap()), expected, "{form:?}");
        let words = response["error_description"].as_str().unwrap();
        assert!(!words.is_empty() && !words.contains(['"', '\\']), "{words}");
    }
}

#[tokio::test]
async fn repeated_parameters_are_rejected_and_unknown_or_empty_ones_ignored() {
    let world = World::start().await;
    let id = world.client("/mcp/raw/echo").await.id;
    let good = [("client_id", &*id), ("grant_type", "refresh_token"), ("refresh_token", "x")];
    for (more, expected) in [
        (("refresh_token", "y"), "invalid_request"),
        (("scope", ""), "invalid_grant"),
        (("whatever", "1"), "invalid_grant"),
    ] {
        assert_eq!(refusal(&world, &[&good[..], &[more]].concat()).await.1, expected, "{more:?}");
    }
    assert_eq!(refusal(&world, &[good[0], good[1], ("refresh_token", "")]).await.1, "invalid_request");
}

#[tokio::test]
async fn failed_client_authentication_is_401_with_a_basic_challenge() {
    let world = World::start().await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let request = http().post(world.url("/auth/token")).basic_auth("unknown", Some("wrong")).form(&form);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "));
}

#[tokio::test]
async fn credentials_in_the_url_are_not_read() {
    let world = World::start().await;
    let id = world.client("/mcp/raw/echo").await.id;
    let url = world.url(&format!("/auth/token?client_id={id}&grant_type=refresh_token&refresh_token=x"));
    let response: Value = http().post(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(response["error"], "invalid_request", "the body has no client_id");
}

#[tokio::test]
async fn a_code_expires_after_a_minute() {
    let world = World::with_manual_clock(|site| site).await;
    let client = world.client("/mcp/raw/echo").await;
    let mut browser = Browser::new();
    let code = client.authorize(&mut browser, &Login::of("alice")).await.unwrap();
    world.clock.advance(Duration::from_mins(1));
    let late = client.redeem(&code).await.unwrap_err().to_string();
    assert!(late.starts_with("invalid_grant"), "{late}");
}

#[tokio::test]
async fn an_access_token_has_every_claim_of_rfc_9068_and_a_unique_id() {
    let world = World::start().await;
    let mut ids = HashSet::new();
    for _ in 0..2 {
        let (_, tokens) = signed_in(&world, &[]).await;
        let payload = tokens.access_token.split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope"] {
            assert!(!claims[name].is_null(), "{name} is missing in {claims}");
        }
        assert!(
            claims.get("email").is_none() && claims.get("groups").is_none(),
            "nothing personal: {claims}"
        );
        assert!(ids.insert(claims["jti"].as_str().unwrap().to_owned()), "a jti was repeated");
    }
}

#[tokio::test]
async fn a_challenge_has_an_error_only_when_a_token_was_sent() {
    let world = World::start().await;
    let url = world.url("/mcp/raw/echo");
    let challenge = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.unwrap();
        let words = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
        (response.status().as_u16(), words)
    };
    let (status, words) = challenge(http().get(&url).header("authorization", "Basic eDp5")).await;
    assert_eq!(status, 401);
    assert!(!words.contains("error"), "another scheme is no token: {words}");
    for (request, status, error) in [
        (http().get(&url).bearer_auth("x"), 401, "invalid_token"),
        (http().get(&url).header("authorization", "Bearer a,b"), 401, "invalid_token"),
        (http().get(&url).bearer_auth("x").header("authorization", "Bearer y"), 400, "invalid_request"),
        (http().get(format!("{url}?access_token=x")), 400, "invalid_request"),
    ] {
        let (received, words) = challenge(request).await;
        assert_eq!(received, status, "{words}");
        assert!(words.starts_with(&format!(r#"Bearer error="{error}", error_description=""#)), "{words}");
        for once in ["error=", "error_description=", "scope=", "resource_metadata="] {
            assert_eq!(words.matches(once).count(), 1, "{words}");
        }
    }
}

#[tokio::test]
async fn a_token_response_is_json_and_not_cacheable() {
    let world = World::start().await;
    let (client, tokens) = signed_in(&world, &[]).await;
    let refresh_token = tokens.refresh_token.unwrap();
    let form =
        [("client_id", &*client.id), ("grant_type", "refresh_token"), ("refresh_token", &refresh_token)];
    let response = post(&world, &form).await;
    assert_eq!(response.status(), 200);
    for (name, value) in
        [("content-type", "application/json"), ("cache-control", "no-store"), ("pragma", "no-cache")]
    {
        assert_eq!(response.headers()[name], value);
    }
    let response: Value = response.json().await.unwrap();
    assert_eq!(response["token_type"], "Bearer");
}

#[tokio::test]
async fn issued_tokens_and_ids_are_random() {
    let world = World::start().await;
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let client = world.client("/mcp/raw/echo").await;
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
        let tokens = client.redeem(&code).await.unwrap();
        for handed_out in [client.id, code.code, tokens.refresh_token.unwrap()] {
            let bytes = URL_SAFE_NO_PAD.decode(&handed_out).expect("it is base64url");
            assert!(bytes.len() >= 32, "at least 256 bits, random or authenticated");
            assert!(seen.insert(handed_out), "no value is repeated");
        }
    }
}

#[tokio::test]
async fn cookies_contain_no_client_tokens() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let mut browser = Browser::new();
    let code = client.authorize(&mut browser, &Login::of("alice")).await.unwrap();
    let tokens = client.redeem(&code).await.unwrap();
    for (name, value) in browser.cookies(&world.base_url).unwrap() {
        for given in [&code.code, &tokens.access_token, tokens.refresh_token.as_ref().unwrap()] {
            assert!(!value.contains(&**given), "{name}");
        }
    }
}
