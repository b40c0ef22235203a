//! `private_key_jwt`: published and registered clients that authenticate with a key.

mod assertions;

use crate::harness::metadata_documents::{HOST, PATH, document, publish};
use crate::harness::{CALLBACK, StoreKind, World, http};
use gateway_standins::Time;
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Client, Key, Login, Tokens};
use gateway_standins::document_server::{DocumentResponse, DocumentServer};
use serde_json::{Value, json};
use std::time::Duration;

const SERVER: &str = "/mcp/raw/echo";
const JWKS: &str = "/oauth/jwks.json";

fn jwks(keys: &[&Key]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
}

/// Published client with this key in its document.
async fn with_inline_key(world: &World, document_server: &DocumentServer, key: Key) -> Client {
    let id = publish(document_server, |document| {
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["jwks"] = jwks(&[&key]);
    });
    world.published_client_with_key(&id, SERVER, key).await
}

/// Published client whose document refers to a key set with this key.
async fn with_key_set(world: &World, document_server: &DocumentServer, key: Key) -> Client {
    document_server.set_response(JWKS, DocumentResponse::json(&jwks(&[&key])));
    let id = publish(document_server, |document| {
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["jwks_uri"] = json!(document_server.url(HOST, JWKS));
    });
    world.published_client_with_key(&id, SERVER, key).await
}

/// Key of a client that uses the world's clock.
fn with_world_clock(world: &World, key: Key) -> Key {
    let clock = world.clock.clone();
    key.by(Time::from_source(move || clock.now().seconds()))
}

async fn sign_in(client: &Client) -> Tokens {
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    client.redeem(&code).await.unwrap()
}

/// Signs in and refreshes.
async fn sign_in_and_refresh(client: &Client) {
    let tokens = sign_in(client).await;
    client.refresh(tokens.refresh_token.as_deref().unwrap()).await.unwrap();
}

/// Status and error of a refresh with an invalid token: only an authenticated client gets `invalid_grant`.
async fn refresh_error(client: &Client) -> (u16, String) {
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let (status, response) = client.token(&form).await.unwrap();
    (status, response["error"].as_str().unwrap().to_owned())
}

fn authenticated() -> (u16, String) {
    (400, "invalid_grant".into())
}

fn unavailable() -> (u16, String) {
    (503, "temporarily_unavailable".into())
}

fn invalid_client() -> (u16, String) {
    (401, "invalid_client".into())
}

#[tokio::test]
async fn a_published_client_authenticates_with_its_key() {
    let (world, document_server) = World::start().await.with_document_server().await;
    sign_in_and_refresh(&with_inline_key(&world, &document_server, Key::es256("1")).await).await;
    for key in [Key::es256("1"), Key::rsa("2", "RS256"), Key::rsa("3", "PS256")] {
        let (world, document_server) = World::start().await.with_document_server().await;
        sign_in_and_refresh(&with_key_set(&world, &document_server, key).await).await;
        assert_eq!(document_server.request_count(JWKS), 1);
    }
}

#[tokio::test]
async fn a_registered_client_authenticates_with_its_key() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let discovered = client::discover(&world.url(SERVER)).await.unwrap();
    let (inline, at) = (Key::es256("1"), Key::rsa("2", "RS256"));
    document_server.set_response(JWKS, DocumentResponse::json(&jwks(&[&at])));
    for (key, keys) in
        [(inline.jwk(), (inline, "jwks")), (json!(document_server.url(HOST, JWKS)), (at, "jwks_uri"))]
    {
        let (pair, member) = keys;
        let value = if member == "jwks" { json!({ "keys": [key] }) } else { key };
        let metadata = json!({
            "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", member: value,
        });
        let response = http().post(world.url("/auth/register")).json(&metadata).send().await.unwrap();
        assert_eq!(response.status(), 201);
        let registered: Value = response.json().await.unwrap();
        assert_eq!(registered["token_endpoint_auth_method"], "private_key_jwt");
        assert_eq!(registered[member], value);
        assert!(registered.get("client_secret").is_none(), "there is no secret");
        let id = registered["client_id"].as_str().unwrap();
        sign_in_and_refresh(&discovered.client_with_key(id, CALLBACK, pair)).await;
    }
}

