//! `Location` headers of servers.

use super::SignedIn;
use reqwest::header::LOCATION;

fn redirect_to(url: &str, status: u16) -> String {
    let to: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
    format!("/mcp/raw/redirect?status={status}&to={to}")
}

#[tokio::test]
async fn a_redirect_below_the_routes_public_url_passes() {
    let signed = SignedIn::start(|site| site).await;
    for (path, passes) in [("/mcp/raw/elsewhere?x=1", true), ("/mcp/dice/elsewhere", false), ("/", false)] {
        let url = signed.world.url(path);
        let response = signed.get(&redirect_to(&url, 307)).await;
        assert_eq!(response.status(), if passes { 307 } else { 502 }, "{path}");
        assert_eq!(response.headers().get(LOCATION).is_some_and(|location| *location == *url), passes);
    }
}

#[tokio::test]
async fn the_server_gets_the_prefix_of_its_route() {
    let signed = SignedIn::start(|site| site).await;
    signed.request("/mcp/raw/echo").header("x-forwarded-prefix", "/evil").send().await.unwrap();
    assert_eq!(signed.world.backend.last().unwrap().header("x-forwarded-prefix"), Some("/mcp/raw"));
}

#[tokio::test]
async fn a_foreign_location_of_a_created_resource_is_no_redirect() {
    let signed = SignedIn::start(|site| site).await;
    let foreign = "https://other.example.com/issues/1";
    for (to, location) in
        [(foreign, foreign.to_owned()), ("/issues/1", signed.world.url("/mcp/raw/issues/1"))]
    {
        for status in [200, 201, 202] {
            let response = signed.get(&redirect_to(to, status)).await;
            assert_eq!(
                (response.status().as_u16(), &response.headers()[LOCATION]),
                (status, &location.parse().unwrap()),
                "{to}"
            );
        }
    }
    for status in [300, 301, 302, 303, 307, 308] {
        assert_eq!(signed.get(&redirect_to(foreign, status)).await.status(), 502, "{status}");
    }
}
