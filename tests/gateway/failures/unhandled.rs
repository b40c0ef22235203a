//! Requests to the OAuth endpoints that no handler sees, or whose handler does not respond: they leave the event of their
//! endpoint, and its error response.

use super::{Consent, TARGET, named, send, world};
use crate::harness::ending::shutdown;
use crate::harness::events::Events;
use crate::harness::{StoreKind, World, http};
use gateway_standins::okta::Outage;
use reqwest::header::{ACCEPT, COOKIE};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A raw response with the only event of its request.
struct Unhandled {
    status: u16,
    text: String,
    event: Value,
}

impl Unhandled {
    async fn of(world: &World, request: &str) -> Self {
        let response = world.send_raw(request).await;
        let id = response.text.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
        let lines = Events::record().of(id);
        let events: Vec<&Value> = lines.iter().filter(|line| line["target"] == "audit").collect();
        assert_eq!(events.len(), 1, "{request}: {lines:?}");
        Self { status: response.status, event: events[0].clone(), text: response.text }
    }

    fn is(&self, status: u16, event: &str, decision: &str, reason: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!((&self.event["event"], &self.event["decision"]), (&json!(event), &json!(decision)));
        assert!(self.event["reason"].as_str().unwrap().contains(reason), "{}", self.event);
    }

    /// Asserts that it is an OAuth error, which scripts of any origin may read only at endpoints for clients.
    fn is_oauth_error(&self, code: &str, is_public: bool) {
        assert!(self.text.contains(&format!("\"error\":\"{code}\"")), "{}", self.text);
        assert!(!self.text.contains("jsonrpc"), "{}", self.text);
        let has_cors = self.text.contains("access-control-allow-origin: *");
        assert_eq!(has_cors, is_public, "{}", self.text);
    }
}

fn head(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n{fields}\r\n")
}

