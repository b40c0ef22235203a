//! `/.well-known/…`, and the 401 response that refers to it.

use crate::harness::{StoreKind, World, http};
use reqwest::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HOST, WWW_AUTHENTICATE};
use serde_json::Value;

async fn get(url: &str) -> (u16, Value) {
    let response = http().get(url).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

/// Replaces the random port by a constant for snapshots.
fn without_port(world: &World, document: &Value) -> Value {
    serde_json::from_str(&document.to_string().replace(&world.base_url, "https://gateway")).unwrap()
}

#[tokio::test]
async fn the_authorization_server_metadata_is_complete() {
    let world = World::start().await;
    let (status, document) = get(&world.url("/.well-known/oauth-authorization-server")).await;
    assert_eq!(status, 200);
    insta::assert_json_snapshot!(without_port(&world, &document));
    let openid = get(&world.url("/.well-known/openid-configuration")).await;
    assert_eq!(openid, (200, document));
}

#[tokio::test]
async fn authorization_server_metadata_with_a_path_suffix_is_404() {
    let world = World::start().await;
    for path in [
        "/.well-known/oauth-authorization-server/mcp/dice/mcp",
        "/.well-known/openid-configuration/mcp/dice/mcp",
        "/mcp/dice/nothing/.well-known/openid-configuration",
    ] {
        let status = get(&world.url(path)).await.0;
        assert!((400..500).contains(&status), "{path}: {status}, clients fall back to the root on 4xx alone");
    }
}

#[tokio::test]
async fn resource_metadata_names_the_requested_path() {
    let world = World::start().await;
    let (status, document) = get(&world.url("/.well-known/oauth-protected-resource/mcp/dice/mcp")).await;
    assert_eq!(status, 200);
    insta::assert_json_snapshot!(without_port(&world, &document));
    for path in ["/mcp/dice", "/mcp/dice/", "/mcp/dice/deeper/still"] {
        let (status, document) =
            get(&world.url(&format!("/.well-known/oauth-protected-resource{path}"))).await;
        assert_eq!((status, document["resource"].as_str()), (200, Some(&*world.url(path))));
    }
}

#[tokio::test]
async fn resource_metadata_of_an_unknown_path_is_404() {
    let world = World::start().await;
    let repeated = "/.well-known/oauth-protected-resource/mcp/dice/mcp";
    let paths = ["/mcp", "/mcp/dic", "/mcp/dicey", "/auth/token", "/mcp/dice//mcp", "/mcp/dice/a%2fb", "/"];
    for path in paths.into_iter().chain([repeated, "/.well-known/oauth-protected-resource"]) {
        let (status, _) = get(&world.url(&format!("/.well-known/oauth-protected-resource{path}"))).await;
        assert_eq!(status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_root_resource_metadata_is_the_only_routes_and_of_several_routes_404() {
    let two = World::start().await;
    let root = http().get(two.url("/.well-known/oauth-protected-resource")).send().await.unwrap();
    assert_eq!(root.status(), 404);
    assert_eq!(root.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*", "scripts probe for it");
    let one = World::with(StoreKind::Embedded, |site| site.without("/mcp/raw/")).await;
    let (_, document) = get(&one.url("/.well-known/oauth-protected-resource")).await;
    assert_eq!(document["resource"], one.url("/mcp/dice"));
}

#[tokio::test]
async fn a_request_without_a_token_gets_the_metadata_url() {
    let world = World::start().await;
    let response = http().post(world.dice_url()).send().await.unwrap();
    assert_eq!(response.status(), 401);
    let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
    let metadata = world.url("/.well-known/oauth-protected-resource/mcp/dice/mcp");
    assert_eq!(challenge, format!(r#"Bearer resource_metadata="{metadata}", scope="mcp:dice""#));
}

#[tokio::test]
async fn browsers_may_read_every_public_document_after_a_preflight() {
    let world = World::start().await;
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp/dice/mcp",
        "/auth/register",
        "/auth/token",
    ] {
        let preflight = http().request(reqwest::Method::OPTIONS, world.url(path)).send().await.unwrap();
        assert_eq!(preflight.status(), 204, "{path}");
        assert_eq!(preflight.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*", "{path}");
    }
    let response = http().get(world.url("/.well-known/jwks.json")).send().await.unwrap();
    assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
}

#[tokio::test]
async fn another_host_is_rejected_except_for_probes() {
    let world = World::start().await;
    for (path, status) in [("/mcp/dice/mcp", 403), ("/.well-known/jwks.json", 403), ("/healthz", 200)] {
        let request = http().get(world.url(path)).header(HOST, "rebound.example.com");
        assert_eq!(request.send().await.unwrap().status(), status, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405() {
    let world = World::start().await;
    assert_eq!(get(&world.url("/auth/introspect")).await.0, 404);
    assert_eq!(get(&world.url("/metrics")).await.0, 404);
    assert_eq!(get(&world.url("/auth/token")).await.0, 405);
    assert_eq!(get(&world.url("/auth/revoke")).await.0, 405);
}

#[tokio::test]
async fn the_health_probe_returns_200() {
    let world = World::start().await;
    let (status, body) = get(&world.url("/healthz")).await;
    assert_eq!((status, body["status"].as_str()), (200, Some("ok")));
}

#[tokio::test]
async fn every_document_is_json_without_empty_members_and_with_urls_of_the_issuer() {
    let world = World::start().await;
    for path in
        ["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp/dice/mcp"]
    {
        let response = http().get(world.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        let document: Value = response.json().await.unwrap();
        for (name, value) in document.as_object().unwrap() {
            assert!(!value.is_null() && *value != serde_json::json!([]) && *value != "", "{path}: {name}");
            let url = value.as_str().filter(|text| text.starts_with("http"));
            let below = |url: &str| url.starts_with(&world.base_url) && !url.contains(['?', '#']);
            assert!(url.is_none_or(below), "{path}: {name} is {value}");
        }
        assert!(!document.to_string().contains("offline_access"), "clients would request it");
    }
}
