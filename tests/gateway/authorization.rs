//! `GET /auth/authorize`: rejected requests, and the target of the error response.

use crate::harness::{CALLBACK, World, http};
use gateway_standins::client::Client;
use reqwest::header::{ACCEPT, LOCATION};
use std::collections::HashMap;
use url::Url;

const CODE_CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Valid authorization request with changed parameters; an empty value removes the parameter.
fn request(world: &World, client: &Client, changes: &[(&str, &str)]) -> Url {
    let resource = world.dice_url();
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", &*client.id),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CODE_CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "xyz"),
        ("resource", &*resource),
    ];
    for (name, value) in changes {
        parameters.retain(|(other, _)| other != name);
        if !value.is_empty() {
            parameters.push((name, value));
        }
    }
    Url::parse_with_params(&world.url("/auth/authorize"), parameters).unwrap()
}

/// Parameters of an error redirect.
async fn refusal(url: Url) -> HashMap<String, String> {
    let response = http().get(url).send().await.unwrap();
    assert_eq!(response.status(), 302);
    let location = Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap();
    assert!(location.as_str().starts_with(CALLBACK), "{location}");
    location.query_pairs().into_owned().collect()
}

#[tokio::test]
async fn an_invalid_request_of_a_known_client_is_redirected_with_error_state_and_iss() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    for (changes, error) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("response_type", "")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("resource", "https://elsewhere.example.com/mcp")], "invalid_target"),
        (&[("resource", "http://localhost:1/mcp/dice")], "invalid_target"),
    ] {
        let refusal = refusal(request(&world, &client, changes)).await;
        assert_eq!(refusal["error"], error, "{changes:?}");
        assert_eq!((&*refusal["state"], &*refusal["iss"]), ("xyz", &*world.base_url));
    }
}

#[tokio::test]
async fn a_repeated_parameter_is_invalid_but_a_repeated_resource_is_not() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let mut url = request(&world, &client, &[]);
    url.query_pairs_mut().append_pair("scope", "a").append_pair("scope", "b");
    assert_eq!(refusal(url).await["error"], "invalid_request");
    let mut url = request(&world, &client, &[]);
    url.query_pairs_mut().append_pair("resource", &world.url("/mcp/dice"));
    assert_eq!(http().get(url.clone()).send().await.unwrap().status(), 200, "the same route twice");
    url.query_pairs_mut().append_pair("resource", &world.url("/mcp/raw"));
    assert_eq!(refusal(url).await["error"], "invalid_target");
}

#[tokio::test]
async fn an_unknown_client_is_400_and_is_never_redirected() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let url = request(&world, &client, &[("client_id", "unknown")]);
    let json = http().get(url.clone()).header(ACCEPT, "application/json").send().await.unwrap();
    assert_eq!(json.status(), 400);
    let body: serde_json::Value = json.json().await.unwrap();
    assert_eq!(body["error"], "invalid_client", "mcp-remote registers again after this error");
    let page = http().get(url).header(ACCEPT, "text/html,*/*").send().await.unwrap();
    assert_eq!(page.status(), 400);
    let page = page.text().await.unwrap();
    for words in ["Remove Dynamic Authentication Providers", "rm -rf ~/.mcp-auth", "Claude Code", "Cursor"] {
        assert!(page.contains(words), "the page does not contain {words:?}");
    }
}

#[tokio::test]
async fn an_unregistered_redirect_uri_is_400_and_never_redirected_to() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    for uri in [
        "https://evil.example.com/callback",
        "http://localhost:43110/other",
        "http://127.0.0.1:43110/callback",
        "http://localhost:43110@evil.example.com/callback",
        "http://localhost:43110/callback#fragment",
        "http://localhost:43110/x/../callback",
        "javascript:alert(1)",
    ] {
        let response = http().get(request(&world, &client, &[("redirect_uri", uri)])).send().await.unwrap();
        assert_eq!(response.status(), 400, "{uri}");
        assert!(response.headers().get(LOCATION).is_none(), "{uri}");
    }
}

#[tokio::test]
async fn before_consent_an_error_is_not_redirected_to_an_untrusted_host() {
    let world = World::start().await;
    let discovered = world.client("/mcp/dice/mcp").await.discovered;
    for (uri, trusted) in [("https://claude.ai/cb", true), ("https://evil.example.com/cb", false)] {
        let client = discovered.register("A site", "none", uri).await.unwrap();
        let changes = [("redirect_uri", uri), ("code_challenge", "")];
        let response = http().get(request(&world, &client, &changes)).send().await.unwrap();
        assert_eq!(response.status(), if trusted { 302 } else { 400 }, "{uri}");
        if !trusted {
            assert!(response.text().await.unwrap().contains("evil.example.com"), "the page names the host");
        }
    }
}

#[tokio::test]
async fn a_resource_selects_its_route_in_every_equivalent_spelling() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let upper = world.dice_url().replace("localhost", "LOCALHOST");
    for resource in
        [&*world.url("/mcp/dice"), &world.url("/mcp/dice/"), &world.url("/mcp/dice/deeper"), &upper]
    {
        let response = http().get(request(&world, &client, &[("resource", resource)])).send().await.unwrap();
        assert_eq!(response.status(), 200, "{resource}");
    }
}

#[tokio::test]
async fn without_a_resource_the_scopes_or_the_user_select_the_route() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let route_choice = "type=\"radio\" name=\"route\"";
    for (resource, scope, user_selects) in [
        ("", "mcp:dice", false),
        ("", "openid email profile", true),
        (&*world.base_url, "", true),
        (&*format!("{}/", world.base_url), "mcp:raw", false),
    ] {
        let url = request(&world, &client, &[("resource", resource), ("scope", scope)]);
        let page = http().get(url).send().await.unwrap().text().await.unwrap();
        assert_eq!(page.contains(route_choice), user_selects, "resource {resource:?}, scope {scope:?}");
    }
}

#[tokio::test]
async fn an_authorization_request_is_stateless_and_repeatable() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    for _ in 0..2 {
        let response = http().get(request(&world, &client, &[])).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert!(world.okta.requests().is_empty(), "no request to Okta before consent");
}

#[tokio::test]
async fn the_consent_page_forbids_framing_caching_and_scripts() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let response = http().get(request(&world, &client, &[])).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let policy = header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{part} is missing in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(header("x-frame-options"), "DENY");
    assert!(header("cache-control").contains("no-store"));
    let cookie = header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
}

#[tokio::test]
async fn unknown_and_empty_parameters_are_ignored() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let mut url = request(&world, &client, &[("whatever", "1")]);
    url.query_pairs_mut().append_pair("login_hint", "").append_pair("scope", "");
    assert_eq!(http().get(url).send().await.unwrap().status(), 200);
    let mut url = request(&world, &client, &[("response_type", "")]);
    url.query_pairs_mut().append_pair("response_type", "");
    assert_eq!(refusal(url).await["error"], "invalid_request");
}

#[tokio::test]
async fn the_authorization_endpoint_has_no_cors_headers() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    for (method, client_id) in [("GET", &*client.id), ("GET", "unknown"), ("OPTIONS", &client.id)] {
        let request_builder = http()
            .request(method.parse().unwrap(), request(&world, &client, &[("client_id", client_id)]))
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "GET");
        let response = request_builder.send().await.unwrap();
        assert_eq!(response.headers().get("access-control-allow-origin"), None, "{method} {client_id}");
    }
}
