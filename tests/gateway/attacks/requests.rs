//! Server-side request forgery by the URLs of a registration (MCP best practices).

use super::{TARGET, VERIFIER, authorization_response, client_at};
use crate::harness::{CALLBACK, World, http};
use gateway_standins::browser::Browser;
use serde_json::json;

#[tokio::test]
async fn urls_in_a_registration_are_never_fetched() {
    let world = World::start().await;
    let internal_url = world.backend.url();
    let metadata = json!({
        "redirect_uris": [CALLBACK, format!("{}/cb", internal_url)],
        "token_endpoint_auth_method": "none",
        "client_name": format!("<img src={internal_url}/name>"),
        "client_uri": format!("{internal_url}/client"),
        "logo_uri": format!("{internal_url}/logo"),
        "tos_uri": format!("{internal_url}/tos"),
        "policy_uri": format!("{internal_url}/policy"),
        "sector_identifier_uri": format!("{internal_url}/sector"),
        "request_uris": [format!("{internal_url}/request")],
        "initiate_login_uri": format!("{internal_url}/login"),
    });
    let response = http().post(world.url("/auth/register")).json(&metadata).send().await.unwrap();
    assert_eq!(response.status(), 201, "unknown members are accepted");
    let registered: serde_json::Value = response.json().await.unwrap();
    let discovered = world.client(TARGET).await.discovered;
    let client = discovered.known_client(registered["client_id"].as_str().unwrap(), CALLBACK);
    authorization_response(&client, &mut Browser::new(), "alice").await;
    assert!(world.backend.requests().is_empty(), "{:?}", world.backend.last().map(|request| request.target));
}

#[tokio::test]
async fn a_request_object_is_rejected_and_not_fetched() {
    let world = World::start().await;
    let client = client_at(&world, CALLBACK).await;
    let internal_url = format!("{}/request.jwt", world.backend.url());
    for extra in [
        ("request_uri", &*internal_url),
        ("request", "eyJhbGciOiJub25lIn0.e30."),
        ("response_mode", "form_post"),
    ] {
        let url = client.authorize_url("state", VERIFIER, &[extra]).unwrap();
        let response = http().get(url).send().await.unwrap();
        let location = response.headers()["location"].to_str().unwrap();
        assert!(location.contains("error=invalid_request"), "{extra:?}: {location}");
    }
    assert!(world.backend.requests().is_empty());
}
