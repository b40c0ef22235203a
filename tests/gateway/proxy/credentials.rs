//! `upstream_headers`: credentials that MCP servers require of the gateway.

use super::SignedIn;
use crate::harness::events::Events;
use crate::harness::{BACKEND_TOKEN, SiteBuilder};
use gateway::cli;
use gateway_routes::{Route, UpstreamHeader, ValuePart};
use reqwest::Response;
use serde_json::Value;

const HEADERS: &[UpstreamHeader] = &[
    UpstreamHeader {
        name: "Authorization",
        value: &[ValuePart::Text("Bearer "), ValuePart::Variable("BACKEND_TOKEN")],
    },
    UpstreamHeader { name: "X-Api-Key", value: &[ValuePart::Variable("BACKEND_TOKEN")] },
    UpstreamHeader { name: "Notion-Version", value: &[ValuePart::Text("2022-06-28")] },
];

fn with_headers(site: SiteBuilder) -> SiteBuilder {
    site.change("/mcp/raw/", |route| Route { upstream_headers: HEADERS, ..route })
}

#[tokio::test]
async fn upstream_headers_are_sent_instead_of_the_clients() {
    let signed = SignedIn::start(with_headers).await;
    let request = signed.request("/mcp/raw/echo").header("x-api-key", "client").header("x_api_key", "client");
    let request = request.header("X-API.KEY", "client").header("notion-version", "1").header("x-other", "1");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let seen = signed.world.backend.last().unwrap();
    assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {BACKEND_TOKEN}")));
    assert_eq!(seen.header("x-api-key"), Some(BACKEND_TOKEN));
    assert_eq!(seen.header("notion-version"), Some("2022-06-28"));
    assert_eq!(seen.header("x-other"), Some("1"));
    assert!(!seen.headers.contains_key("x_api_key") && !seen.headers.contains_key("x-api.key"));
}

#[tokio::test]
async fn upstream_headers_are_sent_to_their_route_only() {
    let signed = SignedIn::start(|site| {
        let other = |route| Route { upstream_headers: HEADERS, ..route };
        site.route("/mcp/other/", "http://127.0.0.1:1", other)
    })
    .await;
    assert_eq!(signed.request("/mcp/raw/echo").header("x-api-key", "1").send().await.unwrap().status(), 200);
    let seen = signed.world.backend.last().unwrap();
    assert_eq!((seen.header("authorization"), seen.header("x-api-key")), (None, Some("1")));
}

async fn message(response: Response) -> String {
    let error: Value = response.json().await.unwrap();
    error["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_upstream_401_names_upstream_headers_to_the_client_and_in_the_log() {
    let events = Events::record();
    let without = SignedIn::start(|site| site).await;
    let with = SignedIn::start(with_headers).await;
    for (signed, told, logged) in [
        (without, "requires a credential of its own", "set `upstream_headers` of the route"),
        (with, "rejects the gateway's credential", "rejects the credential in `upstream_headers`"),
    ] {
        let response = signed.get("/mcp/raw/status/401").await;
        assert_eq!(response.status(), 502);
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let message = message(response).await;
        assert!(message.contains(told) && message.contains("upstream_headers"), "{message}");
        let is_warning = |line: &Value| line["request_id"] == id && line["level"] == "WARN";
        let warning = events.only(is_warning).await.to_string();
        assert!(warning.contains(logged) && !warning.contains(BACKEND_TOKEN), "{warning}");
    }
}

#[test]
fn the_routes_command_prints_the_names_of_upstream_headers_and_variables() {
    let text =
        cli::routes(with_headers(SiteBuilder::new().route("/mcp/raw/", "http://h", |route| route)).leak());
    let line =
        "\n  headers   Authorization (BACKEND_TOKEN), X-Api-Key (BACKEND_TOKEN), Notion-Version (fixed)\n";
    assert!(text.contains(line), "{text}");
}
