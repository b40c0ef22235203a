//! Registration policy, and validity of existing registrations.

use super::{register, token};
use crate::harness::{SiteBuilder, World, http};
use gateway_routes::{Registration, utc_date_time};
use gateway_standins::client::Client;
use reqwest::header::ACCEPT;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::UtcDateTime;

fn site(registration: Registration) -> impl FnOnce(SiteBuilder) -> SiteBuilder {
    move |site| site.set(move |site| site.registration = registration)
}

/// Status and page of an authorization request of this client.
async fn authorize(world: &World, client: &Client) -> (StatusCode, String) {
    let url = client.authorize_url("xyz", &"v".repeat(43), &[]).unwrap();
    assert!(url.as_str().starts_with(&world.base_url));
    let response = http().get(url).header(ACCEPT, "text/html").send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

async fn refresh_error(world: &World, client: &Client) -> Value {
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", &*client.id)];
    token(world, &form).await.1["error"].clone()
}

#[tokio::test]
async fn disabled_registration_has_no_endpoint_and_is_not_advertised() {
    let mut world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    world.rebuild(|site| site.registration.enabled = false).await;
    for document in ["oauth-authorization-server", "openid-configuration"] {
        let metadata = http().get(world.url(&format!("/.well-known/{document}"))).send().await.unwrap();
        let metadata: Value = metadata.json().await.unwrap();
        assert_eq!(metadata.get("registration_endpoint"), None, "{document}");
    }
    for method in [Method::POST, Method::GET, Method::OPTIONS] {
        let request = http().request(method.clone(), world.url("/auth/register")).json(&json!({}));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 404, "{method}");
        assert_eq!(
            response.headers()["access-control-allow-origin"],
            "*",
            "a script can read that: {method}"
        );
    }
    assert_eq!(authorize(&world, &client).await.0, 200, "registered clients still work");
}

#[tokio::test]
async fn registration_can_be_limited_to_hosts_and_remote_clients() {
    let limited =
        Registration { redirect_hosts: &["claude.ai"], local_clients: false, ..Registration::DEFAULT };
    let world = World::with(crate::harness::StoreKind::Embedded, site(limited)).await;
    for (uris, admitted) in [
        (json!(["https://claude.ai/api/mcp/auth_callback"]), true),
        (json!(["https://claude.ai:8443/cb"]), true),
        (json!(["https://claude.ai.evil.example/cb"]), false),
        (json!(["https://evil.example/claude.ai"]), false),
        (json!(["https://claude.ai/cb", "https://evil.example/cb"]), false),
        (json!(["http://localhost:3334/oauth/callback"]), false),
        (json!(["https://localhost/cb"]), false),
        (json!(["cursor://anysphere.cursor-mcp/oauth/callback"]), false),
    ] {
        let (status, response) = register(&world, &json!({ "redirect_uris": uris })).await;
        assert_eq!(status, if admitted { 201 } else { 400 }, "{uris}: {response}");
        if !admitted {
            assert_eq!(response["error"], "invalid_redirect_uri");
            assert!(response["error_description"].as_str().unwrap().contains("redirect_uris["), "{response}");
        }
    }
}

#[tokio::test]
async fn redirect_rules_apply_again_to_registered_clients() {
    let schemes = |site: SiteBuilder| site.set(|site| site.redirect_schemes = &["acme"]);
    let mut world = World::with(crate::harness::StoreKind::Embedded, schemes).await;
    let discovered = world.client("/mcp/raw/echo").await.discovered;
    let mut clients = Vec::new();
    for uri in ["acme://callback", "http://localhost:43110/callback", "https://a.example/cb"] {
        let client = discovered.clone().register("Client", "none", uri).await.unwrap();
        assert_eq!(authorize(&world, &client).await.0, 200, "{uri}");
        clients.push(client);
    }
    let narrow =
        Registration { redirect_hosts: &["claude.ai"], local_clients: false, ..Registration::DEFAULT };
    world.rebuild(|site| site.redirect_schemes = &[]).await;
    assert_eq!(authorize(&world, &clients[0]).await.0, 400, "its scheme is no longer allowed");
    let without_uri = {
        let mut url = clients[0].authorize_url("xyz", &"v".repeat(43), &[]).unwrap();
        let kept: Vec<_> =
            url.query_pairs().into_owned().filter(|(name, _)| name != "redirect_uri").collect();
        url.query_pairs_mut().clear().extend_pairs(kept);
        http().get(url).send().await.unwrap().status()
    };
    assert_eq!(without_uri, 400, "also for the only registered redirect URI");
    world.rebuild(|site| site.registration = narrow).await;
    for client in &clients {
        let (status, page) = authorize(&world, client).await;
        assert_eq!(status, 400, "{}", client.redirect_uri);
        assert!(!page.contains("http-equiv"), "no redirect");
    }
}

