//! Redirect URIs, and information that redirects leak (RFC 9700 §4.1, §4.2, §4.11, §4.12; RFC 8252 §8).

use super::{TARGET, VERIFIER, approve, authorization_response, client_at, consent_page, parameter};
use crate::harness::{CALLBACK, World, http};
use gateway_standins::browser::{Browser, Hop, Landing};
use reqwest::StatusCode;
use serde_json::{Value, json};
use url::Url;

const MALFORMED_URIS: &[&str] = &[
    // User information that looks like a host.
    "https://claude.ai@evil.example.com/",
    "https:claude.ai@evil.example.com/",
    "https:/claude.ai@evil.example.com/",
    "https:///claude.ai@evil.example.com/",
    "https://:@evil.example.com/",
    "https://@evil.example.com/",
    "http://localhost:1@evil.example.com/",
    "http://localhost%40evil.example.com/",
    // Other than two slashes.
    "https:evil.example.com/cb",
    "https:/evil.example.com/cb",
    "https:///evil.example.com/cb",
    "http:localhost/cb",
    // Backslashes, which browsers read as slashes.
    "https:\\\\evil.example.com",
    "https://claude.ai\\.evil.example.com/",
    "https://claude.ai\\@evil.example.com/",
    // Fragments.
    "https://claude.ai/cb#",
    "https://claude.ai/cb#code=1",
    // Dot segments, plain and encoded.
    "https://claude.ai/a/../b",
    "https://claude.ai/%2e%2E/b",
    "https://claude.ai/a/.%2e",
    "http://localhost/./cb",
    // Characters that are easily confused with others, or that end a URL in some parsers.
    "https://cl\u{0430}ude.ai/",
    "https://claude.ai\u{2044}evil.example.com/",
    "https://claude.ai\u{3002}evil.example.com/",
    "https://claude.ai\u{0}.evil.example.com/",
    "https://claude.ai /",
    "https://claude.ai\t/",
    "https://claude.ai/\r\nSet-Cookie:a=b",
    " https://claude.ai/",
    "https://claude.ai/<script>",
    "https://claude.ai/\"onload",
    // Hosts that look like loopback, and addresses of internal networks.
    "http://localhost.evil.example.com/",
    "http://127.0.0.1.evil.example.com/",
    "http://127.0.0.2/",
    "http://0.0.0.0/",
    "http://[::ffff:127.0.0.1]/",
    "http://192.168.0.1/",
    "http://169.254.169.254/latest",
    "http://evil.example.com/",
    // Schemes that execute code, read files or contact other programs.
    "JaVaScRiPt:alert(1)",
    "javascript://claude.ai/%0aalert(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    "file:///etc/passwd",
    "blob:https://claude.ai/1",
    "view-source:https://claude.ai/",
    "ftp://claude.ai/",
    "ws://claude.ai/",
    "mailto:eve@evil.example.com",
    "intent://x#Intent;end",
    "",
    "/callback",
    "//evil.example.com/",
    "*",
    "https://*.example.com/",
    "https://",
];

