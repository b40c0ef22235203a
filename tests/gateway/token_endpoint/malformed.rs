//! Malformed requests: clients drop their registration at `invalid_client`, so they get `invalid_request`.

use crate::harness::{CALLBACK, World, http};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway::oauth::client::assertion::TYPE;
use gateway_standins::client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

const FORM: &str = "application/x-www-form-urlencoded";

/// Posts a body to both endpoints that authenticate clients; returns status, error code and description of each.
async fn refused(world: &World, content_type: Option<&str>, body: &[u8]) -> Vec<(u16, String, String)> {
    let mut responses = Vec::new();
    for path in ["/auth/token", "/auth/revoke"] {
        let request = http().post(world.url(path)).body(body.to_vec());
        let request =
            content_type.into_iter().fold(request, |request, kind| request.header(CONTENT_TYPE, kind));
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        responses.push((status, text("error"), text("error_description")));
    }
    responses
}

#[tokio::test]
async fn a_body_that_is_no_form_is_invalid_request_and_the_form_type_is_named() {
    let world = World::start().await;
    let id = world.client("/mcp/raw/echo").await.id;
    let json = json!({ "grant_type": "refresh_token", "refresh_token": "x", "client_id": id }).to_string();
    let form = format!("grant_type=refresh_token&refresh_token=x&client_id={id}");
    let multipart =
        format!("--x\r\nContent-Disposition: form-data; name=\"client_id\"\r\n\r\n{id}\r\n--x--\r\n");
    for (content_type, body) in [
        (Some("application/json"), json.as_bytes()),
        (Some("application/json; charset=utf-8"), form.as_bytes()),
        (Some(FORM), json.as_bytes()),
        (None, json.as_bytes()),
        (Some("text/plain;charset=UTF-8"), json.as_bytes()),
        (Some("multipart/form-data; boundary=x"), multipart.as_bytes()),
        (Some(FORM), b""),
        (None, b""),
        (Some(FORM), b"client_id=\xff"),
    ] {
        for (status, error, words) in refused(&world, content_type, body).await {
            assert_eq!((status, &*error), (400, "invalid_request"), "{content_type:?}: {words}");
            assert!(words.contains(FORM), "{content_type:?}: {words}");
        }
    }
    let accepted =
        refused(&world, Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"), form.as_bytes()).await;
    assert_eq!(accepted[0].1, "invalid_grant", "the client is known, but not the token");
}

#[tokio::test]
async fn a_repeated_parameter_is_invalid_request_before_the_client_is_known() {
    let world = World::start().await;
    let id = world.client("/mcp/raw/echo").await.id;
    for form in [
        format!("grant_type=refresh_token&client_id={id}&client_id={id}"),
        format!("grant_type=refresh_token&client_id={id}&client_id=other"),
        "grant_type=refresh_token&client_id=unknown&refresh_token=x&refresh_token=x".to_owned(),
        format!("grant_type=refresh_token&client_id={id}&client_secret=a&client_secret=a"),
        format!("grant_type=refresh_token&grant_type=refresh_token&client_id={id}"),
    ] {
        for (status, error, words) in refused(&world, Some(FORM), form.as_bytes()).await {
            assert_eq!((status, &*error), (400, "invalid_request"), "{form}: {words}");
            assert!(words.contains("is repeated"), "{words}");
        }
    }
}

#[tokio::test]
async fn a_request_that_names_no_client_is_invalid_request() {
    let world = World::start().await;
    for authorization in [None, Some("Bearer x"), Some("Basic !"), Some("Basic")] {
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
        let request = http().post(world.url("/auth/token")).form(&form);
        let request =
            authorization.into_iter().fold(request, |request, it| request.header(AUTHORIZATION, it));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400, "{authorization:?}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"], "invalid_request", "{authorization:?}");
    }
}

/// `Authorization` headers and form parameters.
type Credentials<'a> = (&'a [&'a [u8]], &'a [(&'a str, &'a str)]);

/// Status, error code and challenge of a response of the token endpoint.
async fn posted(world: &World, authorization: &[&[u8]], form: &[(&str, &str)]) -> (u16, String, bool) {
    let request = http().post(world.url("/auth/token")).form(form);
    let request = authorization.iter().fold(request, |request, value| request.header(AUTHORIZATION, *value));
    let response = request.send().await.unwrap();
    let (status, challenged) =
        (response.status().as_u16(), response.headers().contains_key("www-authenticate"));
    let body: Value = response.json().await.unwrap();
    (status, body["error"].as_str().unwrap().to_owned(), challenged)
}

#[tokio::test]
async fn contradictory_or_malformed_credentials_are_invalid_request_and_wrong_ones_invalid_client() {
    let world = World::start().await;
    let discovered = client::discover(&world.url("/mcp/raw/echo")).await.unwrap();
    let confidential = discovered.register("Confidential", "client_secret_basic", CALLBACK).await.unwrap();
    let (id, secret) = (&*confidential.id, confidential.secret.as_deref().unwrap());
    let basic = |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let (good, wrong) = (basic(id, secret), basic(id, "wrong"));
    let grant = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let named = [("client_id", id)];
    let both = [("client_id", id), ("client_secret", "other")];
    let assertion = [("client_id", id), ("client_assertion", "a.b.c")];
    let typed = [&assertion[..], &[("client_assertion_type", TYPE)]].concat();
    let malformed: [Credentials<'_>; 9] = [
        (&[b"Bearer x"], &named),
        (&[b"Basic !!!"], &named),
        (&[b"Basic \xe9"], &named),
        (&[good.as_bytes(), good.as_bytes()], &named),
        (&[good.as_bytes(), b"Bearer x"], &[]),
        (&[good.as_bytes()], &[("client_id", "other")]),
        (&[good.as_bytes()], &both),
        (&[good.as_bytes()], &typed),
        (&[], &assertion),
    ];
    for (headers, more) in malformed {
        let response = posted(&world, headers, &[&grant[..], more].concat()).await;
        assert_eq!(response, (400, "invalid_request".into(), false), "{headers:?} {more:?}");
    }
    let unauthenticated: [Credentials<'_>; 5] = [
        (&[wrong.as_bytes()], &[]),
        (&[wrong.as_bytes()], &named),
        (&[], &both),
        (&[], &named),
        (&[], &[("client_id", "unknown")]),
    ];
    for (headers, more) in unauthenticated {
        let response = posted(&world, headers, &[&grant[..], more].concat()).await;
        assert_eq!(response, (401, "invalid_client".into(), true), "{headers:?} {more:?}");
    }
    assert_eq!(posted(&world, &[good.as_bytes()], &grant).await.1, "invalid_grant");
}

#[tokio::test]
async fn a_missing_parameter_is_invalid_request_although_the_client_is_unknown() {
    let world = World::start().await;
    let by_code = ("grant_type", "authorization_code");
    for form in [
        &[][..],
        &[by_code],
        &[by_code, ("code", "x")],
        &[by_code, ("code", ""), ("code_verifier", "x")],
        &[by_code, ("code_verifier", "x")],
        &[("grant_type", "refresh_token")],
        &[("refresh_token", "x")],
    ] {
        let form = [form, &[("client_id", "stale")]].concat();
        assert_eq!(posted(&world, &[], &form).await, (400, "invalid_request".into(), false), "{form:?}");
    }
    let revoked = http().post(world.url("/auth/revoke")).form(&[("client_id", "stale")]);
    assert_eq!(revoked.send().await.unwrap().status(), 400);
}
