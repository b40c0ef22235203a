//! What attackers try: RFC 9700 §4, the MCP security best practices, and what is known of JWT and HTTP. Each test
//! is named after what it shows.

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

/// A verifier for tests in which PKCE is not what is attacked.
const VERIFIER: &str = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";
/// The MCP endpoint that the attacks aim at.
const TARGET: &str = "/mcp/raw/echo";

/// The consent page of an authorization request with this state, in this browser.
async fn consent_page(client: &Client, browser: &mut Browser, state: &str) -> Page {
    let url = client.authorize_url((state, VERIFIER), &[]).unwrap();
    browser.stop_at(&client.redirect_uri);
    browser.open(url.as_str()).await.unwrap().page().unwrap()
}

/// Approves on a consent page; the page that follows, Okta's.
async fn approve(browser: &mut Browser, page: &Page) -> Page {
    browser.submit(page.form_with("request").unwrap(), &[], Some("approve")).await.unwrap().page().unwrap()
}

/// The whole way of `username` from the request to the URL that carries the answer to the client.
async fn authorization_response(client: &Client, browser: &mut Browser, username: &str) -> Url {
    let page = consent_page(client, browser, "state").await;
    let okta = approve(browser, &page).await;
    browser.sign_in(&okta, username).await.unwrap().stopped().unwrap()
}

/// A client that registers with this redirect URI.
async fn client_at(world: &World, redirect_uri: &str) -> Client {
    let discovered = world.client(TARGET).await.discovered;
    discovered.register("A client", "none", redirect_uri).await.unwrap()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
}
