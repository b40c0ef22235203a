//! `private_key_jwt`: clients that prove themselves by a key, published or registered.

mod assertions;

use crate::harness::publishing::{HOST, PATH, document, publish};
use crate::harness::{CALLBACK, Keep, World, http};
use gateway_standins::Time;
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Client, Key, Login, Tokens};
use gateway_standins::publisher::{Answer, Publisher};
use serde_json::{Value, json};
use std::time::Duration;

const SERVER: &str = "/mcp/raw/echo";
const JWKS: &str = "/oauth/jwks.json";

fn jwks(keys: &[&Key]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
}

/// A published client with this key in its document.
async fn with_inline_key(world: &World, publisher: &Publisher, key: Key) -> Client {
    let id = publish(publisher, |document| {
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["jwks"] = jwks(&[&key]);
    });
    world.published_with_key(&id, SERVER, key).await
}

/// A published client whose document points to a key set with this key.
async fn with_key_set(world: &World, publisher: &Publisher, key: Key) -> Client {
    publisher.says(JWKS, Answer::json(&jwks(&[&key])));
    let id = publish(publisher, |document| {
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["jwks_uri"] = json!(publisher.url(HOST, JWKS));
    });
    world.published_with_key(&id, SERVER, key).await
}

/// A key of a client that goes by the world's time.
fn timed(world: &World, key: Key) -> Key {
    let clock = world.clock.clone();
    key.by(Time::from_source(move || clock.now().seconds()))
}

async fn sign_in(client: &Client) -> Tokens {
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    client.redeem(&code).await.unwrap()
}

/// Signs in and refreshes.
async fn goes_all_the_way(client: &Client) {
    let tokens = sign_in(client).await;
    client.refresh(tokens.refresh_token.as_deref().unwrap()).await.unwrap();
}

/// The status and the error of a refresh with a token that is none: `invalid_grant` is said to a proved client alone.
async fn answer(client: &Client) -> (u16, String) {
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let (status, answer) = client.token(&form).await.unwrap();
    (status, answer["error"].as_str().unwrap().to_owned())
}

fn proved() -> (u16, String) {
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
    let (world, publisher) = World::start().await.and_a_publisher().await;
    goes_all_the_way(&with_inline_key(&world, &publisher, Key::es256("1")).await).await;
    for key in [Key::es256("1"), Key::rsa("2", "RS256"), Key::rsa("3", "PS256")] {
        let (world, publisher) = World::start().await.and_a_publisher().await;
        goes_all_the_way(&with_key_set(&world, &publisher, key).await).await;
        assert_eq!(publisher.asked(JWKS), 1);
    }
}

#[tokio::test]
async fn a_registered_client_authenticates_with_its_key() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let discovered = client::discover(&world.url(SERVER)).await.unwrap();
    let (inline, at) = (Key::es256("1"), Key::rsa("2", "RS256"));
    publisher.says(JWKS, Answer::json(&jwks(&[&at])));
    for (key, keys) in
        [(inline.jwk(), (inline, "jwks")), (json!(publisher.url(HOST, JWKS)), (at, "jwks_uri"))]
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
        assert!(registered.get("client_secret").is_none(), "there is none");
        let id = registered["client_id"].as_str().unwrap();
        goes_all_the_way(&discovered.client_with_key(id, CALLBACK, pair)).await;
    }
}

#[tokio::test]
async fn an_unknown_key_refetches_the_key_set_once_a_minute() {
    let (world, publisher) = World::in_standing_time(|site| site).await.and_a_publisher().await;
    let old = with_key_set(&world, &publisher, timed(&world, Key::es256("old"))).await;
    let with = |key: Key| old.discovered.client_with_key(&old.id, CALLBACK, key);
    assert_eq!(answer(&old).await, proved());
    world.clock.advance(Duration::from_mins(1));
    let new = timed(&world, Key::es256("new"));
    publisher.says(JWKS, Answer::json(&jwks(&[&new])));
    let new = with(new);
    assert_eq!(answer(&old).await, proved(), "the copy is fresh, and has the key");
    assert_eq!(answer(&new).await, proved(), "the copy is fresh, and lacks the key");
    assert_eq!((answer(&old).await, publisher.asked(JWKS)), (unavailable(), 2), "it was looked for just now");
    for _ in 0..5 {
        let foreign = answer(&with(timed(&world, Key::es256("foreign")))).await;
        assert_eq!(foreign, unavailable(), "it may be there by now");
    }
    assert_eq!(publisher.asked(JWKS), 2, "nobody makes us ask a site again and again");
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(answer(&old).await, invalid_client(), "it is not there");
    // The same name for another key.
    world.clock.advance(Duration::from_mins(1));
    let same_name = timed(&world, Key::es256("new"));
    publisher.says(JWKS, Answer::json(&jwks(&[&same_name])));
    assert_eq!(answer(&with(same_name)).await, proved());
}

