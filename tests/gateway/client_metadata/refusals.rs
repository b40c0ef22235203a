//! Documents that are no good, and what is said of them.

use super::{SERVER, authorize, refused};
use crate::harness::publishing::{HOST, PATH, document, publish};
use crate::harness::{World, http};
use gateway_standins::publisher::{Answer, Publisher};
use serde_json::{Value, json};

/// What is said of all that is not meant as a document.
const FOREIGN: &str = "what is at client_id is not its metadata document: JSON that is called JSON, of at most 5120 \
                       bytes, with that very URL as its client_id";

/// Answers that are no such document, and a word of what is said of each.
fn bad_answers(id: &str) -> Vec<(Answer, &'static str)> {
    let with = |change: fn(&mut Value)| {
        let mut document = document(id);
        change(&mut document);
        Answer::json(&document)
    };
    let good = document(id).to_string();
    vec![
        (with(|d| d["client_id"] = json!("https://client.example.com/other.json")), FOREIGN),
        (with(|d| d["client_id"] = json!(null)), FOREIGN),
        (with(|d| d["redirect_uris"] = json!(["javascript:alert(1)"])), "redirect_uris[0]"),
        (with(|d| d["redirect_uris"] = json!(null)), "redirect_uris"),
        (
            with(|d| d["token_endpoint_auth_method"] = json!("client_secret_basic")),
            "token_endpoint_auth_method",
        ),
        (with(|d| d["client_secret"] = json!("s")), "client_secret"),
        (with(|d| d["token_endpoint_auth_method"] = json!("private_key_jwt")), "jwks_uri"),
        (with(|d| d["client_name"] = json!("")), "client_name"),
        (with(|d| d["padding"] = json!("x".repeat(5 * 1024))), FOREIGN),
        (Answer::text("text/html", good.clone()), FOREIGN),
        (Answer::text("text/plain", good.clone()), FOREIGN),
        (Answer::text("application/json", "<html>"), FOREIGN),
        (Answer::text("application/json", "[]"), FOREIGN),
        (Answer::text("application/json", good.clone()).status(404), FOREIGN),
        (Answer::text("application/json", good.clone()).status(201), FOREIGN),
        (Answer::text("application/json", good).status(302).header("location", "/moved.json"), FOREIGN),
    ]
}

#[tokio::test]
async fn an_invalid_document_is_400_with_the_reason_and_not_cached() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let id = publisher.url(HOST, PATH);
    let client = world.published(&id, SERVER).await;
    publisher.says("/moved.json", Answer::json(&document(&id)));
    for (answer, word) in bad_answers(&id) {
        publisher.says(PATH, answer);
        let (status, error) = refused(&client).await;
        assert_eq!((status, error["error"].as_str()), (400, Some("invalid_client")), "{word}: {error}");
        let description = error["error_description"].as_str().unwrap();
        assert!(description.contains(word), "{word}: {description}");
        assert!(word != FOREIGN || description == FOREIGN, "nobody learns more of it: {description}");
    }
    assert_eq!(publisher.asked("/moved.json"), 0, "no redirect is followed");
    publisher.says(PATH, Answer::json(&document(&id)));
    assert_eq!(authorize(&client, "text/html").await.0, 200, "nothing of all that was kept");
}

#[tokio::test]
async fn the_page_of_an_invalid_document_shows_the_reason_and_does_not_advise_registration() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let id = publish(&publisher, |document| document["client_id"] = json!("https://elsewhere.example.com/"));
    let (status, page) = authorize(&world.published(&id, SERVER).await, "text/html").await;
    assert_eq!(status, 400);
    assert!(page.contains("This app cannot connect here") && page.contains("is not its metadata document"));
    assert!(!page.contains("Remove"), "{page}");
}

#[tokio::test]
async fn an_unsuitable_url_is_an_unknown_client_and_not_fetched() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let port = publisher.address().port();
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
        let (status, error) = refused(&world.published(&id, SERVER).await).await;
        assert_eq!((status, error["error"].as_str()), (400, Some("invalid_client")), "{id}");
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", &id)];
        let response = http().post(world.url("/auth/token")).form(&form).send().await.unwrap();
        assert_eq!(response.status(), 401, "{id}");
    }
    assert_eq!(nothing_was_asked(&publisher), 0);
}

fn nothing_was_asked(publisher: &Publisher) -> usize {
    publisher.asked(PATH) + publisher.asked("/")
}

#[tokio::test]
async fn a_published_client_gets_no_machine_grant_types() {
    let (world, publisher) = World::start().await.and_a_publisher().await;
    let id = publish(&publisher, |document| {
        document["grant_types"] = json!(["authorization_code", "client_credentials"]);
    });
    let client = world.published(&id, SERVER).await;
    for grant_type in ["client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer", "password"] {
        let (status, answer) = client.token(&[("grant_type", grant_type)]).await.unwrap();
        assert_eq!((status, answer["error"].as_str()), (400, Some("unsupported_grant_type")), "{grant_type}");
    }
}
