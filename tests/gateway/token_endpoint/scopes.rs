//! Scopes of grants and tokens: every call needs all scopes of its route.

use super::{post, signed_in};
use crate::harness::{SiteBuilder, StoreKind, World, http};
use gateway_routes::Route;
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Login, Tokens};
use reqwest::Response;
use serde_json::{Value, json};

const TWO: &[&str] = &["raw:read", "raw:write"];

fn two_scopes(site: SiteBuilder) -> SiteBuilder {
    site.change("/mcp/raw/", |route| Route { scopes: TWO, ..route })
}

fn three_scopes(route: Route) -> Route {
    Route { scopes: &["raw:read", "raw:write", "raw:delete"], ..route }
}

async fn call(world: &World, token: &str) -> Response {
    let call = http().post(world.url("/mcp/raw/echo")).bearer_auth(token);
    call.json(&json!({ "jsonrpc": "2.0" })).send().await.unwrap()
}

/// Refreshes with these more parameters; returns status and body.
async fn refresh(world: &World, client: &Client, tokens: &Tokens, more: &[(&str, &str)]) -> (u16, Value) {
    let token = tokens.refresh_token.as_deref().unwrap();
    let form = [("client_id", &*client.id), ("grant_type", "refresh_token"), ("refresh_token", token)];
    let response = post(world, &[&form[..], more].concat()).await;
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_request_for_a_subset_of_the_scopes_grants_them_all() {
    let world = World::with(StoreKind::Embedded, two_scopes).await;
    for requested in [&["raw:read"][..], &["raw:write", "unheard-of"], &["openid", "email"], &[], TWO] {
        let (client, tokens) = signed_in(&world, requested).await;
        assert_eq!(tokens.scope.as_deref(), Some("raw:read raw:write"), "{requested:?}");
        assert_eq!(tokens.expires_in, 600);
        assert_eq!(call(&world, &tokens.access_token).await.status(), 200, "{requested:?}");
        for more in [&[][..], &[("scope", "raw:read")], &[("scope", "openid")]] {
            let (_, refreshed) = refresh(&world, &client, &tokens, more).await;
            assert_eq!(refreshed["scope"], "raw:read raw:write", "{more:?}");
            let token = refreshed["access_token"].as_str().unwrap();
            assert_eq!(call(&world, token).await.status(), 200, "{more:?}");
        }
    }
}

#[tokio::test]
async fn the_consent_page_shows_all_scopes_that_are_granted() {
    let world = World::with(StoreKind::Embedded, two_scopes).await;
    let mut client = world.client("/mcp/raw/echo").await;
    client.discovered.scopes = vec!["raw:read".to_owned()];
    let url = client.authorize_url("xyz", &"v".repeat(43), &[]).unwrap();
    let page = http().get(url).header("accept", "text/html").send().await.unwrap().text().await.unwrap();
    for scope in TWO {
        assert!(page.contains(scope), "{scope} is missing: {page}");
    }
}

#[tokio::test]
async fn a_grant_whose_scopes_do_not_open_its_route_is_invalid_grant_at_refresh() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let mut world = World::with(store_kind, two_scopes).await;
        let (client, tokens) = signed_in(&world, &[]).await;
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
        world.rebuild_route("/mcp/raw/", three_scopes).await;
        for more in [&[][..], &[("scope", "raw:read")], &[("scope", "raw:read raw:write raw:delete")]] {
            let (status, refused) = refresh(&world, &client, &tokens, more).await;
            assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_grant")), "{more:?}");
        }
        let late = client.redeem(&code).await.unwrap_err().to_string();
        assert!(late.starts_with("invalid_grant"), "{late}");
        let (_, anew) = signed_in(&world, &[]).await;
        assert_eq!(anew.scope.as_deref(), Some("raw:read raw:write raw:delete"));
        assert_eq!(call(&world, &anew.access_token).await.status(), 200);
        world.rebuild_route("/mcp/raw/", |route| Route { scopes: &["raw:read"], ..route }).await;
        let (status, fewer) = refresh(&world, &client, &tokens, &[]).await;
        assert_eq!((status, fewer["scope"].as_str()), (200, Some("raw:read")), "nothing was revoked");
    }
}

#[tokio::test]
async fn a_missing_scope_is_403_with_all_required_scopes() {
    let mut world = World::with(StoreKind::Embedded, two_scopes).await;
    let (_, tokens) = signed_in(&world, &[]).await;
    world.rebuild_route("/mcp/raw/", three_scopes).await;
    let response = call(&world, &tokens.access_token).await;
    assert_eq!(response.status(), 403);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    let metadata = world.url("/.well-known/oauth-protected-resource/mcp/raw/echo");
    for part in [
        r#"Bearer error="insufficient_scope""#,
        r#"scope="raw:read raw:write raw:delete""#,
        &format!(r#"resource_metadata="{metadata}""#),
    ] {
        assert!(challenge.contains(part), "{part} is missing in {challenge}");
    }
    assert!(world.backend.requests().is_empty());
}