async fn registration(world: &World, uri: &str) -> (StatusCode, Value) {
    let metadata = json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" });
    let response = http().post(world.url("/auth/register")).json(&metadata).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn malformed_redirect_uris_are_rejected_at_registration() {
    let world = World::start().await;
    for &uri in MALFORMED_URIS {
        let (status, response) = registration(&world, uri).await;
        assert_eq!(
            (status, &response["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_redirect_uri")),
            "{uri:?}"
        );
    }
}

#[tokio::test]
async fn redirect_uris_are_compared_as_whole_strings() {
    let world = World::start().await;
    let client = client_at(&world, "https://client.example.com/cb?tenant=1").await;
    for uri in [
        "https://client.example.com/cb",
        "https://client.example.com/cb?tenant=1&x=y",
        "https://client.example.com/cb?tenant=2",
        "https://client.example.com/cb/?tenant=1",
        "https://client.example.com/CB?tenant=1",
        "https://client.example.com:443/cb?tenant=1",
        "https://client.example.com:8443/cb?tenant=1",
        "https://CLIENT.example.com/cb?tenant=1",
        "HTTPS://client.example.com/cb?tenant=1",
        "http://client.example.com/cb?tenant=1",
        "https://client.example.com./cb?tenant=1",
        "https://client.example.com/cb%3Ftenant=1",
        "https://client.example.com.evil.example.com/cb?tenant=1",
        "https://client.example.com/%63b?tenant=1",
    ] {
        let mut url = client.authorize_url("state", VERIFIER, &[]).unwrap();
        let others: Vec<(String, String)> =
            url.query_pairs().into_owned().filter(|(name, _)| name != "redirect_uri").collect();
        url.query_pairs_mut().clear().extend_pairs(others).append_pair("redirect_uri", uri);
        let response = http().get(url).send().await.unwrap();
        assert_eq!(response.status(), 400, "{uri}");
        assert!(response.headers().get("location").is_none(), "{uri}");
    }
}

#[tokio::test]
async fn only_the_port_of_a_loopback_uri_may_differ() {
    let world = World::start().await;
    let client = client_at(&world, "http://127.0.0.1:5000/cb").await;
    for (uri, admitted) in [
        ("http://127.0.0.1:6000/cb", true),
        ("http://127.0.0.1/cb", true),
        ("http://localhost:5000/cb", false),
        ("http://[::1]:5000/cb", false),
        ("http://127.0.0.1:5000/other", false),
        ("https://127.0.0.1:5000/cb", false),
        ("http://127.0.0.1:99999/cb", false),
    ] {
        let url = client.authorize_url("state", VERIFIER, &[]).unwrap();
        let url =
            Url::parse(&url.as_str().replace("http%3A%2F%2F127.0.0.1%3A5000%2Fcb", &encoded(uri))).unwrap();
        let status = http().get(url).send().await.unwrap().status();
        assert_eq!(status, if admitted { 200 } else { 400 }, "{uri}");
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn an_unauthenticated_registration_does_not_make_an_open_redirector() {
    let world = World::start().await;
    for uri in ["https://evil.example.com/cb", "cursor://evil/cb", "com.evil.app:/cb"] {
        let client = client_at(&world, uri).await;
        for (from, to) in [
            ("code_challenge_method=S256", "code_challenge_method=plain"),
            ("response_type=code", "response_type=token"),
            ("resource=http", "resource=https"),
        ] {
            let url = client.authorize_url("state", VERIFIER, &[]).unwrap().as_str().replace(from, to);
            let response = http().get(url).send().await.unwrap();
            assert_eq!(response.status(), 400, "{uri} {to}");
            assert!(response.headers().get("location").is_none());
            assert!(!response.text().await.unwrap().contains("http-equiv"), "no page redirects");
        }
    }
}

#[tokio::test]
async fn redirects_after_a_post_do_not_repeat_the_form() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    let mut browser = Browser::new();
    browser.stop_at(CALLBACK);
    let page = consent_page(&client, &mut browser, "state").await;
    let okta = approve(&mut browser, &page).await;
    let gateways = |hop: &&Hop| hop.url.as_str().starts_with(&world.base_url);
    let Landing::Stopped { trail, .. } = browser.sign_in(&okta, "alice").await.unwrap() else {
        panic!("no response")
    };
    let ours: Vec<StatusCode> =
        okta.trail.iter().chain(&trail).filter(gateways).map(|hop| hop.status).collect();
    // The response to the consent form is a page. The response to Okta's callback is a redirect that every browser
    // follows with GET.
    assert_eq!(ours, [StatusCode::OK, StatusCode::FOUND]);
}

#[tokio::test]
async fn pages_and_redirects_send_no_referrer() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    let mut browser = Browser::new();
    let page = consent_page(&client, &mut browser, "state").await;
    assert_eq!(
        page.headers["referrer-policy"], "same-origin",
        "with no-referrer, the form would send Origin: null"
    );
    for forbidden in ["src=\"http", "src=\"//", "<script", "<img", "<iframe", "url(http"] {
        assert!(!page.body.contains(forbidden), "{forbidden}");
    }
    let url = authorization_response(&client, &mut Browser::new(), "alice").await;
    assert!(parameter(&url, "code").is_some());
    let refused = client.authorize_url("state", VERIFIER, &[("scope", "twice")]).unwrap();
    let redirect = http().get(refused).send().await.unwrap();
    assert_eq!(
        (redirect.status(), &redirect.headers()["referrer-policy"]),
        (StatusCode::FOUND, &"no-referrer".parse().unwrap())
    );
    assert!(redirect.headers()["location"].to_str().unwrap().starts_with(CALLBACK));
}
