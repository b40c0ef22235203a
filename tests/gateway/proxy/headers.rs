//! Headers of requests and responses.

use super::SignedIn;
use reqwest::header::ORIGIN;

#[tokio::test]
async fn the_server_does_not_get_the_origin_that_was_checked() {
    let signed = SignedIn::start(|site| site).await;
    let call = signed.request("/mcp/raw/echo").header(ORIGIN, "https://app.example.com");
    let call = call.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "cors");
    assert_eq!(call.send().await.unwrap().status(), 200);
    let seen = signed.world.backend.last().unwrap();
    for (name, value) in [("origin", None), ("sec-fetch-site", None), ("sec-fetch-mode", Some("cors"))] {
        assert_eq!(seen.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn equal_copies_of_an_mcp_header_are_forwarded_as_one_and_different_ones_are_400() {
    let signed = SignedIn::start(|site| site).await;
    for (name, values, forwarded) in [
        ("mcp-protocol-version", &["2025-06-18", "2025-06-18"][..], Some("2025-06-18")),
        ("mcp-protocol-version", &["2025-06-18, 2025-06-18"], Some("2025-06-18")),
        ("mcp-protocol-version", &["2025-06-18", "2025-03-26"], None),
        ("mcp-session-id", &["a", "a"], Some("a")),
        ("mcp-session-id", &["a", "b"], None),
        ("mcp-method", &["tools/call", "tools/call"], Some("tools/call")),
        ("mcp_session_id", &["a"], None),
        ("mcp_api_key", &["k"], Some("k")),
    ] {
        let mut call = signed.request("/mcp/raw/echo");
        for value in values {
            call = call.header(name, *value);
        }
        signed.world.backend.clear_requests();
        let status = call.send().await.unwrap().status();
        assert_eq!(status, if forwarded.is_some() { 200 } else { 400 }, "{name}: {values:?}");
        let seen = signed.world.backend.last();
        assert_eq!(seen.as_ref().and_then(|seen| seen.header(name)), forwarded, "{name}: {values:?}");
    }
}

#[tokio::test]
async fn equal_copies_of_an_mcp_header_reach_the_client_as_one_and_different_ones_are_502() {
    let signed = SignedIn::start(|site| site).await;
    for (name, values, forwarded) in [
        ("mcp-session-id", ["a", "a"], Some("a")),
        ("mcp-session-id", ["a", "b"], None),
        ("mcp-protocol-version", ["2025-06-18", "2025-06-18"], Some("2025-06-18")),
        ("mcp-protocol-version", ["2025-06-18", "2025-03-26"], None),
        ("content-type", ["application/json", "text/event-stream"], None),
    ] {
        signed.world.backend.script("/copies", 200, &values.map(|value| (name, value)), "{}");
        let response = signed.get("/mcp/raw/copies").await;
        assert_eq!(response.status(), if forwarded.is_some() { 200 } else { 502 }, "{name}: {values:?}");
        let received: Vec<_> = response.headers().get_all(name).iter().collect();
        match forwarded {
            Some(value) => assert_eq!(received, [value]),
            None => assert!(response.text().await.unwrap().contains("sent an invalid response")),
        }
    }
}

#[tokio::test]
async fn retry_after_passes_and_a_challenge_of_the_server_never() {
    let signed = SignedIn::start(|site| site).await;
    let challenge = "Bearer resource_metadata=\"https://evil.example.com/\"";
    for status in [200, 403, 429, 503] {
        let headers =
            [("retry-after", "7"), ("www-authenticate", challenge), ("www_authenticate", challenge)];
        signed.world.backend.script("/busy", status, &headers, "busy");
        let response = signed.get("/mcp/raw/busy").await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (status, &"7".parse().unwrap())
        );
        for name in ["www-authenticate", "www_authenticate"] {
            assert_eq!(response.headers().get(name), None, "{status}");
        }
    }
}
