//! Requests to the OAuth endpoints that are refused or fail: one audit event each, with what is known by then, and one
//! line in the log for what is the gateway's own or a service's fault.

mod authorization;
mod outages;
mod reuse;
mod token;
mod unhandled;

use crate::harness::events::{Events, Lines};
use crate::harness::{SiteBuilder, World, http};
use gateway_standins::browser::{Browser, Page};
use gateway_standins::client::Client;
use reqwest::header::{ACCEPT, COOKIE};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use url::Url;

const TARGET: &str = "/mcp/raw/echo";
const ROUTE: &str = "/mcp/raw/";
const VERIFIER: &str = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";
/// The `sub` of alice at the stand-in Okta.
const ALICE: &str = "00ualice00000sT4nD1n";

/// A world whose log is kept.
async fn world(change: impl FnOnce(SiteBuilder) -> SiteBuilder) -> World {
    Events::record();
    World::with_manual_clock(change).await
}

/// A response, and what was logged about its request.
struct Logged {
    status: u16,
    lines: Lines,
    location: Option<Url>,
    body: String,
}

async fn send(request: RequestBuilder) -> Logged {
    let response: Response = request.send().await.unwrap();
    let lines = Events::record().of_response(response.headers());
    let location = response.headers().get("location").map(|url| Url::parse(url.to_str().unwrap()).unwrap());
    Logged { status: response.status().as_u16(), lines, location, body: response.text().await.unwrap() }
}

impl Logged {
    /// The only audit event must be of this kind and name these members, and no others.
    fn has_event(&self, event: &str, decision: &str, named: &Value) -> &Self {
        let written = self.lines.event();
        assert_eq!((&written["event"], &written["decision"]), (&json!(event), &json!(decision)), "{written}");
        assert_subject(written, named);
        self
    }

    fn reason(&self) -> &str {
        self.lines.event()["reason"].as_str().unwrap()
    }

    /// The only line at `WARN` or above.
    fn warning(&self) -> &Value {
        let warnings = self.lines.warnings();
        assert_eq!(warnings.len(), 1, "{:?}", self.lines);
        warnings[0]
    }
}

fn assert_subject(event: &Value, named: &Value) {
    for member in ["user", "client", "client_id", "route"] {
        assert_eq!(event[member], named.get(member).cloned().unwrap_or(json!("")), "{member}: {event}");
    }
    assert!(event["reason"].is_string() && event["address"] != "", "{event}");
}

/// Members of an event about a registered client.
fn named(client: &Client) -> Value {
    json!({ "client": "Test client", "client_id": client.id[..12] })
}

/// The same, and a route.
fn named_at(client: &Client) -> Value {
    json!({ "client": "Test client", "client_id": client.id[..12], "route": ROUTE })
}

/// The same, and alice.
fn named_with_user(client: &Client) -> Value {
    json!({ "client": "Test client", "client_id": client.id[..12], "route": ROUTE, "user": ALICE })
}

fn token_request(world: &World, form: &[(&str, &str)]) -> RequestBuilder {
    http().post(world.url("/auth/token")).form(form)
}

async fn code_request(world: &World, client: &Client, code: &str, verifier: &str) -> Logged {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", &client.id),
        ("code", code),
        ("code_verifier", verifier),
    ];
    send(token_request(world, &form)).await
}

async fn refresh_request(world: &World, client: &Client, token: &str, more: &[(&str, &str)]) -> Logged {
    let mut form =
        vec![("grant_type", "refresh_token"), ("client_id", &*client.id), ("refresh_token", token)];
    form.extend_from_slice(more);
    send(token_request(world, &form)).await
}

/// A consent page in a browser, which stops at the callback.
struct Consent {
    browser: Browser,
    page: Page,
}

impl Consent {
    async fn of(world: &World, client: &Client) -> Self {
        Self::with(world, client, &[]).await
    }

    async fn with(world: &World, client: &Client, more: &[(&str, &str)]) -> Self {
        let url = client.authorize_url("xyz", VERIFIER, more).unwrap();
        Self::at(world, &url).await
    }

    async fn at(world: &World, url: &Url) -> Self {
        let mut browser = Browser::new();
        browser.stop_at(&world.url("/auth/callback"));
        let page = browser.open(url.as_str()).await.unwrap().page().unwrap();
        Self { browser, page }
    }

    fn cookies(&self, world: &World) -> String {
        let cookies = self.browser.cookies(&world.base_url).unwrap();
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Posts the form as the browser would, with these cookies.
    async fn post(&self, world: &World, decision: &str, cookies: &str) -> Logged {
        let sealed = self.page.form_with("request").unwrap().value("request").unwrap();
        let form = [("request", sealed), ("decision", decision)];
        send(http().post(world.url("/auth/authorize")).header(COOKIE, cookies).form(&form)).await
    }

    async fn decide(&self, world: &World, decision: &str) -> Logged {
        self.post(world, decision, &self.cookies(world)).await
    }

    /// Approves and signs alice in; returns the callback's URL, which was not opened.
    async fn sign_in_at_okta(&mut self) -> Url {
        let form = self.page.form_with("request").unwrap();
        let okta = self.browser.submit(form, &[], Some("approve")).await.unwrap().page().unwrap();
        self.browser.sign_in(&okta, "alice").await.unwrap().stopped().unwrap()
    }

    /// Opens a callback URL with the browser's cookies.
    async fn open(&self, world: &World, callback: &Url) -> Logged {
        let request = http().get(callback.clone()).header(COOKIE, self.cookies(world));
        send(request.header(ACCEPT, "text/html")).await
    }
}

fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(other, _)| other == name);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}
