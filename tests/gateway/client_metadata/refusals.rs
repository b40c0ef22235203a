//! Invalid metadata documents, and their error messages.

use super::{SERVER, authorize, authorize_error};
use crate::harness::events::Events;
use crate::harness::metadata_documents::{HOST, PATH, document, publish};
use crate::harness::{World, http};
use gateway_routes::ClientMetadataMode;
use gateway_standins::client::Client;
use gateway_standins::document_server::{DocumentResponse, DocumentServer};
use serde_json::{Value, json};

/// Error message for a response that is not a metadata document.
const NOT_A_DOCUMENT: &str = "what is at client_id is not its metadata document: JSON of at most 5120 bytes, with that very \
                       URL as its client_id";

/// Invalid responses of the document server, each with a word of its error message.
fn invalid_documents(id: &str) -> Vec<(DocumentResponse, &'static str)> {
    let with = |change: fn(&mut Value)| {
        let mut document = document(id);
        change(&mut document);
        DocumentResponse::json(&document)
    };
    let good = document(id).to_string();
    vec![
        (with(|d| d["client_id"] = json!("https://client.example.com/other.json")), NOT_A_DOCUMENT),
        (with(|d| d["client_id"] = json!(null)), NOT_A_DOCUMENT),
        (with(|d| d["redirect_uris"] = json!(["javascript:alert(1)"])), "redirect_uris[0]"),
        (with(|d| d["redirect_uris"] = json!(null)), "redirect_uris"),
        (
            with(|d| d["token_endpoint_auth_method"] = json!("client_secret_basic")),
            "token_endpoint_auth_method",
        ),
        (with(|d| d["client_secret"] = json!("s")), "client_secret"),
        (with(|d| d["token_endpoint_auth_method"] = json!("private_key_jwt")), "jwks_uri"),
        (with(|d| d["client_name"] = json!("")), "client_name"),
        (with(|d| d["padding"] = json!("x".repeat(5 * 1024))), NOT_A_DOCUMENT),
        (DocumentResponse::text("application/json", "<html>"), NOT_A_DOCUMENT),
        (DocumentResponse::text("application/json", "[]"), NOT_A_DOCUMENT),
        (DocumentResponse::text("application/json", good.clone()).status(404), NOT_A_DOCUMENT),
        (DocumentResponse::text("text/html", good).status(410), NOT_A_DOCUMENT),
    ]
}

#[tokio::test]
async fn an_invalid_document_is_400_with_the_reason_and_not_cached() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    let client = world.published_client(&id, SERVER).await;
    for (response, word) in invalid_documents(&id) {
        document_server.set_response(PATH, response);
        let (status, error) = authorize_error(&client).await;
        assert_eq!((status, error["error"].as_str()), (400, Some("invalid_client")), "{word}: {error}");
        let description = error["error_description"].as_str().unwrap();
        assert!(description.contains(word), "{word}: {description}");
        assert!(
            word != NOT_A_DOCUMENT || description == NOT_A_DOCUMENT,
            "the message reveals nothing: {description}"
        );
    }
    document_server.set_response(PATH, DocumentResponse::json(&document(&id)));
    assert_eq!(authorize(&client, "text/html").await.0, 200, "no invalid response was cached");
}

#[tokio::test]
async fn the_page_of_an_invalid_document_shows_the_reason_and_does_not_advise_registration() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let id =
        publish(&document_server, |document| document["client_id"] = json!("https://elsewhere.example.com/"));
    let (status, page) = authorize(&world.published_client(&id, SERVER).await, "text/html").await;
    assert_eq!(status, 400);
    assert!(page.contains("This app cannot connect here") && page.contains("is not its metadata document"));
    assert!(!page.contains("Remove"), "{page}");
}

#[tokio::test]
async fn an_unsuitable_url_is_an_unknown_client_and_not_fetched() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let port = document_server.address().port();
    for id in [
        format!("http://{HOST}:{port}{PATH}"),
        format!("https://{HOST}:{port}"),
        format!("https://user@{HOST}:{port}{PATH}"),
        format!("https://{HOST}:{port}{PATH}#"),
        format!("https://{HOST}:{port}/a/..{PATH}"),
        format!("https://{HOST}:{port}/%2e{PATH}"),
        format!("https://CLIENT.example.com:{port}{PATH}"),
        format!("https://127.0.0.1:{port}{PATH}"),
        format!("https://localhost:{port}{PATH}"),
    ] {
        let (status, error) = authorize_error(&world.published_client(&id, SERVER).await).await;
        assert_eq!((status, error["error"].as_str()), (400, Some("invalid_client")), "{id}");
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", &id)];
        let response = http().post(world.url("/auth/token")).form(&form).send().await.unwrap();
        assert_eq!(response.status(), 401, "{id}");
    }
    assert_eq!(request_count(&document_server), 0);
}

