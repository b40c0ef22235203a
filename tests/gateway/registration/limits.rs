//! Number of redirect URIs, and length of the `client_id`.

use super::register;
use crate::harness::{World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Login};
use reqwest::header::AUTHORIZATION;
use serde_json::json;

/// Longest line that many servers accept, such as nginx and Apache httpd.
const MAX_LINE_BYTES: usize = 8190;

#[tokio::test]
async fn loopback_redirect_uris_that_differ_in_port_alone_count_once() {
    let world = World::start().await;
    let uris: Vec<String> =
        (0..13).map(|port| format!("http://localhost:{}/callback", 33_418 + port)).collect();
    let metadata = json!({ "redirect_uris": uris, "token_endpoint_auth_method": "none" });
    let (status, response) = register(&world, &metadata).await;
    assert_eq!(status, 201, "{response}");
    assert_eq!(response["redirect_uris"], json!(["http://localhost:33418/callback"]));
    let discovered = client::discover(&world.url("/mcp/raw/echo")).await.unwrap();
    for uri in
        ["http://localhost:33418/callback", "http://localhost:33430/callback", "http://localhost:1/callback"]
    {
        let client = discovered.known_client(response["client_id"].as_str().unwrap(), uri);
        let url = client.authorize_url("xyz", &"v".repeat(43), &[]).unwrap();
        assert_eq!(http().get(url).send().await.unwrap().status(), 200, "{uri}");
    }
    let web: Vec<String> = (0..13).map(|port| format!("https://a.example:{}/cb", 8000 + port)).collect();
    let (status, response) = register(&world, &json!({ "redirect_uris": web })).await;
    assert_eq!((status, response["error"].as_str()), (400, Some("invalid_redirect_uri")));
}

#[tokio::test]
async fn each_line_with_a_client_id_fits_into_8_kib() {
    let world = World::start().await;
    let discovered = client::discover(&world.url("/mcp/raw/echo")).await.unwrap();
    let mut longest = 0;
    for length in (64..=1000).step_by(36) {
        let uris: Vec<String> =
            (0..12).map(|n| format!("https://a.example/{n:02}/{}", "a?".repeat(length / 2))).collect();
        let (status, response) = register(&world, &json!({ "redirect_uris": uris })).await;
        if status != 201 {
            assert_eq!((status, response["error"].as_str()), (400, Some("invalid_client_metadata")));
            let words = response["error_description"].as_str().unwrap();
            assert!(words.contains("bytes") && words.contains("4096"), "{words}");
            continue;
        }
        let id = response["client_id"].as_str().unwrap();
        longest = longest.max(id.len());
        let client = discovered.known_client(id, &uris[0]);
        let url = client.authorize_url(&"s".repeat(512), &"v".repeat(43), &[]).unwrap();
        let line = format!("GET {}?{} HTTP/1.1", url.path(), url.query().unwrap());
        assert!(line.len() <= MAX_LINE_BYTES, "{} bytes with an id of {}", line.len(), id.len());
        let basic =
            http().get(world.url("/")).basic_auth(id, response["client_secret"].as_str()).build().unwrap();
        assert!(basic.headers()[AUTHORIZATION].len() + "Authorization: ".len() <= MAX_LINE_BYTES);
    }
    assert!((3_000..=4_096).contains(&longest), "{longest}: many redirect URIs are accepted all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_header_with_the_longest_client_id_fits_into_8_kib() {
    let world = World::start().await;
    let discovered = client::discover(&world.url("/mcp/raw/echo")).await.unwrap();
    let mut longest = None;
    for length in (150..=280).step_by(3) {
        let uris: Vec<String> =
            (0..12).map(|n| format!("https://a.example/{n:02}/{}", "a".repeat(length))).collect();
        let metadata = json!({ "redirect_uris": uris, "token_endpoint_auth_method": "none" });
        let (status, response) = register(&world, &metadata).await;
        if status != 201 {
            break;
        }
        longest = Some((response["client_id"].as_str().unwrap().to_owned(), uris[0].clone()));
    }
    let (id, redirect_uri) = longest.unwrap();
    assert!((3_950..=4_096).contains(&id.len()), "{} bytes", id.len());
    let client = discovered.known_client(&id, &redirect_uri);
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let tokens = client.redeem(&code).await.unwrap();
    let header = format!("Authorization: Bearer {}", tokens.access_token);
    assert!(header.len() <= MAX_LINE_BYTES, "{} bytes", header.len());
    let call = http().get(world.url("/mcp/raw/echo")).bearer_auth(&tokens.access_token);
    assert_eq!(call.send().await.unwrap().status(), 200);
}
