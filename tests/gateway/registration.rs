//! `POST /auth/register`.

mod limits;
mod policy;

use crate::harness::{World, http};
use serde_json::{Value, json};

async fn register(world: &World, metadata: &Value) -> (u16, Value) {
    let response = http().post(world.url("/auth/register")).json(metadata).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn token(world: &World, form: &[(&str, &str)]) -> (u16, Value) {
    let response = http().post(world.url("/auth/token")).form(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_registration_is_201_with_the_accepted_metadata() {
    let world = World::start().await;
    let metadata = json!({
        "client_name": "MCP CLI Proxy", "redirect_uris": ["http://localhost:3334/oauth/callback"],
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"], "scope": "openid email profile", "software_id": "x", "application_type": "native",
    });
    let (status, response) = register(&world, &metadata).await;
    assert_eq!(status, 201);
    insta::assert_json_snapshot!(response, { ".client_id" => "[sealed]", ".client_id_issued_at" => 0 });
}

#[tokio::test]
async fn a_confidential_client_gets_a_secret_that_never_expires() {
    let world = World::start().await;
    let metadata = json!({ "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"] });
    let (_, response) = register(&world, &metadata).await;
    assert_eq!(response["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(response["client_secret_expires_at"], 0);
    assert!(response["client_secret"].as_str().unwrap().len() >= 43);
}

#[tokio::test]
async fn invalid_metadata_is_400_and_names_the_field() {
    let world = World::start().await;
    let (status, response) = register(&world, &json!({ "redirect_uris": ["javascript:alert(1)"] })).await;
    assert_eq!((status, response["error"].as_str()), (400, Some("invalid_redirect_uri")));
    assert!(response["error_description"].as_str().unwrap().contains("redirect_uris[0]"), "{response}");
    let response = http().post(world.url("/auth/register")).body("not json").send().await.unwrap();
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn a_registration_body_that_is_too_long_is_413() {
    let world = World::start().await;
    let response = http().post(world.url("/auth/register")).body("x".repeat(70_000)).send().await.unwrap();
    assert_eq!(response.status(), 413);
}

#[tokio::test]
async fn an_altered_client_id_is_invalid_client() {
    let world = World::start().await;
    let metadata = json!({ "redirect_uris": ["http://localhost/cb"], "token_endpoint_auth_method": "none" });
    let (_, response) = register(&world, &metadata).await;
    let id = response["client_id"].as_str().unwrap();
    let form = |id: &str| {
        [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", id)]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
    };
    let post_form = async |id: String| {
        let form = form(&id);
        let form: Vec<(&str, &str)> = form.iter().map(|(k, v)| (&**k, &**v)).collect();
        token(&world, &form).await
    };
    let (status, good) = post_form(id.to_owned()).await;
    assert_eq!((status, good["error"].as_str()), (400, Some("invalid_grant")));
    for place in [0, id.len() / 2, id.len() - 1] {
        let mut altered = id.as_bytes().to_vec();
        altered[place] ^= 1;
        let (status, response) = post_form(String::from_utf8(altered).unwrap()).await;
        assert_eq!((status, response["error"].as_str()), (401, Some("invalid_client")), "place {place}");
    }
}

#[tokio::test]
async fn a_registration_survives_a_restart_and_a_flushed_store() {
    let mut world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    world.restart().await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", &*client.id)];
    let (_, response) = token(&world, &form).await;
    assert_eq!(response["error"], "invalid_grant", "the client is known, but not the token");
}

#[tokio::test]
async fn a_wrong_or_missing_client_secret_is_invalid_client() {
    let world = World::start().await;
    let (_, response) = register(&world, &json!({ "redirect_uris": ["https://a.example/cb"] })).await;
    let id = response["client_id"].as_str().unwrap();
    let secret = response["client_secret"].as_str().unwrap();
    let base = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let refresh = |proof: Option<&str>| {
        let request = http().post(world.url("/auth/token")).form(&base);
        request.basic_auth(id, proof).send()
    };
    for (proof, error) in
        [(Some(secret), "invalid_grant"), (Some("wrong"), "invalid_client"), (None, "invalid_client")]
    {
        let response: Value = refresh(proof).await.unwrap().json().await.unwrap();
        assert_eq!(response["error"], error, "{proof:?}");
    }
    let posted = [base[0], base[1], ("client_id", id), ("client_secret", secret)];
    assert_eq!(
        token(&world, &posted).await.1["error"],
        "invalid_grant",
        "client_secret_post is accepted too"
    );
}

#[tokio::test]
async fn the_same_metadata_twice_makes_two_clients() {
    let world = World::start().await;
    let metadata = json!({ "redirect_uris": ["http://localhost/cb"], "token_endpoint_auth_method": "none" });
    let (_, first) = register(&world, &metadata).await;
    let (_, second) = register(&world, &metadata).await;
    assert_ne!(first["client_id"], second["client_id"]);
}
