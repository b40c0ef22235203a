//! `POST /auth/token`, and access with its tokens.

mod audience;

use crate::harness::{CALLBACK, StoreKind, World, http};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_standins::browser::Browser;
use gateway_standins::client::{Login, Session};
use serde_json::{Value, json};
use std::time::Duration;

async fn status(world: &World, path: &str, token: &str) -> u16 {
    let request = http().post(world.url(path)).bearer_auth(token).json(&json!({ "jsonrpc": "2.0" }));
    request.send().await.unwrap().status().as_u16()
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Token with a changed header or changed claims and the original signature.
fn altered(token: &str, part: usize, change: impl FnOnce(&mut Value)) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut json: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts[part]).unwrap()).unwrap();
    change(&mut json);
    parts[part] = URL_SAFE_NO_PAD.encode(json.to_string());
    parts.join(".")
}

#[tokio::test]
async fn a_token_is_accepted_only_on_its_own_route() {
    let world = World::start().await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    assert_eq!(status(&world, "/mcp/raw/echo", &tokens.access_token).await, 200);
    assert_eq!(status(&world, "/mcp/dice/mcp", &tokens.access_token).await, 401, "a foreign audience");
}

#[tokio::test]
async fn an_access_token_is_an_rfc_9068_jwt_for_the_requested_resource() {
    let world = World::start().await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let claims = claims(&tokens.access_token);
    assert_eq!(claims["iss"], world.base_url);
    assert_eq!(claims["aud"], world.url("/mcp/raw/echo"));
    assert_eq!(claims["client_id"], client.id);
    assert_eq!(claims["scope"], "mcp:raw");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 600);
    let header = URL_SAFE_NO_PAD.decode(tokens.access_token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("at+jwt"), Some("ES256")));
}

#[tokio::test]
async fn altered_unsigned_and_foreign_tokens_get_401_invalid_token() {
    let world = World::start().await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let token = tokens.access_token;
    let unsigned = altered(&token, 0, |header| header["alg"] = json!("none"));
    let unsigned = unsigned.rsplit_once('.').unwrap().0.to_owned() + ".";
    let other_world = World::start().await;
    let (_, foreign) = other_world.sign_in("/mcp/raw/echo", "alice").await;
    for (what, token) in [
        ("another audience", altered(&token, 1, |claims| claims["aud"] = json!(world.url("/mcp/dice")))),
        ("a later end", altered(&token, 1, |claims| claims["exp"] = json!(4_000_000_000_u64))),
        ("alg none", unsigned),
        ("alg HS256", altered(&token, 0, |header| header["alg"] = json!("HS256"))),
        ("another type", altered(&token, 0, |header| header["typ"] = json!("JWT"))),
        ("another gateway's", foreign.access_token),
        ("not a token", "x".to_owned()),
    ] {
        let response = http().post(world.url("/mcp/raw/echo")).bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status(), 401, "{what}");
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains(r#"error="invalid_token""#), "{what}: {challenge}");
    }
}

#[tokio::test]
async fn an_expired_token_gets_401() {
    let world = World::with_manual_clock(|site| site).await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    // The clock of the signing replica may be two minutes behind.
    world.clock.advance(Duration::from_secs(600 + 119));
    assert_eq!(status(&world, "/mcp/raw/echo", &tokens.access_token).await, 200);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&world, "/mcp/raw/echo", &tokens.access_token).await, 401);
}

#[tokio::test]
async fn a_token_in_the_query_is_rejected() {
    let world = World::start().await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let path = format!("/mcp/raw/echo?access_token={}", tokens.access_token);
    assert_eq!(status(&world, &path, &tokens.access_token).await, 400);
}

#[tokio::test]
async fn an_authorization_code_works_once_and_its_second_use_revokes_the_grant() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = World::with(store_kind, |site| site).await;
        let client = world.client("/mcp/raw/echo").await;
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
        let tokens = client.redeem(&code).await.unwrap();
        let again = client.redeem(&code).await.unwrap_err().to_string();
        assert!(again.starts_with("invalid_grant"), "{again}");
        assert_eq!(status(&world, "/mcp/raw/echo", &tokens.access_token).await, 401);
        let refreshed = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap_err().to_string();
        assert!(refreshed.starts_with("invalid_grant"), "{refreshed}");
    }
}

