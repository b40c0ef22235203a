//! Oversized input: an immediate 4xx response, and the gateway continues to serve.

use super::{TARGET, VERIFIER};
use crate::harness::{World, http};
use serde_json::json;

async fn assert_serving(world: &World) {
    assert_eq!(http().get(world.url("/healthz")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn long_heads_and_many_headers_are_rejected() {
    let world = World::start().await;
    let head = "GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n";
    let many: String = (0..200).map(|n| format!("X-{n}: a\r\n")).collect::<Vec<_>>().concat();
    for (what, request) in [
        ("one long header", format!("{head}X: {}\r\n\r\n", "a".repeat(100_000))),
        ("many headers", format!("{head}{many}\r\n")),
        ("a long target", format!("GET /{} HTTP/1.1\r\nHost: HOST\r\n\r\n", "a".repeat(100_000))),
        ("a long method", format!("{} / HTTP/1.1\r\nHost: HOST\r\n\r\n", "A".repeat(100_000))),
    ] {
        let response = world.send_raw(&request).await;
        // hyper closes the connection without a response when the start of a head is invalid.
        assert!([0, 400, 414, 431].contains(&response.status), "{what}: {}", response.text);
    }
    assert_serving(&world).await;
}

#[tokio::test]
async fn long_bodies_are_rejected_at_the_oauth_endpoints_before_they_are_read() {
    let world = World::start().await;
    for path in ["/auth/register", "/auth/token", "/auth/authorize", "/token"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n");
        let chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\n100000\r\n{}", "a".repeat(0x10_0000));
        assert_eq!(world.send_raw(&chunks).await.status, 413, "{path}, chunked");
    }
    assert_serving(&world).await;
}

#[tokio::test]
async fn deeply_nested_json_is_invalid_client_metadata() {
    let world = World::start().await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 10_000;
        let deep = format!("{{\"redirect_uris\":{}1{}}}", open.repeat(depth), close.repeat(depth));
        let response = http().post(world.url("/auth/register")).body(deep).send().await.unwrap();
        assert!(response.status().is_client_error());
    }
    assert_serving(&world).await;
}

#[tokio::test]
async fn long_authorization_parameters_are_rejected_or_truncated() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    for (name, value, wanted) in [
        ("state", "a".repeat(2_048), 200),
        ("state", "a".repeat(2_049), 302),
        ("state", "\u{1}".repeat(1_500), 302),
        ("scope", "a ".repeat(10_000), 200),
        ("login_hint", "a".repeat(20_000), 200),
        ("nonce", "a".repeat(20_000), 200),
    ] {
        let mut url = client.authorize_url("short", VERIFIER, &[]).unwrap();
        let kept: Vec<(String, String)> =
            url.query_pairs().into_owned().filter(|(other, _)| other != name).collect();
        url.query_pairs_mut().clear().extend_pairs(kept).append_pair(name, &value);
        let response = http().get(url).send().await.unwrap();
        assert_eq!(response.status(), wanted, "{name}, {} bytes", value.len());
        if wanted == 302 {
            let location = response.headers()["location"].to_str().unwrap();
            assert!(location.contains("error=invalid_request") && location.contains("shorter"), "{location}");
        } else {
            assert!(
                response.text().await.unwrap().len() < 20_000,
                "{name}: the page only contains known values"
            );
        }
    }
    assert_serving(&world).await;
}

#[tokio::test]
async fn many_parameters_and_resources_are_bounded() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    let url = client.authorize_url("short", VERIFIER, &[]).unwrap();
    let resource = world.url(TARGET);
    let many: String = (0..300).map(|_| format!("&resource={resource}")).collect::<Vec<_>>().concat();
    assert_eq!(http().get(format!("{url}{many}")).send().await.unwrap().status(), 200);
    let form: Vec<(String, String)> = (0..2_000).map(|n| (format!("p{n}"), "x".to_owned())).collect();
    let status = http().post(world.url("/auth/token")).form(&form).send().await.unwrap().status();
    assert_eq!(status, 400, "no client_id among the parsed parameters");
}

#[tokio::test]
async fn every_member_of_a_registration_is_bounded() {
    let world = World::start().await;
    let uri = "https://client.example.com/cb";
    let many: Vec<String> = (0..100).map(|n| format!("{uri}/{n}")).collect();
    let long = format!("{uri}/{}", "a".repeat(2_000));
    for metadata in [
        json!({ "redirect_uris": many }),
        json!({ "redirect_uris": [long] }),
        json!({ "redirect_uris": (0..12).map(|n| format!("{uri}/{}{n}", "a".repeat(950))).collect::<Vec<_>>() }),
    ] {
        let response = http().post(world.url("/auth/register")).json(&metadata).send().await.unwrap();
        assert_eq!(response.status(), 400);
    }
    let named = json!({ "redirect_uris": [uri], "client_name": "n".repeat(10_000) });
    let response = http().post(world.url("/auth/register")).json(&named).send().await.unwrap();
    let response: serde_json::Value = response.json().await.unwrap();
    assert_eq!(response["client_name"].as_str().unwrap().len(), 120);
    assert!(response["client_id"].as_str().unwrap().len() < 1_000);
}

#[tokio::test]
async fn long_tokens_and_client_ids_are_rejected_before_decoding() {
    let world = World::start().await;
    let long = "a".repeat(30_000);
    let bearer = http().get(world.url(TARGET)).bearer_auth(&long[..20_000]).send().await.unwrap();
    assert_eq!(bearer.status(), 401);
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", &long)];
    assert_eq!(http().post(world.url("/auth/token")).form(&form).send().await.unwrap().status(), 401);
    let client = world.client(TARGET).await;
    let refused = client.refresh(&long).await.unwrap_err().to_string();
    assert!(refused.starts_with("invalid_grant"), "{refused}");
}
