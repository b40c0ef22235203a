//! Before a verified login, no response redirects the browser to an untrusted host (RFC 9700 §4.11.2).

use super::{approve, client_at, consent_page};
use crate::harness::{CALLBACK, StoreKind, World, http};
use gateway_standins::browser::{Browser, Page};
use gateway_standins::client::Client;
use gateway_standins::okta::{IdTokenFault, Outage};
use reqwest::header::{COOKIE, LOCATION};
use url::Url;

const UNTRUSTED: [&str; 5] = [
    "https://evil.example.com/cb",
    "https://claude.ai.evil.example.com/cb",
    "https://evil.example.com:8443/cb",
    "cursor://evil/cb",
    "com.evil.app:/cb",
];
const TRUSTED: [&str; 3] = [CALLBACK, "https://claude.ai/api/mcp/auth_callback", "https://localhost:8443/cb"];

/// Response to a browser, reduced to the parts that redirect.
struct PageResponse {
    status: u16,
    location: Option<String>,
    body: String,
}

impl PageResponse {
    /// Returns `true` if the response redirects without a click.
    fn is_redirected(&self) -> bool {
        self.location.is_some() || self.body.contains("http-equiv=\"refresh\"")
    }
}

fn cookies(browser: &Browser, world: &World) -> String {
    let pairs = browser.cookies(&world.base_url).unwrap();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

async fn fetch(request: reqwest::RequestBuilder) -> PageResponse {
    let response = request.send().await.unwrap();
    let location = response.headers().get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
    PageResponse { status: response.status().as_u16(), location, body: response.text().await.unwrap() }
}

async fn post_decision(world: &World, browser: &Browser, page: &Page, decision: &str) -> PageResponse {
    let sealed = page.form_with("request").unwrap().value("request").unwrap();
    let form = [("request", sealed), ("route", "/mcp/raw/"), ("decision", decision)];
    fetch(http().post(world.url("/auth/authorize")).header(COOKIE, cookies(browser, world)).form(&form)).await
}

async fn open_callback(world: &World, browser: &Browser, url: &Url) -> PageResponse {
    fetch(http().get(url.clone()).header(COOKIE, cookies(browser, world))).await
}

/// Callback URL of a login of `username`; the gateway does not receive it.
async fn callback(world: &World, client: &Client, browser: &mut Browser, username: &str) -> Url {
    let page = consent_page(client, browser, "state").await;
    let okta = approve(browser, &page).await;
    browser.stop_at(&world.url("/auth/callback"));
    browser.sign_in(&okta, username).await.unwrap().stopped().unwrap()
}

/// Checks that an untrusted host gets a page with a link and the error, and a trusted host a redirect.
fn assert_error_shown(what: &str, uri: &str, response: &PageResponse, error: &str) {
    let parameter = format!("error={error}");
    if TRUSTED.contains(&uri) {
        assert!(response.is_redirected(), "{what}, {uri}: {} {}", response.status, response.body);
        let to = response.location.as_ref().unwrap_or(&response.body);
        assert!(to.contains(&parameter), "{what}, {uri}: {to}");
        return;
    }
    assert_eq!(response.status, 200, "{what}, {uri}: {}", response.body);
    assert!(!response.is_redirected(), "{what}, {uri}: {:?} {}", response.location, response.body);
    assert!(
        response.body.contains(&parameter) && response.body.contains("Nothing was shared"),
        "{what}: {}",
        response.body
    );
    let host = Url::parse(uri).unwrap();
    let name = host.host_str().filter(|_| host.scheme() == "https").unwrap_or(host.scheme());
    assert!(response.body.contains(&format!("href=\"{uri}?")), "{what}, {uri}: {}", response.body);
    assert!(response.body.replace("<wbr>", "").contains(name), "{what}: the page names {name}");
    assert!(!response.body.contains("You are being taken"), "{what}: {}", response.body);
}

#[tokio::test]
async fn a_denial_is_not_redirected_to_an_untrusted_host() {
    let world = World::start().await;
    for uri in UNTRUSTED.into_iter().chain(TRUSTED) {
        let client = client_at(&world, uri).await;
        let mut browser = Browser::new();
        let page = consent_page(&client, &mut browser, "state").await;
        assert_error_shown(
            "denied",
            uri,
            &post_decision(&world, &browser, &page, "deny").await,
            "access_denied",
        );
    }
}

#[tokio::test]
async fn a_store_outage_is_not_redirected_to_an_untrusted_host() {
    let world = World::with(StoreKind::Redis, |site| site).await;
    world.wait_until_ready().await;
    let mut pages = Vec::new();
    for uri in UNTRUSTED.into_iter().chain(TRUSTED) {
        let client = client_at(&world, uri).await;
        let mut browser = Browser::new();
        // By then, Okta's metadata is cached.
        let late = callback(&world, &client, &mut browser, "alice").await;
        let page = consent_page(&client, &mut browser, "state").await;
        pages.push((uri, browser, page, late));
    }
    world.redis.as_ref().unwrap().stop();
    for (uri, browser, page, late) in pages {
        let unstored = post_decision(&world, &browser, &page, "approve").await;
        assert_error_shown("no store", uri, &unstored, "temporarily_unavailable");
        assert_error_shown(
            "denied without a store",
            uri,
            &post_decision(&world, &browser, &page, "deny").await,
            "access_denied",
        );
        assert!(
            !open_callback(&world, &browser, &late).await.is_redirected(),
            "the redirect target is unknown"
        );
    }
}

#[tokio::test]
async fn an_okta_outage_is_not_redirected_to_an_untrusted_host() {
    let world = World::start().await;
    world.okta.outage(Outage::Refuse503);
    for uri in UNTRUSTED.into_iter().chain(TRUSTED) {
        let client = client_at(&world, uri).await;
        let mut browser = Browser::new();
        let page = consent_page(&client, &mut browser, "state").await;
        let failed = post_decision(&world, &browser, &page, "approve").await;
        assert_error_shown("no Okta", uri, &failed, "temporarily_unavailable");
    }
}

#[tokio::test]
async fn an_okta_rejection_is_not_redirected_to_an_untrusted_host() {
    let world = World::start().await;
    world.okta.refuse_assignment("bob");
    for uri in UNTRUSTED.into_iter().chain(TRUSTED) {
        let client = client_at(&world, uri).await;
        let mut browser = Browser::new();
        let refused = callback(&world, &client, &mut browser, "bob").await;
        assert_error_shown(
            "not assigned",
            uri,
            &open_callback(&world, &browser, &refused).await,
            "access_denied",
        );
        // Errors that anybody can write into the callback URL, with the user's own state.
        for (error, expected_error) in
            [("login_required", "access_denied"), ("server_error", "temporarily_unavailable")]
        {
            let mut browser = Browser::new();
            let mut url = callback(&world, &client, &mut browser, "alice").await;
            let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
            url.query_pairs_mut().clear().append_pair("error", error).append_pair("state", &state);
            assert_error_shown(error, uri, &open_callback(&world, &browser, &url).await, expected_error);
        }
    }
}

#[tokio::test]
async fn an_unverified_login_is_not_redirected_to_an_untrusted_host() {
    let world = World::start().await;
    for uri in UNTRUSTED.into_iter().chain(TRUSTED) {
        let client = client_at(&world, uri).await;
        let mut browser = Browser::new();
        let mut url = callback(&world, &client, &mut browser, "alice").await;
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        url.query_pairs_mut().clear().append_pair("code", "made-up").append_pair("state", &state);
        assert_error_shown(
            "another code",
            uri,
            &open_callback(&world, &browser, &url).await,
            "access_denied",
        );
        let mut browser = Browser::new();
        let url = callback(&world, &client, &mut browser, "alice").await;
        world.okta.id_token_fault(Some(IdTokenFault::WrongNonce));
        assert_error_shown(
            "a wrong ID token",
            uri,
            &open_callback(&world, &browser, &url).await,
            "server_error",
        );
        world.okta.id_token_fault(None);
    }
}

#[tokio::test]
async fn a_code_is_redirected_to_an_untrusted_host_after_consent() {
    let world = World::start().await;
    for uri in UNTRUSTED.into_iter().chain(TRUSTED) {
        let client = client_at(&world, uri).await;
        let mut browser = Browser::new();
        let url = callback(&world, &client, &mut browser, "alice").await;
        let done = open_callback(&world, &browser, &url).await;
        let to = done.location.as_ref().unwrap_or(&done.body);
        assert!(done.is_redirected() && to.contains("code="), "{uri}: {} {}", done.status, done.body);
        assert_eq!(done.location.is_some(), uri.starts_with("http"), "{uri}");
    }
}

#[tokio::test]
async fn a_client_of_an_untrusted_host_is_shown_with_a_warning() {
    let world = World::start().await;
    for uri in UNTRUSTED.into_iter().chain(TRUSTED) {
        let client = client_at(&world, uri).await;
        let page = consent_page(&client, &mut Browser::new(), "state").await;
        let has_warning = page.body.contains("class=\"note alert\"");
        assert_eq!(has_warning, uri.starts_with("https:") && !TRUSTED.contains(&uri), "{uri}");
    }
}
