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
