//! Attacks: RFC 9700 §4, the MCP security best practices, and known attacks on JWT and HTTP. Each test is named after
//! the property that it checks.

mod browser;
mod code;
mod fetches;
mod forgeries;
mod jwt;
mod logs;
mod oversized;
mod redirects;
mod requests;
mod tokens;
mod transport;
mod untrusted_hosts;

use crate::harness::World;
use gateway_standins::browser::{Browser, Page};
use gateway_standins::client::Client;
use url::Url;

/// PKCE verifier of tests that do not attack PKCE.
const VERIFIER: &str = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";
/// MCP endpoint under attack.
const TARGET: &str = "/mcp/raw/echo";

/// Opens the consent page of an authorization request with this state.
async fn consent_page(client: &Client, browser: &mut Browser, state: &str) -> Page {
    let url = client.authorize_url(state, VERIFIER, &[]).unwrap();
    browser.stop_at(&client.redirect_uri);
    browser.open(url.as_str()).await.unwrap().page().unwrap()
}

/// Approves on a consent page; returns the next page, which is Okta's.
async fn approve(browser: &mut Browser, page: &Page) -> Page {
    browser.submit(page.form_with("request").unwrap(), &[], Some("approve")).await.unwrap().page().unwrap()
}

/// Logs `username` in; returns the redirect URL with the authorization response.
async fn authorization_response(client: &Client, browser: &mut Browser, username: &str) -> Url {
    let page = consent_page(client, browser, "state").await;
    let okta = approve(browser, &page).await;
    browser.sign_in(&okta, username).await.unwrap().stopped().unwrap()
}

/// Registers a client with this redirect URI.
async fn client_at(world: &World, redirect_uri: &str) -> Client {
    let discovered = world.client(TARGET).await.discovered;
    discovered.register("A client", "none", redirect_uri).await.unwrap()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
}