fn request_count(document_server: &DocumentServer) -> usize {
    document_server.request_count(PATH) + document_server.request_count("/")
}

/// Description of the refusal of an authorization request.
async fn refusal(client: &Client) -> String {
    let (status, error) = authorize_error(client).await;
    assert_eq!((status, error["error"].as_str()), (400, Some("invalid_client")), "{error}");
    error["error_description"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_document_whose_keys_may_not_be_fetched_is_refused_before_the_sign_in() {
    let (mut world, document_server) = World::start().await.with_document_server().await;
    world.rebuild(|site| site.client_metadata.hosts = &[HOST, "keys.example.com"]).await;
    let keys = |url: String| {
        move |document: &mut Value| {
            document["token_endpoint_auth_method"] = json!("private_key_jwt");
            document["jwks_uri"] = json!(url);
        }
    };
    let (listed, unlisted) = ("keys.example.com", "elsewhere.example.com");
    let id = publish(&document_server, keys(document_server.url(unlisted, "/jwks.json")));
    let client = world.published_client(&id, SERVER).await;
    let description = refusal(&client).await;
    for words in ["jwks_uri", unlisted, "client_metadata.hosts"] {
        assert!(description.contains(words), "{words} is missing in {description}");
    }
    let (_, page) = authorize(&client, "text/html").await;
    assert!(page.contains(unlisted) && page.contains("client_metadata.hosts"), "{page}");
    assert_eq!(document_server.request_count("/jwks.json"), 0);
    // The document is fetched anew.
    for (url, allowed) in [(document_server.url(listed, "/jwks.json"), true), (world.url("/keys"), false)] {
        world.rebuild(|_| {}).await;
        publish(&document_server, keys(url.replace("http://localhost", "https://localhost.example.com")));
        let client = world.published_client(&id, SERVER).await;
        assert_eq!(authorize(&client, "text/html").await.0, if allowed { 200 } else { 400 }, "{url}");
    }
    let mut compiled = document(&id);
    keys(document_server.url(unlisted, "/jwks.json"))(&mut compiled);
    for mode in [ClientMetadataMode::Pinned, ClientMetadataMode::Fetch] {
        document_server.set_down(true);
        world.compile_documents(mode, std::slice::from_ref(&compiled)).await;
        assert!(refusal(&client).await.contains(unlisted), "{mode:?}");
    }
}

#[tokio::test]
async fn a_published_client_gets_no_machine_grant_types() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let id = publish(&document_server, |document| {
        document["grant_types"] = json!(["authorization_code", "client_credentials"]);
    });
    let client = world.published_client(&id, SERVER).await;
    for grant_type in ["client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer", "password"] {
        let (status, response) = client.token(&[("grant_type", grant_type)]).await.unwrap();
        assert_eq!(
            (status, response["error"].as_str()),
            (400, Some("unsupported_grant_type")),
            "{grant_type}"
        );
    }
}

#[tokio::test]
async fn the_audit_log_has_the_reason_that_the_client_is_not_told() {
    Events::record();
    let (world, document_server) = World::start().await.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    let client = world.published_client(&id, SERVER).await;
    document_server.set_response(PATH, DocumentResponse::json(&json!([])));
    let url = client.authorize_url("xyz", "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv", &[]).unwrap();
    let response = http().get(url).send().await.unwrap();
    let lines = Events::record().of_response(response.headers());
    let event = lines.event();
    assert_eq!((&event["decision"], &event["client_id"]), (&json!("refused"), &json!(id)));
    assert!(event["reason"].as_str().unwrap().ends_with("it is not a JSON object"), "{event}");
    let told = response.text().await.unwrap();
    assert!(told.contains("not its metadata document") && !told.contains("JSON object"), "{told}");
}