#[tokio::test]
async fn a_denied_registration_is_an_unknown_client() {
    let mut world = World::start().await;
    let (denied, other) = (world.client("/mcp/raw/echo").await, world.client("/mcp/raw/echo").await);
    assert_eq!(
        refresh_error(&world, &denied).await,
        "invalid_grant",
        "the client is known, but not the token"
    );
    // The prefix that the audit log shows.
    let beginning: &'static str = denied.id[..12].to_owned().leak();
    world.rebuild(move |site| site.registration.denied = vec![beginning].leak()).await;
    assert_eq!(refresh_error(&world, &denied).await, "invalid_client");
    assert_eq!(authorize(&world, &denied).await.0, 400);
    assert_eq!(refresh_error(&world, &other).await, "invalid_grant");
    assert_eq!(authorize(&world, &other).await.0, 200);
}

#[tokio::test]
async fn a_registration_from_before_the_sites_date_is_an_unknown_client() {
    let mut world = World::with_manual_clock(|site| site).await;
    let old = world.client("/mcp/raw/echo").await;
    let day = std::time::Duration::from_hours(24);
    world.clock.advance(day);
    let now = i64::try_from(world.clock.now().seconds()).unwrap();
    let at = UtcDateTime::from_unix_timestamp(now).unwrap().truncate_to_day();
    world.rebuild(|site| site.registration.not_before = Some(at)).await;
    assert_eq!(refresh_error(&world, &old).await, "invalid_client");
    assert_eq!(authorize(&world, &old).await.0, 400);
    let new = world.client("/mcp/raw/echo").await;
    assert_eq!(authorize(&world, &new).await.0, 200);
}

#[tokio::test]
async fn a_registration_date_in_the_future_stops_startup() {
    let mut world = World::start().await;
    let late = utc_date_time(9999, 1, 1, 0, 0, 0);
    let failed = world.startup_error_after_rebuild(|site| site.registration.not_before = Some(late)).await;
    assert!(failed.contains("registration.not_before") && failed.contains("future"), "{failed}");
}

#[tokio::test]
async fn a_jwks_uri_that_may_not_be_fetched_is_refused_at_registration() {
    let hosts = |site: SiteBuilder| {
        let site = site.route("/mcp/tickets/", "https://tickets.example.com/mcp", |route| route);
        site.set(|site| site.client_metadata.hosts = &["keys.example.com", "tickets.example.com"])
    };
    let world = World::with(crate::harness::StoreKind::Embedded, hosts).await;
    for (url, accepted) in [
        ("https://keys.example.com/jwks.json", true),
        ("https://other.example.com/jwks.json", false),
        ("https://sub.keys.example.com/jwks.json", false),
        ("https://tickets.example.com/jwks.json", false),
    ] {
        let metadata = json!({
            "redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": url,
        });
        let (status, response) = register(&world, &metadata).await;
        assert_eq!(status, if accepted { 201 } else { 400 }, "{url}: {response}");
        if !accepted {
            assert_eq!(response["error"], "invalid_client_metadata", "{url}");
            let words = response["error_description"].as_str().unwrap();
            assert!(words.starts_with("jwks_uri") && words.contains("example.com"), "{words}");
        }
    }
}

#[tokio::test]
async fn a_refused_private_scheme_names_the_setting_that_allows_it() {
    let world = World::start().await;
    let (status, response) = register(&world, &json!({ "redirect_uris": ["acme://callback"] })).await;
    assert_eq!((status, response["error"].as_str()), (400, Some("invalid_redirect_uri")));
    assert!(response["error_description"].as_str().unwrap().contains("redirect_schemes"), "{response}");
}
