//! Error pages of a login: they explain the error, the steps in each client, and whom to contact.

use crate::harness::{World, http};
use gateway_standins::browser::{Browser, Page};
use gateway_standins::client::Client;
use gateway_standins::okta::{OktaOptions, Outage};
use reqwest::header::{ACCEPT, COOKIE, LOCATION};
use reqwest::{Response, Url};

/// Steps in each client that delete an unusable registration.
const CLEAR_STEPS: [&str; 5] = [
    "<kbd>/mcp</kbd>",
    "<b>Clear authentication</b>",
    "<b>Authentication: Remove Dynamic Authentication Providers</b>",
    "rm -rf ~/.mcp-auth",
    "Cursor",
];
/// Steps in each client that start the login again.
const START_STEPS: [&str; 4] =
    ["<kbd>/mcp</kbd>", "<b>Authenticate</b>", "<b>MCP: List Servers</b>", "Cursor"];

async fn page(url: Url) -> Response {
    http().get(url).header(ACCEPT, "text/html,*/*").send().await.unwrap()
}

/// Text of a page, which must contain its own request id.
async fn text(response: Response) -> String {
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let text = response.text().await.unwrap();
    assert!(text.contains(&id), "the page does not show its request id {id}: {text}");
    text
}

fn assert_contains(page: &str, steps: &[&str]) {
    for step in steps {
        assert!(page.contains(step), "the page does not contain {step:?}: {page}");
    }
}

fn authorize(client: &Client, changes: &[(&str, &str)]) -> Url {
    let mut url = client.authorize_url("xyz", &"v".repeat(43), &[]).unwrap();
    let parameters_before: Vec<_> = url.query_pairs().into_owned().collect();
    let parameters = parameters_before.iter().map(|(name, value)| {
        let change = changes.iter().find(|(changed, _)| changed == name);
        (&**name, change.map_or(&**value, |(_, value)| value))
    });
    url.query_pairs_mut().clear().extend_pairs(parameters);
    url
}

/// Response to a browser that Okta redirected to the callback without a code.
async fn okta_callback_response(world: &World, redirect_uri: &str) -> Response {
    let discovered = world.client("/mcp/raw/echo").await.discovered;
    let client = discovered.register("An app", "none", redirect_uri).await.unwrap();
    let mut browser = Browser::new();
    browser.stop_at(&world.url("/auth/callback"));
    let consent = browser.open(authorize(&client, &[]).as_str()).await.unwrap().page().unwrap();
    let form = consent.form_with("request").unwrap();
    let login: Page = browser.submit(form, &[], Some("approve")).await.unwrap().page().unwrap();
    let callback = browser.sign_in(&login, "bob").await.unwrap().stopped().unwrap();
    let cookies = browser.cookies(callback.as_str()).unwrap();
    let cookies: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    http().get(callback).header(COOKIE, cookies.join("; ")).send().await.unwrap()
}

#[tokio::test]
async fn the_unknown_client_page_says_how_to_clear_each_apps_registration() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let response = page(authorize(&client, &[("client_id", "unknown")])).await;
    assert_eq!(response.status(), 400);
    let text = text(response).await;
    assert_contains(&text, &CLEAR_STEPS);
    assert_contains(&text, &["does not know", "invalid_client"]);
}

#[tokio::test]
async fn without_registration_no_page_advises_to_register() {
    let mut world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    world.rebuild(|site| site.registration.enabled = false).await;
    let text = text(page(authorize(&client, &[("client_id", "unknown")])).await).await;
    assert_contains(&text, &["does not let apps register themselves", "Ask your administrator"]);
    assert!(CLEAR_STEPS[..4].iter().all(|step| !text.contains(step)), "{text}");
    let elsewhere = [("redirect_uri", "https://evil.example.com/cb")];
    let text = self::text(page(authorize(&client, &elsewhere)).await).await;
    assert_contains(&text, &["another address", "your administrator, can correct this"]);
    assert!(CLEAR_STEPS[..4].iter().all(|step| !text.contains(step)), "{text}");
}

#[tokio::test]
async fn the_redirect_uri_page_says_how_each_app_registers_again() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let response = page(authorize(&client, &[("redirect_uri", "https://evil.example.com/cb")])).await;
    assert_eq!(response.status(), 400);
    let text = text(response).await;
    assert_contains(&text, &CLEAR_STEPS);
    assert_contains(&text, &["another address", "Nothing was sent", "redirect_uri"]);
    assert!(!text.contains("evil.example.com"), "no page repeats an address that anyone could have written");
}

#[tokio::test]
async fn the_expired_login_page_says_how_to_start_again() {
    let world = World::start().await;
    let url = Url::parse(&world.url("/auth/callback?state=expired&code=x")).unwrap();
    let response = page(url).await;
    assert_eq!(response.status(), 400);
    let text = text(response).await;
    assert_contains(&text, &START_STEPS);
    assert_contains(&text, &["expired"]);
}

#[tokio::test]
async fn an_okta_rejection_names_the_contact_and_the_request_id() {
    let world = World::start().await;
    world.okta.refuse_assignment("bob");
    let app = OktaOptions::default().client_id;
    let wanted = [
        "User is not assigned to the client application",
        "Ask your Okta administrator for access to the app",
        &*app,
    ];
    // The client shows the error from the URL; the browser has left the gateway.
    for redirect_uri in ["http://localhost:43110/callback", "https://claude.ai/api/mcp/auth_callback"] {
        let response = okta_callback_response(&world, redirect_uri).await;
        assert_eq!(response.status(), 302);
        let back = Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap();
        assert!(back.as_str().starts_with(redirect_uri), "{back}");
        let get = |name: &str| back.query_pairs().find(|(other, _)| other == name).unwrap().1.into_owned();
        assert_eq!((&*get("error"), &*get("state")), ("access_denied", "xyz"));
        assert_contains(&get("error_description"), &wanted);
        assert_contains(&get("error_description"), &[response.headers()["x-request-id"].to_str().unwrap()]);
    }
    // A private scheme leaves the browser on the gateway's page.
    let response = okta_callback_response(&world, "cursor://anysphere.cursor-mcp/oauth/callback").await;
    assert_eq!(response.status(), 200);
    let text = text(response).await;
    assert_contains(&text, &wanted);
    assert_contains(
        &text,
        &["Signing in did not work", "cursor://anysphere.cursor-mcp/oauth/callback?error=access_denied"],
    );
}

#[tokio::test]
async fn an_okta_outage_at_consent_is_shown_to_the_user_and_returned_to_the_client() {
    let world = World::start().await;
    world.okta.outage(Outage::Refuse503);
    let discovered = world.client("/mcp/raw/echo").await.discovered;
    let client = discovered.register("Cursor", "none", "cursor://anysphere.cursor-mcp/cb").await.unwrap();
    let consent = page(authorize(&client, &[])).await;
    let cookie = consent.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let html = consent.text().await.unwrap();
    let sealed = html.split_once("name=\"request\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let form = [("request", sealed), ("route", "/mcp/raw/"), ("decision", "approve")];
    let response = http().post(world.url("/auth/authorize")).header(COOKIE, cookie).form(&form);
    let text = text(response.send().await.unwrap()).await;
    assert_contains(&text, &["does not respond: try again", "error=temporarily_unavailable"]);
}
