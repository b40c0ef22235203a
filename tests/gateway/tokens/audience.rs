//! `aud` of access tokens: the resource that was asked for, as the metadata of its path names it.

use super::{claims, status};
use crate::harness::{StoreKind, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Code, Login};
use serde_json::Value;

const ECHO: &str = "/mcp/raw/echo";

/// Client of [`ECHO`] whose authorization asks for these resources.
async fn client(world: &World, resource: &str) -> Client {
    let mut client = world.client(ECHO).await;
    resource.clone_into(&mut client.discovered.resource);
    client
}

async fn authorize(client: &Client) -> Code {
    client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap()
}

/// Redeems a code, with `resource` if there is one; returns the response.
async fn redeem(client: &Client, code: &Code, resource: Option<&str>) -> Value {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", &*code.code),
        ("code_verifier", &code.verifier),
        ("redirect_uri", &client.redirect_uri),
    ];
    form.extend(resource.map(|resource| ("resource", resource)));
    client.token(&form).await.unwrap().1
}

async fn refresh(client: &Client, tokens: &Value, resource: Option<&str>) -> Value {
    let token = tokens["refresh_token"].as_str().unwrap();
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    form.extend(resource.map(|resource| ("resource", resource)));
    client.token(&form).await.unwrap().1
}

fn access_token(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}"))
}

fn audience(tokens: &Value) -> Value {
    claims(access_token(tokens))["aud"].clone()
}

#[tokio::test]
async fn the_audience_is_the_requested_resource_as_its_metadata_names_it() {
    let world = World::start().await;
    let upper = world.url(ECHO).replace("localhost", "LocalHost");
    for (resource, expected) in [
        (world.url("/mcp/raw/echo"), "/mcp/raw/echo"),
        (world.url("/mcp/raw/echo/"), "/mcp/raw/echo/"),
        (world.url("/mcp/raw/deeper/still"), "/mcp/raw/deeper/still"),
        (world.url("/mcp/raw"), "/mcp/raw"),
        (world.url("/mcp/raw/"), "/mcp/raw/"),
        (upper, "/mcp/raw/echo"),
        (world.url("/mcp/raw/echo?a=b"), "/mcp/raw/echo"),
        // Without metadata.
        (world.url("/mcp/raw/a%2fb"), "/mcp/raw"),
        (world.url("/mcp/raw//echo"), "/mcp/raw"),
        // The origin, as older clients send it; the scopes select the route.
        (world.url("/"), "/mcp/raw"),
    ] {
        let client = client(&world, &resource).await;
        let tokens = redeem(&client, &authorize(&client).await, None).await;
        assert_eq!(audience(&tokens), world.url(expected), "{resource}");
        for path in [ECHO, "/mcp/raw", "/mcp/raw/other"] {
            assert_eq!(status(&world, path, access_token(&tokens)).await, 200, "{resource} at {path}");
        }
        assert_eq!(status(&world, "/mcp/dice/mcp", access_token(&tokens)).await, 401, "{resource}");
        let metadata = world.url(&format!("/.well-known/oauth-protected-resource{expected}"));
        let document: Value = http().get(metadata).send().await.unwrap().json().await.unwrap();
        assert_eq!(document["resource"], audience(&tokens), "{resource}");
    }
}

#[tokio::test]
async fn a_token_request_may_name_another_resource_of_the_route() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = World::with(store_kind, |site| site).await;
        let (echo, other, route) = (world.url(ECHO), world.url("/mcp/raw/other"), world.url("/mcp/raw"));
        for (authorized, redeemed, expected, kept) in [
            (&*echo, None, &*echo, &*echo),
            (&echo, Some(&*other), &other, &echo),
            (&route, Some(&echo), &echo, &route),
            (&world.url("/"), Some(&echo), &echo, &echo),
            (&world.url("/"), None, &route, &route),
        ] {
            let client = client(&world, authorized).await;
            let tokens = redeem(&client, &authorize(&client).await, redeemed).await;
            assert_eq!(audience(&tokens), expected, "{authorized}, {redeemed:?}");
            let tokens = refresh(&client, &tokens, Some(&other)).await;
            assert_eq!(audience(&tokens), other);
            assert_eq!(status(&world, ECHO, access_token(&tokens)).await, 200);
            let tokens = refresh(&client, &tokens, None).await;
            assert_eq!(audience(&tokens), kept, "the default is the grant's: {authorized}, {redeemed:?}");
            let refused = refresh(&client, &tokens, Some(&world.dice_url())).await;
            assert_eq!(refused["error"], "invalid_target");
        }
    }
}

#[tokio::test]
async fn a_resource_belongs_to_the_route_with_the_longest_pattern() {
    let mut world = World::start().await;
    let client = client(&world, &world.url("/mcp/raw/inner/echo")).await;
    let tokens = redeem(&client, &authorize(&client).await, None).await;
    assert_eq!(status(&world, "/mcp/raw/inner/echo", access_token(&tokens)).await, 200);
    let backend = world.backend.url();
    world
        .rebuild_with_route("/mcp/raw/inner/", &backend, |route| gateway_routes::Route {
            scopes: &["mcp:raw"],
            ..route
        })
        .await;
    for path in ["/mcp/raw/inner/echo", ECHO] {
        assert_eq!(
            status(&world, path, access_token(&tokens)).await,
            401,
            "{path}: the resource has another route"
        );
    }
    let refreshed = refresh(&client, &tokens, None).await;
    assert_eq!(audience(&refreshed), world.url("/mcp/raw"));
    assert_eq!(status(&world, ECHO, access_token(&refreshed)).await, 200);
    assert_eq!(status(&world, "/mcp/raw/inner/echo", access_token(&refreshed)).await, 401);
}

#[tokio::test]
async fn a_token_for_a_resource_below_its_route_revokes_its_grant() {
    let world = World::start().await;
    let client = client(&world, &world.url(ECHO)).await;
    let tokens = redeem(&client, &authorize(&client).await, None).await;
    let form = [("client_id", &*client.id), ("token", access_token(&tokens))];
    assert_eq!(http().post(world.url("/auth/revoke")).form(&form).send().await.unwrap().status(), 200);
    assert_eq!(status(&world, ECHO, access_token(&tokens)).await, 401);
    assert_eq!(refresh(&client, &tokens, None).await["error"], "invalid_grant");
}

#[tokio::test]
async fn a_long_resource_is_invalid_target() {
    let world = World::start().await;
    let long = client(&world, &world.url(&format!("/mcp/raw/{}", "a".repeat(1_024)))).await;
    let refused = long.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap_err().to_string();
    assert!(refused.contains("invalid_target"), "{refused}");
}