/// Endpoints with a request body: target, event, and whether scripts of any origin may read their responses.
const FORMS: [(&str, &str, bool); 5] = [
    ("/auth/register", "registration", true),
    ("/auth/token", "token", true),
    ("/token", "token", true),
    ("/auth/revoke", "revocation", true),
    ("/auth/authorize?form=abc", "consent", false),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_read_leaves_one_event_and_an_oauth_error() {
    let world = world(|site| site).await;
    let world = &world;
    let too_long = format!("Transfer-Encoding: chunked\r\n\r\n100000\r\n{}", "a".repeat(0x10_0000));
    for (target, event, is_public) in FORMS {
        let long = Unhandled::of(world, &head("POST", target, &too_long)).await;
        long.is(413, event, "refused", "longer than the endpoint takes");
        long.is_oauth_error("invalid_request", is_public);
        let malformed = head("POST", target, "Transfer-Encoding: chunked\r\n") + "no chunk\r\n";
        let malformed = Unhandled::of(world, &malformed).await;
        malformed.is(400, event, "refused", "could not be read");
        malformed.is_oauth_error("invalid_request", is_public);
        let clears_cookie = malformed.text.contains("set-cookie: ") && malformed.text.contains("Max-Age=0");
        assert_eq!(clears_cookie, event == "consent", "{}", malformed.text);
    }
    // They wait for the body at the same time.
    let slow = FORMS.map(|(target, event, is_public)| async move {
        let request = head("POST", target, "Content-Length: 100\r\n") + "and then";
        let slow = Unhandled::of(world, &request).await;
        slow.is(408, event, "refused", "took too long");
        slow.is_oauth_error("invalid_request", is_public);
    });
    let [register, token, default_token, revoke, consent] = slow;
    tokio::join!(register, token, default_token, revoke, consent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_or_undefined_content_leaves_one_event_and_an_oauth_error() {
    let world = world(|site| site).await;
    for (method, target, event, is_public, allow) in [
        ("GET", "/auth/register", "registration", true, "allow: POST, OPTIONS"),
        ("GET", "/auth/token", "token", true, "allow: POST, OPTIONS"),
        ("PUT", "/token", "token", true, "allow: POST, OPTIONS"),
        ("DELETE", "/auth/revoke", "revocation", true, "allow: POST, OPTIONS"),
        ("PUT", "/auth/authorize", "authorization", false, "allow: GET, POST"),
        ("POST", "/auth/callback", "login", false, "allow: GET"),
    ] {
        let refused = Unhandled::of(&world, &head(method, target, "")).await;
        refused.is(405, event, "refused", "does not have this method");
        refused.is_oauth_error("invalid_request", is_public);
        assert!(refused.text.contains(allow), "{}", refused.text);
    }
    for (target, event) in [("/auth/authorize?client_id=abc", "authorization"), ("/auth/callback", "login")] {
        let request = head("GET", target, "Content-Length: 1\r\n") + "x";
        let refused = Unhandled::of(&world, &request).await;
        refused.is(400, event, "refused", "content that its method does not define");
        refused.is_oauth_error("invalid_request", false);
        assert_eq!(refused.event["client_id"], if event == "login" { "" } else { "abc" });
        let from_browser = head("GET", target, "Accept: text/html\r\nContent-Length: 1\r\n") + "x";
        let page = Unhandled::of(&world, &from_browser).await;
        assert!(page.text.contains("This request was not accepted"), "{}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_before_its_endpoint_leaves_one_event_and_an_oauth_error() {
    let mut world = world(|site| site).await;
    let gets = [("/auth/authorize", "authorization", false), ("/auth/callback", "login", false)];
    let requests = FORMS.map(|form| ("POST", form)).into_iter().chain(gets.map(|get| ("GET", get)));
    let requests: Vec<_> = requests.collect();
    for (method, (target, event, is_public)) in &requests {
        let request = head(method, target, "").replace("HOST", "evil.example.com");
        let refused = Unhandled::of(&world, &request).await;
        refused.is(403, event, "refused", "the Host is \"evil.example.com\"");
        refused.is_oauth_error("invalid_request", *is_public);
    }
    world.rebuild(|site| site.limits.connections_per_address = 1).await;
    let _held = TcpStream::connect(world.base_url.trim_start_matches("http://")).await.unwrap();
    for (method, (target, event, is_public)) in &requests {
        let refused = Unhandled::of(&world, &head(method, target, "")).await;
        refused.is(429, event, "refused", "connection limit of the address");
        refused.is_oauth_error("temporarily_unavailable", *is_public);
        assert!(refused.text.contains("retry-after: 5"), "{}", refused.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_without_a_response_is_a_503_page_when_a_shutdown_is_over() {
    let mut world = world(|site| site.set(|site| site.shutdown = shutdown(0, 2000))).await;
    let client = world.client(TARGET).await;
    let mut consent = Consent::of(&world, &client).await;
    let callback = consent.sign_in_at_okta().await;
    world.okta.outage_at("/v1/token", Outage::Late(Duration::from_secs(4)));
    let request = http().get(callback).header(COOKIE, consent.cookies(&world)).header(ACCEPT, "text/html");
    let sent = tokio::spawn(send(request));
    world.okta.wait_for_request("/v1/token").await.unwrap();
    let ended = world.going_down();
    let logged = sent.await.unwrap();
    assert_eq!(logged.status, 503, "{}", logged.body);
    logged.has_event("login", "failed", &json!({}));
    assert!(logged.reason().contains("no response before the end of the shutdown"), "{}", logged.reason());
    assert_eq!(logged.warning()["cause"], logged.reason());
    assert!(logged.body.contains("This did not work"), "{}", logged.body);
    ended.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_its_grant_is_a_503_with_cors_headers_when_a_shutdown_is_over() {
    Events::record();
    let times = |site: crate::harness::SiteBuilder| site.set(|site| site.shutdown = shutdown(0, 2000));
    let mut world = World::with(StoreKind::Redis, times).await;
    let (client, tokens) = world.sign_in(TARGET, "alice").await;
    world.redis.as_ref().unwrap().freeze().unwrap();
    let address = world.base_url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let fields = format!("Authorization: Bearer {}\r\nOrigin: http://localhost:1\r\n", tokens.access_token);
    let request = head("GET", TARGET, &fields).replace("HOST", &address);
    let (begin, rest) = request.split_at(20);
    stream.write_all(begin.as_bytes()).await.unwrap();
    let ended = world.going_down();
    // By then only what is in flight is left, and it has no more time.
    tokio::time::sleep(Duration::from_millis(700)).await;
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 503"), "{response}");
    assert!(response.contains("access-control-allow-origin: http://localhost:1"), "{response}");
    let id = response.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    let event = Events::record().only(|line| line["request_id"] == id && line["target"] == "audit").await;
    assert_eq!((&event["decision"], &event["route"]), (&json!("failed"), &json!("/mcp/raw/")));
    assert_eq!(event["client_id"], named(&client)["client_id"]);
    assert!(event["reason"].as_str().unwrap().contains("end of the shutdown"), "{event}");
    world.redis.as_ref().unwrap().thaw().unwrap();
    ended.await.unwrap();
}