#[tokio::test]
async fn a_client_can_replace_the_key_in_its_document() {
    let (world, publisher) = World::in_standing_time(|site| site).await.and_a_publisher().await;
    let old = with_inline_key(&world, &publisher, timed(&world, Key::es256("1"))).await;
    assert_eq!(answer(&old).await, proved());
    let new = with_inline_key(&world, &publisher, timed(&world, Key::es256("1"))).await;
    assert_eq!(answer(&new).await, invalid_client(), "the document is fresh");
    world.clock.advance(Duration::from_mins(10));
    assert_eq!((answer(&new).await, answer(&old).await), (proved(), invalid_client()));
}

#[tokio::test]
async fn the_last_valid_key_set_is_used_for_a_day_and_then_it_is_503() {
    let world = World::in_standing_time(|site| site).await;
    let (mut world, publisher) = world.and_a_publisher().await;
    let key = timed(&world, Key::es256("1"));
    let good = Answer::json(&jwks(&[&key]));
    let client = with_key_set(&world, &publisher, key).await;
    assert_eq!(answer(&client).await, proved());
    for bad in [Answer::text("text/html", "").status(500), Answer::text("application/json", "{}")] {
        world.clock.advance(Duration::from_hours(11));
        publisher.says(JWKS, bad);
        assert_eq!(answer(&client).await, proved());
    }
    let unknown = client.discovered.client_with_key(&client.id, CALLBACK, timed(&world, Key::es256("new")));
    assert_eq!(answer(&unknown).await, unavailable(), "that key may be there by now: who knows?");
    world.clock.advance(Duration::from_hours(3));
    assert_eq!(
        answer(&client).await,
        unavailable(),
        "a key that was taken out a day ago may still be in the copy"
    );
    publisher.says(JWKS, good);
    assert_eq!(answer(&client).await, proved());
    let client = world.after_restart(client).await;
    publisher.says(JWKS, Answer::text("text/html", "").status(500));
    assert_eq!(answer(&client).await, unavailable());
}

#[tokio::test]
async fn a_removed_key_set_is_no_longer_used() {
    for status in [404, 410] {
        let (world, publisher) = World::in_standing_time(|site| site).await.and_a_publisher().await;
        let client = with_key_set(&world, &publisher, timed(&world, Key::es256("1"))).await;
        assert_eq!(answer(&client).await, proved());
        publisher.says(JWKS, Answer::text("text/html", "").status(status));
        world.clock.advance(Duration::from_hours(1));
        assert_eq!(answer(&client).await, unavailable(), "{status}");
        publisher.says(JWKS, Answer::text("text/html", "").status(500));
        assert_eq!(answer(&client).await, unavailable(), "{status}: no copy is left");
    }
}

#[tokio::test]
async fn a_rate_limited_client_does_not_use_stale_keys() {
    let one = |site: crate::harness::SiteOf| site.set(|site| site.limits.client_metadata_fetches = 1);
    let (world, publisher) = World::in_standing_time(one).await.and_a_publisher().await;
    let client = with_key_set(&world, &publisher, timed(&world, Key::es256("stolen"))).await;
    let too_many = (429, "temporarily_unavailable".to_owned());
    assert_eq!(answer(&client).await, too_many, "the document was the one fetch of this minute");
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(answer(&client).await, proved());
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(answer(&client).await, too_many, "the keys are not fresh any more");
}

#[tokio::test]
async fn a_client_revokes_a_grant_with_its_key() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let client = with_inline_key(&world, &publisher, Key::es256("1")).await;
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
    assert_eq!(revoke(Some(&assertion)).await, 401, "it was used");
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
    let answer: Value = response.json().await.unwrap();
    assert!(answer["error_description"].as_str().unwrap().contains("jwks_uri instead of jwks"), "{answer}");
}

#[tokio::test]
async fn a_published_client_uses_the_authentication_method_that_it_names() {
    let (world, publisher) = World::with(Keep::Redis, |site| site).await.and_a_publisher().await;
    let key = Key::rsa("1", "RS256");
    publisher.says(JWKS, Answer::json(&jwks(&[&key])));
    let id = publisher.url(HOST, PATH);
    let mut document = document(&id);
    document["token_endpoint_auth_method"] = json!("private_key_jwt");
    document["token_endpoint_auth_methods_supported"] = json!(["none", "private_key_jwt"]);
    document["token_endpoint_auth_signing_alg"] = json!("RS256");
    document["jwks_uri"] = json!(publisher.url(HOST, JWKS));
    publisher.says(PATH, Answer::json(&document));
    let client = world.published_with_key(&id, SERVER, key).await;
    goes_all_the_way(&client).await;
    assert_eq!(
        answer(&world.published(&id, SERVER).await).await,
        invalid_client(),
        "`none` would be a way around"
    );
    let other = client.discovered.client_with_key(&id, CALLBACK, Key::rsa("1", "PS256"));
    assert_eq!(answer(&other).await, invalid_client(), "it signs with RS256 alone");
}