#[tokio::test]
async fn an_unknown_key_refetches_the_key_set_once_a_minute() {
    let (world, document_server) = World::with_manual_clock(|site| site).await.with_document_server().await;
    let old = with_key_set(&world, &document_server, with_world_clock(&world, Key::es256("old"))).await;
    let with = |key: Key| old.discovered.client_with_key(&old.id, CALLBACK, key);
    assert_eq!(refresh_error(&old).await, authenticated());
    world.clock.advance(Duration::from_mins(1));
    let new = with_world_clock(&world, Key::es256("new"));
    document_server.set_response(JWKS, DocumentResponse::json(&jwks(&[&new])));
    let new = with(new);
    assert_eq!(refresh_error(&old).await, authenticated(), "the cached set is fresh and has the key");
    assert_eq!(refresh_error(&new).await, authenticated(), "the cached set is fresh and lacks the key");
    assert_eq!(
        (refresh_error(&old).await, document_server.request_count(JWKS)),
        (unavailable(), 2),
        "the key set was fetched just now"
    );
    for _ in 0..5 {
        let foreign = refresh_error(&with(with_world_clock(&world, Key::es256("foreign")))).await;
        assert_eq!(foreign, unavailable(), "the key may have been added since");
    }
    assert_eq!(document_server.request_count(JWKS), 2, "fetches of the key set are limited");
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(refresh_error(&old).await, invalid_client(), "the key is not in the set");
    // The same `kid` for another key.
    world.clock.advance(Duration::from_mins(1));
    let same_name = with_world_clock(&world, Key::es256("new"));
    document_server.set_response(JWKS, DocumentResponse::json(&jwks(&[&same_name])));
    assert_eq!(refresh_error(&with(same_name)).await, authenticated());
}

#[tokio::test]
async fn a_client_can_replace_the_key_in_its_document() {
    let (world, document_server) = World::with_manual_clock(|site| site).await.with_document_server().await;
    let old = with_inline_key(&world, &document_server, with_world_clock(&world, Key::es256("1"))).await;
    assert_eq!(refresh_error(&old).await, authenticated());
    let new = with_inline_key(&world, &document_server, with_world_clock(&world, Key::es256("1"))).await;
    assert_eq!(refresh_error(&new).await, invalid_client(), "the cached document is fresh");
    world.clock.advance(Duration::from_mins(10));
    assert_eq!((refresh_error(&new).await, refresh_error(&old).await), (authenticated(), invalid_client()));
}

#[tokio::test]
async fn the_last_valid_key_set_is_used_for_a_day_and_then_it_is_503() {
    let world = World::with_manual_clock(|site| site).await;
    let (mut world, document_server) = world.with_document_server().await;
    let key = with_world_clock(&world, Key::es256("1"));
    let good = DocumentResponse::json(&jwks(&[&key]));
    let client = with_key_set(&world, &document_server, key).await;
    assert_eq!(refresh_error(&client).await, authenticated());
    for bad in [
        DocumentResponse::text("text/html", "").status(500),
        DocumentResponse::text("application/json", "{}"),
    ] {
        world.clock.advance(Duration::from_hours(11));
        document_server.set_response(JWKS, bad);
        assert_eq!(refresh_error(&client).await, authenticated());
    }
    let unknown =
        client.discovered.client_with_key(&client.id, CALLBACK, with_world_clock(&world, Key::es256("new")));
    assert_eq!(refresh_error(&unknown).await, unavailable(), "the key may have been added since");
    world.clock.advance(Duration::from_hours(3));
    assert_eq!(
        refresh_error(&client).await,
        unavailable(),
        "the cached set may have a key that was removed a day ago"
    );
    document_server.set_response(JWKS, good);
    assert_eq!(refresh_error(&client).await, authenticated());
    let client = world.after_restart(client).await;
    document_server.set_response(JWKS, DocumentResponse::text("text/html", "").status(500));
    assert_eq!(refresh_error(&client).await, unavailable());
}

