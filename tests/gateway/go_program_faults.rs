//! Faults of the Go program that are fixed here. `docs/contract.md` also lists faults whose tests are in other files.

use crate::harness::{CALLBACK, World, http};
use gateway_standins::browser::{Browser, Page};
use gateway_standins::client::{Client, Login};
use reqwest::Response;
use reqwest::header::CACHE_CONTROL;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use url::Url;

/// Registers a client with this redirect URI; returns it with an authorization URL.
async fn authorize_url(world: &World, redirect_uri: &str, state: &str) -> (Client, Url) {
    let discovered = world.client("/mcp/raw/echo").await.discovered;
    let client = discovered.register("Old client", "none", redirect_uri).await.unwrap();
    let url = client.authorize_url(state, &"v".repeat(43), &[]).unwrap();
    (client, url)
}

async fn approved(browser: &mut Browser, page: &Page) -> Page {
    browser.submit(page.form_with("request").unwrap(), &[], Some("approve")).await.unwrap().page().unwrap()
}

async fn register(world: &World, metadata: &Value) -> Response {
    http().post(world.url("/auth/register")).json(metadata).send().await.unwrap()
}

#[tokio::test]
async fn healthz_does_not_panic_for_any_method() {
    let world = World::start().await;
    for method in ["GET", "HEAD", "POST", "OPTIONS", "BREW"] {
        let request = http().request(method.parse().unwrap(), world.url("/healthz"));
        let status = request.send().await.unwrap().status();
        assert!(!status.is_server_error(), "{method}: {status}");
    }
    assert_eq!(http().get(world.url("/healthz")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_event_stream_is_not_buffered() {
    let world = World::start().await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let client = http();
    let request = || client.get(world.url("/mcp/raw/sse/silent")).bearer_auth(&tokens.access_token).send();
    let mut fastest = Duration::MAX;
    for _ in 0..100 {
        let started = Instant::now();
        assert_eq!(request().await.unwrap().status(), 200);
        fastest = fastest.min(started.elapsed());
        if fastest < Duration::from_millis(50) {
            break;
        }
    }
    // The stream has no events, so that a proxy that buffers its start waits forever. One fast head is enough,
    // because other measurements depend on the load of the machine.
    assert!(fastest < Duration::from_millis(50), "the head took {fastest:?}");
    let mut stream = request().await.unwrap();
    world.backend.release("first").await;
    assert_eq!(stream.chunk().await.unwrap().unwrap(), ": keep-alive\n\n");
    let first = stream.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("first"), "an event arrives while the stream is open");
}

#[tokio::test]
async fn a_public_client_can_refresh() {
    let world = World::start().await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    assert_eq!(client.auth_method, "none");
    let fresh = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    assert_ne!(fresh.access_token, tokens.access_token);
}

#[tokio::test]
async fn both_ways_to_send_a_client_secret_work() {
    let world = World::start().await;
    let discovered = world.client("/mcp/raw/echo").await.discovered;
    for method in ["client_secret_post", "client_secret_basic"] {
        let client = discovered.register("Confidential", method, CALLBACK).await.unwrap();
        assert_eq!(client.auth_method, method);
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
        client.redeem(&code).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_without_authentication_gets_no_secret() {
    let world = World::start().await;
    let metadata = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" });
    let response = register(&world, &metadata).await;
    assert_eq!(response.status(), 201, "not 200");
    assert!(response.headers()[CACHE_CONTROL].to_str().unwrap().contains("no-store"));
    let response: Value = response.json().await.unwrap();
    assert!(!response.as_object().unwrap().keys().any(|member| member.contains("secret")), "{response}");
}

#[tokio::test]
async fn a_javascript_redirect_uri_is_rejected() {
    let world = World::start().await;
    for uri in ["javascript:alert(1)", "JavaScript:alert(1)", "java\tscript:alert(1)", "data:text/html,x"] {
        let response = register(&world, &json!({ "redirect_uris": [uri] })).await;
        assert_eq!(response.status(), 400, "{uri}");
    }
}

#[tokio::test]
async fn the_code_is_appended_to_an_existing_query_and_the_state_is_escaped() {
    let world = World::start().await;
    let (redirect, state) = (format!("{CALLBACK}?tenant=a%20b"), "a&code=stolen#x y+é%00");
    let (_, url) = authorize_url(&world, &redirect, state).await;
    let mut browser = Browser::new();
    browser.stop_at(CALLBACK);
    let consent = browser.open(url.as_str()).await.unwrap().page().unwrap();
    let okta = approved(&mut browser, &consent).await;
    let back = browser.sign_in(&okta, "alice").await.unwrap().stopped().unwrap();
    assert!(back.as_str().starts_with(&format!("{redirect}&code=")), "{back}");
    let pairs: Vec<(String, String)> = back.query_pairs().into_owned().collect();
    let names: Vec<&str> = pairs.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["tenant", "code", "state", "iss"]);
    assert_eq!(pairs[2].1, state);
    assert_eq!(back.fragment(), None);
}

#[tokio::test]
async fn a_code_needs_a_consent_page_that_names_the_client() {
    let world = World::start().await;
    let (_, url) = authorize_url(&world, "https://client.example.com/cb", "xyz").await;
    let mut browser = Browser::new();
    let page = browser.open(url.as_str()).await.unwrap().page().unwrap();
    assert!(page.form_with("request").is_some());
    let shown = page.body.replace("<wbr>", "");
    for words in ["Old client", "client.example.com", "mcp:raw"] {
        assert!(shown.contains(words), "{words} is missing in\n{shown}");
    }
    assert!(world.okta.requests().is_empty(), "no request to Okta before consent");
}

#[tokio::test]
async fn an_okta_rejection_is_not_a_500_page() {
    let world = World::start().await;
    world.okta.refuse_assignment("bob");
    let (_, url) = authorize_url(&world, CALLBACK, "xyz").await;
    let mut browser = Browser::new();
    browser.stop_at(CALLBACK);
    let consent = browser.open(url.as_str()).await.unwrap().page().unwrap();
    let okta = approved(&mut browser, &consent).await;
    let back = browser.sign_in(&okta, "bob").await.unwrap().stopped().unwrap();
    let error = back.query_pairs().find(|(name, _)| name == "error").unwrap().1.into_owned();
    assert_eq!(error, "access_denied");
}