#[tokio::test]
async fn a_code_is_bound_to_client_redirect_uri_and_verifier() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let other = world.client("/mcp/raw/echo").await;
    let form = |code: &str, verifier: &str, redirect_uri: &str| {
        [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", redirect_uri),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    for wrong in ["client", "redirect_uri", "verifier"] {
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
        let verifier = if wrong == "verifier" { "w".repeat(43) } else { code.verifier.clone() };
        let redirect_uri = if wrong == "redirect_uri" { "http://localhost:43110/other" } else { CALLBACK };
        let form = form(&code.code, &verifier, redirect_uri);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
        let redeeming_client = if wrong == "client" { &other } else { &client };
        let (status, response) = redeeming_client.token(&form).await.unwrap();
        assert_eq!((status, response["error"].as_str()), (400, Some("invalid_grant")), "{wrong}");
        client.redeem(&code).await.expect("a failed attempt does not use the code up");
    }
}

#[tokio::test]
async fn a_refresh_rotates_and_its_repetition_gets_the_same_token() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = World::with(store_kind, |site| site).await;
        let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
        let first = tokens.refresh_token.unwrap();
        let second = client.refresh(&first).await.unwrap();
        let replayed = client.refresh(&first).await.unwrap();
        assert_eq!(second.refresh_token, replayed.refresh_token, "the same successor within a minute");
        let third = client.refresh(&second.refresh_token.unwrap()).await.unwrap();
        assert_eq!(status(&world, "/mcp/raw/echo", &third.access_token).await, 200);
        let old = client.refresh(&first).await.unwrap_err().to_string();
        assert!(old.starts_with("invalid_grant"), "{old}");
        let newest = client.refresh(&third.refresh_token.unwrap()).await.unwrap_err().to_string();
        assert!(newest.starts_with("invalid_grant"), "an older token revokes the grant: {newest}");
    }
}

#[tokio::test]
async fn a_refresh_token_is_bound_to_its_client_and_route() {
    let world = World::start().await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let token = tokens.refresh_token.unwrap();
    let other_client = world.client("/mcp/raw/echo").await;
    assert!(other_client.refresh(&token).await.unwrap_err().to_string().starts_with("invalid_grant"));
    let elsewhere =
        [("grant_type", "refresh_token"), ("refresh_token", &*token), ("resource", &*world.dice_url())];
    assert_eq!(client.token(&elsewhere).await.unwrap().1["error"], "invalid_target");
    let without = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
    assert_eq!(client.token(&without).await.unwrap().0, 200, "resource defaults to the grant's");
}

#[tokio::test]
async fn a_user_outside_the_routes_groups_gets_a_contact() {
    let site = |site: crate::harness::SiteBuilder| {
        site.change("/mcp/raw/", |route| gateway_routes::Route { groups: &["Admins"], ..route })
    };
    let world = World::with(StoreKind::Embedded, site).await;
    let (_, alice) = world.sign_in("/mcp/raw/echo", "alice").await;
    let response =
        http().get(world.url("/mcp/raw/echo")).bearer_auth(&alice.access_token).send().await.unwrap();
    assert_eq!(response.status(), 403);
    assert!(response.headers().get("www-authenticate").is_none());
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("ask your Okta administrator for one of these groups: Admins")
    );
    let (_, carol) = world.sign_in("/mcp/raw/echo", "carol").await;
    assert_eq!(status(&world, "/mcp/raw/echo", &carol.access_token).await, 200);
}

#[tokio::test]
async fn a_session_continues_with_a_refreshed_token() {
    let world = World::start().await;
    let (client, tokens) = world.sign_in("/mcp/dice/mcp", "alice").await;
    let mut session = Session::open(&world.dice_url(), &tokens.access_token).await.unwrap();
    let fresh = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    session.use_token(&fresh.access_token);
    let rolled: u32 = session.call("roll", json!({ "sides": 6 })).await.unwrap().trim().parse().unwrap();
    assert!((1..=6).contains(&rolled));
}
