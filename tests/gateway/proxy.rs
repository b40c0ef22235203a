//! Forwarding of requests and responses between client and MCP server.

mod connections;
mod content;
mod credentials;
mod headers;
mod locations;
mod responses;
mod servers;
mod streams;
mod trust;

use crate::harness::{SiteBuilder, StoreKind, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::Login;
use reqwest::Response;
use reqwest::header::{ACCESS_CONTROL_ALLOW_ORIGIN, LOCATION, ORIGIN, VARY};
use std::time::Duration;
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(10);

/// World in which alice has a token for `/mcp/raw/`.
struct SignedIn {
    world: World,
    token: String,
}

impl SignedIn {
    async fn start(change: impl FnOnce(SiteBuilder) -> SiteBuilder) -> Self {
        let world = World::with(StoreKind::Embedded, change).await;
        let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
        world.backend.clear_requests();
        Self { world, token: tokens.access_token }
    }

    async fn get(&self, path: &str) -> Response {
        self.request(path).send().await.unwrap()
    }

    fn request(&self, path: &str) -> reqwest::RequestBuilder {
        http().get(self.world.url(path)).bearer_auth(&self.token)
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        http().post(self.world.url(path)).bearer_auth(&self.token)
    }
}

/// Routes `/mcp/raw/` to this server.
fn to(server: &str) -> impl FnOnce(SiteBuilder) -> SiteBuilder {
    let target = format!("http://{server}");
    move |site| site.route("/mcp/raw/", &target, |route| route)
}

#[tokio::test]
async fn the_rest_of_the_path_and_the_query_are_forwarded_unchanged() {
    let signed = SignedIn::start(|site| site).await;
    for (path, target) in [
        ("/mcp/raw/mcp?a=%20b&c", "/mcp?a=%20b&c"),
        ("/mcp/raw/", "/"),
        ("/mcp/raw", "/"),
        ("/mcp/raw/caf%C3%A9/x", "/caf%C3%A9/x"),
    ] {
        assert_eq!(signed.get(path).await.status(), 200, "{path}");
        assert_eq!(signed.world.backend.last().unwrap().target, target, "{path}");
    }
}

#[tokio::test]
async fn dot_segments_cannot_leave_the_route_in_any_encoding() {
    let signed = SignedIn::start(|site| site).await;
    for path in [
        "/mcp/raw/../dice/mcp",
        "/mcp/raw/%2e%2e/x",
        "/mcp/raw/.%2E/x",
        "/mcp/raw/a%2f..%2fb",
        "/mcp/raw/..%5cx",
    ] {
        let token = &signed.token;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let response = signed.world.send_raw(&head).await;
        assert!([400, 401, 404].contains(&response.status), "{path}: {}", response.text);
    }
    assert!(signed.world.backend.requests().is_empty());
}

#[tokio::test]
async fn identity_headers_are_set_by_the_gateway_and_the_token_is_removed() {
    let signed = SignedIn::start(|site| site).await;
    let request = signed
        .request("/mcp/raw/echo")
        .header("cookie", "session=stolen")
        .header("x-forwarded-user", "root")
        .header("x-forwarded-email", "root@example.com")
        .header("x_forwarded_groups", "Admins")
        .header("x-forwarded-for", "10.0.0.1")
        .header("forwarded", "for=10.0.0.1")
        .header("x-real-ip", "10.0.0.1")
        .header("connection", "close, x-named-by-connection")
        .header("x-named-by-connection", "1")
        .header("mcp-session-id", "abc")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let seen = signed.world.backend.last().unwrap();
    for removed in
        ["authorization", "cookie", "forwarded", "x-real-ip", "x_forwarded_groups", "x-named-by-connection"]
    {
        assert_eq!(seen.headers.get(removed), None, "{removed}");
    }
    assert!(seen.header("x-forwarded-user").unwrap().starts_with("00u"));
    assert_eq!(seen.header("x-forwarded-email"), Some("alice@example.com"));
    assert_eq!(seen.header("x-forwarded-groups"), Some("Engineering"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_ne!(seen.header("x-forwarded-for"), Some("10.0.0.1"));
    assert_eq!(seen.header("mcp-session-id"), Some("abc"));
    assert!(seen.header("traceparent").is_some());
    let backend = signed.world.backend.url();
    assert_eq!(seen.header("host"), Some(backend.trim_start_matches("http://")));
}

#[tokio::test]
async fn a_route_without_identity_forwards_no_identity_headers() {
    let none = |route| gateway_routes::Route { identity: gateway_routes::Identity::None, ..route };
    let signed = SignedIn::start(|site| site.change("/mcp/raw/", none)).await;
    signed.request("/mcp/raw/echo").header("x-forwarded-user", "root").send().await.unwrap();
    assert_eq!(signed.world.backend.last().unwrap().headers.get("x-forwarded-user"), None);
}

#[tokio::test]
async fn response_headers_that_a_server_may_not_set_are_removed() {
    let signed = SignedIn::start(|site| site).await;
    let response = signed.get("/mcp/raw/headers").await;
    for removed in ["set-cookie", "clear-site-data", "www-authenticate", "access-control-allow-credentials"] {
        assert_eq!(response.headers().get(removed), None, "{removed}");
    }
}

#[tokio::test]
async fn an_upstream_401_is_502() {
    let signed = SignedIn::start(|site| site).await;
    assert_eq!(signed.get("/mcp/raw/status/401").await.status(), 502);
    assert_eq!(signed.get("/mcp/raw/status/404").await.status(), 404);
}

#[tokio::test]
async fn a_redirect_within_the_target_is_rewritten_and_any_other_is_502() {
    let signed = SignedIn::start(|site| site).await;
    for (to, expected) in [
        ("/elsewhere".to_owned(), Some("/mcp/raw/elsewhere")),
        (format!("{}/elsewhere?x=1", signed.world.backend.url()), Some("/mcp/raw/elsewhere?x=1")),
        ("https://evil.example.com/".to_owned(), None),
    ] {
        let path: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        let response = signed.get(&format!("/mcp/raw/redirect?to={path}")).await;
        let Some(expected) = expected else {
            assert_eq!(response.status(), 502, "{to}");
            continue;
        };
        let location = response.headers()[LOCATION].to_str().unwrap();
        assert_eq!(location.trim_start_matches(&signed.world.base_url), expected, "{to}");
    }
}

#[tokio::test]
async fn a_closed_port_is_502_and_a_silent_server_504_with_a_json_rpc_error() {
    let with_short_timeout =
        |route| gateway_routes::Route { response_timeout: Duration::from_millis(200), ..route };
    let dead = |site: SiteBuilder| {
        site.change("/mcp/raw/", with_short_timeout).route("/mcp/dead/", "http://127.0.0.1:1", |r| r)
    };
    let signed = SignedIn::start(dead).await;
    let silent = signed.get("/mcp/raw/slow-head").await;
    assert_eq!(silent.status(), 504);
    let (_, tokens) = signed.world.sign_in("/mcp/dead/mcp", "alice").await;
    let dead =
        http().get(signed.world.url("/mcp/dead/mcp")).bearer_auth(tokens.access_token).send().await.unwrap();
    assert_eq!(dead.status(), 502);
    let body: serde_json::Value = dead.json().await.unwrap();
    assert_eq!(body["jsonrpc"], "2.0");
    assert!(!body.to_string().contains("127.0.0.1"), "no internals: {body}");
}

#[tokio::test]
async fn the_head_of_a_silent_event_stream_is_sent_at_once() {
    let signed = SignedIn::start(|site| site).await;
    // Nothing follows the head: a proxy that buffers would wait forever.
    let mut response = timeout(TIMEOUT, signed.get("/mcp/raw/sse/silent")).await.unwrap();
    assert_eq!(response.status(), 200);
    signed.world.backend.release("hello").await;
    for frame in [": keep-alive\n\n", "data: hello\n\n"] {
        assert_eq!(timeout(TIMEOUT, response.chunk()).await.unwrap().unwrap().unwrap(), frame);
    }
}

#[tokio::test]
async fn a_client_disconnect_cancels_the_upstream_request() {
    let signed = SignedIn::start(|site| site).await;
    let response = signed.get("/mcp/raw/sse/silent").await;
    drop(response);
    assert!(signed.world.backend.wait_aborted(1).await);
}

#[tokio::test]
async fn a_revocation_closes_open_streams() {
    let signed = SignedIn::start(|site| site).await;
    let client = signed.world.client("/mcp/raw/echo").await;
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let tokens = client.redeem(&code).await.unwrap();
    let url = signed.world.url("/mcp/raw/sse/silent");
    let mut stream = http().get(url).bearer_auth(tokens.access_token).send().await.unwrap();
    // The second use of the code revokes the grant.
    client.redeem(&code).await.unwrap_err();
    let end = timeout(TIMEOUT, async { while let Ok(Some(_)) = stream.chunk().await {} }).await;
    assert!(end.is_ok(), "the stream is still open");
}

#[tokio::test]
async fn bodies_stream_in_both_directions_and_too_long_ones_are_rejected() {
    let signed = SignedIn::start(|site| site).await;
    let body = signed.get("/mcp/raw/big?bytes=1048576").await.bytes().await.unwrap();
    assert_eq!(body.len(), 1 << 20);
    let upload = http().post(signed.world.url("/mcp/raw/upload")).bearer_auth(&signed.token);
    assert_eq!(upload.body(vec![b'x'; 1 << 20]).send().await.unwrap().status(), 200);
    assert_eq!(signed.world.backend.uploaded(), 1 << 20);
    let head = |length: &str| {
        let token = &signed.token;
        format!(
            "POST /mcp/raw/upload HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {token}\r\n{length}\r\n\r\n"
        )
    };
    let request = head(&format!("Content-Length: {}", (4 << 20) + 1));
    assert_eq!(signed.world.send_raw(&request).await.status, 413);
    let unannounced = head("Transfer-Encoding: chunked") + "500000\r\n" + &"x".repeat((4 << 20) + 1);
    assert_eq!(signed.world.send_raw(&unannounced).await.status, 413);
}

#[tokio::test]
async fn a_response_truncated_upstream_is_truncated_for_the_client() {
    let signed = SignedIn::start(|site| site).await;
    // The response may be truncated before its head was sent.
    let whole = match signed.request("/mcp/raw/broken").send().await {
        Ok(response) => response.bytes().await.is_ok(),
        Err(_) => false,
    };
    assert!(!whole, "a truncated response is not complete");
}

#[tokio::test]
async fn cors_requests_are_limited_to_allowed_origins() {
    let signed = SignedIn::start(|site| site).await;
    let own = signed.world.base_url.clone();
    for (origin, allowed) in [
        ("https://app.example.com", true),
        ("http://localhost:6274", true),
        ("http://127.0.0.1:6276", true),
        ("http://127.0.0.2:6276", true),
        ("http://[::1]:6276", true),
        ("https://app.localhost", true),
        (&*own, true),
        ("https://evil.example.com", false),
        ("http://localhost.evil.example.com", false),
        ("http://localhost:1@evil.example.com", false),
        ("http://0.0.0.0:6276", false),
        ("ws://localhost:6274", false),
        ("null", false),
    ] {
        let response = signed.request("/mcp/raw/echo").header(ORIGIN, origin).send().await.unwrap();
        assert_eq!(response.status(), if allowed { 200 } else { 403 }, "{origin}");
        if allowed {
            assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], origin);
            assert_eq!(response.headers()[VARY], "Origin");
            let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
            assert!(exposed.contains("Mcp-Session-Id") && exposed.contains("WWW-Authenticate"));
        }
    }
}

#[tokio::test]
async fn a_preflight_needs_no_token() {
    let signed = SignedIn::start(|site| site).await;
    let preflight = http()
        .request(reqwest::Method::OPTIONS, signed.world.url("/mcp/raw/mcp"))
        .header(ORIGIN, "http://localhost:6274")
        .header("access-control-request-method", "POST");
    let response = preflight.send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "http://localhost:6274");
}

#[tokio::test]
async fn a_repeated_mcp_header_is_rejected() {
    let signed = SignedIn::start(|site| site).await;
    let request =
        signed.request("/mcp/raw/echo").header("mcp-method", "ping").header("mcp-method", "tools/call");
    assert_eq!(request.send().await.unwrap().status(), 400);
    assert!(signed.world.backend.requests().is_empty());
}
