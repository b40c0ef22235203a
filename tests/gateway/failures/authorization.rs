//! Refusals of the authorization endpoint, the consent form and the callback.

use super::{Consent, TARGET, VERIFIER, named, named_at, named_with_user, parameter, send, world};
use crate::harness::http;
use serde_json::json;
use url::Url;

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_authorization_request_names_client_and_route_as_far_as_they_are_known() {
    let world = world(|site| site).await;
    let client = world.client(TARGET).await;
    let resource = world.url(TARGET);
    let get = async |query: &[(&str, &str)]| {
        let url = Url::parse_with_params(&world.url("/auth/authorize"), query).unwrap();
        send(http().get(url)).await
    };
    get(&[]).await.has_event("authorization", "refused", &json!({}));
    let unknown = get(&[("client_id", "nobody-that-is-known")]).await;
    assert_eq!(unknown.status, 400);
    unknown.has_event("authorization", "refused", &json!({ "client_id": "nobody-that-" }));
    let not_registered = [("client_id", &*client.id), ("redirect_uri", "https://evil.example.com/")];
    get(&not_registered).await.has_event("authorization", "refused", &named(&client));
    let without_challenge = [
        ("client_id", &*client.id),
        ("redirect_uri", &client.redirect_uri),
        ("response_type", "code"),
        ("resource", &resource),
    ];
    let redirected = get(&without_challenge).await;
    assert_eq!(parameter(redirected.location.as_ref().unwrap(), "error"), "invalid_request");
    redirected.has_event("authorization", "refused", &named_at(&client));
    assert!(redirected.reason().contains("code_challenge"), "{}", redirected.reason());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_a_consent_form_leaves_one_event_with_client_and_route() {
    let world = world(|site| site).await;
    let client = world.client(TARGET).await;
    let invalid = send(http().post(world.url("/auth/authorize")).form(&[("request", "x")])).await;
    invalid.has_event("consent", "refused", &json!({}));
    let consent = Consent::of(&world, &client).await;
    let foreign = consent.post(&world, "approve", "").await;
    assert_eq!(foreign.status, 403);
    foreign.has_event("consent", "refused", &named_at(&client));
    let denied = consent.decide(&world, "deny").await;
    denied.has_event("consent", "refused", &named_at(&client));
    assert!(denied.reason().contains("the person denied"), "{}", denied.reason());
    let decided = consent.decide(&world, "approve").await;
    assert_eq!(decided.status, 400);
    decided.has_event("consent", "refused", &named_at(&client));
    // A request for no server in particular: the form must say which.
    let mut url = client.authorize_url("xyz", VERIFIER, &[]).unwrap();
    let kept: Vec<_> = url.query_pairs().into_owned().collect();
    let kept = kept.into_iter().filter(|(name, _)| name != "resource" && name != "scope");
    let query: Vec<(String, String)> = kept.collect();
    url.query_pairs_mut().clear().extend_pairs(query);
    let undecided = Consent::at(&world, &url).await.decide(&world, "approve").await;
    assert_eq!(undecided.status, 400);
    undecided.has_event("consent", "refused", &named(&client));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_a_callback_leaves_one_event_with_client_and_route() {
    let world = world(|site| site).await;
    let client = world.client(TARGET).await;
    let get = async |path: &str| send(http().get(world.url(path))).await;
    get("/auth/callback?code=c").await.has_event("login", "refused", &json!({}));
    get("/auth/callback?code=c&state=unknown").await.has_event("login", "refused", &json!({}));
    let callback = Consent::of(&world, &client).await.sign_in_at_okta().await;
    let elsewhere = send(http().get(callback)).await;
    assert_eq!(elsewhere.status, 403);
    elsewhere.has_event("login", "refused", &named_at(&client));
    world.okta.refuse_assignment("alice");
    let mut consent = Consent::of(&world, &client).await;
    let callback = consent.sign_in_at_okta().await;
    let refused = consent.open(&world, &callback).await;
    assert_eq!(parameter(refused.location.as_ref().unwrap(), "error"), "access_denied");
    refused.has_event("login", "refused", &named_at(&client));
    assert!(refused.reason().contains("not assigned"), "{}", refused.reason());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_allowed_once_with_user_client_and_route() {
    let world = world(|site| site).await;
    let client = world.client(TARGET).await;
    let mut consent = Consent::of(&world, &client).await;
    let callback = consent.sign_in_at_okta().await;
    let completed = consent.open(&world, &callback).await;
    assert_ne!(parameter(completed.location.as_ref().unwrap(), "code"), "");
    completed.has_event("login", "allowed", &named_with_user(&client));
    assert!(completed.lines.warnings().is_empty());
    consent.open(&world, &callback).await.has_event("login", "refused", &json!({}));
}