#[tokio::test]
async fn a_removed_key_set_is_no_longer_used() {
    for status in [404, 410] {
        let (world, document_server) =
            World::with_manual_clock(|site| site).await.with_document_server().await;
        let client = with_key_set(&world, &document_server, with_world_clock(&world, Key::es256("1"))).await;
        assert_eq!(refresh_error(&client).await, authenticated());
        document_server.set_response(JWKS, DocumentResponse::text("text/html", "").status(status));
        world.clock.advance(Duration::from_hours(1));
        assert_eq!(refresh_error(&client).await, unavailable(), "{status}");
        document_server.set_response(JWKS, DocumentResponse::text("text/html", "").status(500));
        assert_eq!(refresh_error(&client).await, unavailable(), "{status}: no cached copy");
    }
}

#[tokio::test]
async fn a_rate_limited_client_does_not_use_stale_keys() {
    let one = |site: crate::harness::SiteBuilder| site.set(|site| site.limits.client_metadata_fetches = 1);
    let (world, document_server) = World::with_manual_clock(one).await.with_document_server().await;
    let client = with_key_set(&world, &document_server, with_world_clock(&world, Key::es256("stolen"))).await;
    let too_many = (429, "temporarily_unavailable".to_owned());
    assert_eq!(refresh_error(&client).await, too_many, "the document was the only fetch of this minute");
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(refresh_error(&client).await, authenticated());
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(refresh_error(&client).await, too_many, "the cached keys are stale");
}

#[tokio::test]
async fn a_client_revokes_a_grant_with_its_key() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let client = with_inline_key(&world, &document_server, Key::es256("1")).await;
    let token = sign_in(&client).await.refresh_token.unwrap();
    let revoke = async |assertion: Option<&str>| {
        let mut form = vec![("token", &*token), ("client_id", &client.id)];
        if let Some(assertion) = assertion {
            form.extend([("client_assertion_type", assertions::TYPE), ("client_assertion", assertion)]);
        }
        http().post(world.url("/auth/revoke")).form(&form).send().await.unwrap().status().as_u16()
    };
    assert_eq!(revoke(None).await, 401);
    let assertion = client.key.as_ref().unwrap().assertion(&client.id, &world.base_url);
    assert_eq!(revoke(Some(&assertion)).await, 200);
    assert_eq!(revoke(Some(&assertion)).await, 401, "the assertion was used before");
    assert!(client.refresh(&token).await.unwrap_err().0.starts_with("invalid_grant"));
}

#[tokio::test]
async fn a_registration_with_many_keys_is_advised_to_use_jwks_uri() {
    let world = World::start().await;
    let keys: Vec<Value> = (0..8).map(|n| Key::rsa(&"k".repeat(700 + n), "RS256").jwk()).collect();
    let metadata = json!({
        "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": keys },
    });
    let response = http().post(world.url("/auth/register")).json(&metadata).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let response: Value = response.json().await.unwrap();
    assert!(
        response["error_description"].as_str().unwrap().contains("jwks_uri instead of jwks"),
        "{response}"
    );
}

#[tokio::test]
async fn a_published_client_uses_the_authentication_method_that_it_names() {
    let (world, document_server) =
        World::with(StoreKind::Redis, |site| site).await.with_document_server().await;
    let key = Key::rsa("1", "RS256");
    document_server.set_response(JWKS, DocumentResponse::json(&jwks(&[&key])));
    let id = document_server.url(HOST, PATH);
    let mut document = document(&id);
    document["token_endpoint_auth_method"] = json!("private_key_jwt");
    document["token_endpoint_auth_methods_supported"] = json!(["none", "private_key_jwt"]);
    document["token_endpoint_auth_signing_alg"] = json!("RS256");
    document["jwks_uri"] = json!(document_server.url(HOST, JWKS));
    document_server.set_response(PATH, DocumentResponse::json(&document));
    let client = world.published_client_with_key(&id, SERVER, key).await;
    sign_in_and_refresh(&client).await;
    assert_eq!(
        refresh_error(&world.published_client(&id, SERVER).await).await,
        invalid_client(),
        "`none` would bypass authentication"
    );
    let other = client.discovered.client_with_key(&id, CALLBACK, Key::rsa("1", "PS256"));
    assert_eq!(refresh_error(&other).await, invalid_client(), "the client only uses RS256");
}
