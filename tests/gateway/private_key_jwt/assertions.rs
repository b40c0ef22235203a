//! Invalid and repeated assertions.

use super::{SERVER, authenticated, invalid_client, with_inline_key};
use crate::harness::{StoreKind, World, http};
use gateway_standins::client::{Client, Key};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};

pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Form of a refresh with this assertion.
fn form<'a>(client: &'a Client, assertion: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
        ("client_id", &client.id),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ]
}

/// Status and error of the response to a form.
async fn posted(world: &World, form: &[(&str, &str)]) -> (u16, String) {
    let response = http().post(world.url("/auth/token")).form(form).send().await.unwrap();
    let status = response.status().as_u16();
    let response: Value = response.json().await.unwrap();
    (status, response["error"].as_str().unwrap().to_owned())
}

/// Published client with a key.
struct Fixture {
    world: World,
    client: Client,
    _publisher: gateway_standins::document_server::DocumentServer,
}

impl Fixture {
    async fn new() -> Self {
        let (world, document_server) = World::start().await.with_document_server().await;
        let client = with_inline_key(&world, &document_server, Key::es256("1")).await;
        Self { world, client, _publisher: document_server }
    }

    fn key(&self) -> &Key {
        self.client.key.as_ref().unwrap()
    }

    fn claims(&self) -> Value {
        self.key().claims(&self.client.id, &self.world.base_url)
    }

    async fn refresh_error(&self, assertion: &str) -> (u16, String) {
        posted(&self.world, &form(&self.client, assertion)).await
    }
}

#[tokio::test]
async fn an_assertion_with_a_wrong_claim_is_invalid_client() {
    let fixture = Fixture::new().await;
    let now = fixture.claims()["iat"].as_u64().unwrap();
    let issuer = fixture.world.base_url.clone();
    for (claim, value) in [
        ("aud", json!("https://other.example.com")),
        ("aud", json!(format!("{issuer}/"))),
        ("aud", json!(format!("{issuer}/auth/revoke"))),
        ("aud", json!([issuer, format!("{issuer}/auth/token")])),
        ("aud", json!([issuer, "https://other.example.com"])),
        ("aud", json!(null)),
        ("iss", json!("https://other.example.com/client.json")),
        ("sub", json!("https://other.example.com/client.json")),
        ("exp", json!(now - 120)),
        ("exp", json!(now + 3_600)),
        ("exp", json!(null)),
        ("nbf", json!(now + 600)),
        ("iat", json!(now + 600)),
        ("jti", json!(null)),
        ("jti", json!("")),
    ] {
        let mut claims = fixture.claims();
        claims[claim] = value;
        let assertion = fixture.key().sign(&fixture.key().header(), &claims);
        assert_eq!(fixture.refresh_error(&assertion).await, invalid_client(), "{claim}: {claims}");
    }
    for claim in ["iss", "sub", "aud", "exp", "jti"] {
        let mut claims = fixture.claims();
        claims.as_object_mut().unwrap().remove(claim);
        let assertion = fixture.key().sign(&fixture.key().header(), &claims);
        assert_eq!(fixture.refresh_error(&assertion).await, invalid_client(), "without {claim}");
    }
    let good = fixture.key().sign(&fixture.key().header(), &fixture.claims());
    assert_eq!(fixture.refresh_error(&good).await, authenticated());
}

#[tokio::test]
async fn an_assertion_for_the_token_endpoint_url_is_accepted_only_there() {
    let fixture = Fixture::new().await;
    let token_endpoint = format!("{}/auth/token", fixture.world.base_url);
    let assertion = || fixture.key().assertion(&fixture.client.id, &token_endpoint);
    assert_eq!(fixture.refresh_error(&assertion()).await, authenticated());
    let (token, assertion) = (("token", "x"), assertion());
    let form: Vec<_> = form(&fixture.client, &assertion).into_iter().chain([token]).collect();
    let response = http().post(fixture.world.url("/auth/revoke")).form(&form).send().await.unwrap();
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn an_unsigned_or_foreign_assertion_is_invalid_client() {
    let fixture = Fixture::new().await;
    let header = |changes: &[(&str, Value)]| {
        let mut header = fixture.key().header();
        for (name, value) in changes {
            header[name] = value.clone();
        }
        header
    };
    let foreign = Key::es256("1");
    let signed = |key: &Key, changes: &[(&str, Value)]| key.sign(&header(changes), &fixture.claims());
    let unsigned = signed(fixture.key(), &[("alg", json!("none"))]);
    let head = unsigned.rsplit_once('.').unwrap().0.to_owned();
    let mut wrong = vec![
        ("another key with the same kid", signed(&foreign, &[])),
        ("with its key in the header", signed(&foreign, &[("jwk", foreign.jwk())])),
        (
            "with a URL of its key",
            signed(&foreign, &[("jku", json!("https://client.example.com/jwks.json"))]),
        ),
        ("an unknown key", signed(&foreign, &[("kid", json!("2"))])),
        ("with alg none", unsigned.clone()),
        ("without a signature", format!("{head}.")),
        ("with another alg", signed(fixture.key(), &[("alg", json!("RS256"))])),
        ("with crit", signed(fixture.key(), &[("crit", json!(["exp"]))])),
        ("with another type", signed(fixture.key(), &[("typ", json!("at+jwt"))])),
        ("not a JWT", "a.b.c".to_owned()),
    ];
    let public = fixture.key().jwk().to_string();
    for secret in [public.as_bytes(), b""] {
        let input = signed(fixture.key(), &[("alg", json!("HS256"))]).rsplit_once('.').unwrap().0.to_owned();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
        mac.update(input.as_bytes());
        let tag = gateway::base::encoding::encode(mac.finalize().into_bytes());
        wrong.push(("HMAC with the public key", format!("{input}.{tag}")));
    }
    for (what, assertion) in wrong {
        assert_eq!(fixture.refresh_error(&assertion).await, invalid_client(), "{what}");
    }
}

#[tokio::test]
async fn an_assertion_works_once_on_every_replica() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let shared = matches!(store_kind, StoreKind::Redis);
        let (world, document_server) =
            World::with(store_kind, |site| site).await.with_document_server().await;
        let client = with_inline_key(&world, &document_server, Key::es256("1")).await;
        let assertion = client.key.as_ref().unwrap().assertion(&client.id, &world.base_url);
        let form = form(&client, &assertion);
        assert_eq!(posted(&world, &form).await, authenticated());
        assert_eq!(posted(&world, &form).await, invalid_client());
        if shared {
            let there =
                world.replica().request(Method::POST, "/auth/token").form(&form).send().await.unwrap();
            assert_eq!(there.status(), 401);
        }
    }
}

#[tokio::test]
async fn of_twenty_concurrent_uses_of_an_assertion_one_succeeds() {
    let fixture = Fixture::new().await;
    let assertion = fixture.key().assertion(&fixture.client.id, &fixture.world.base_url);
    let form: Vec<(String, String)> =
        form(&fixture.client, &assertion).into_iter().map(|(k, v)| (k.into(), v.into())).collect();
    let requests: Vec<_> = (0..20)
        .map(|_| tokio::spawn(http().post(fixture.world.url("/auth/token")).form(&form).send()))
        .collect();
    let mut accepted = 0;
    for request in requests {
        accepted += usize::from(request.await.unwrap().unwrap().status() == 400);
    }
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn an_assertion_names_the_client_and_excludes_other_credentials() {
    let fixture = Fixture::new().await;
    let fresh = || fixture.key().assertion(&fixture.client.id, &fixture.world.base_url);
    let id = &*fixture.client.id;
    let without = |assertion: &str, left_out: &str| {
        let form = form(&fixture.client, assertion).into_iter().filter(|(name, _)| *name != left_out);
        form.map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<Vec<_>>()
    };
    let post = async |form: Vec<(String, String)>, more: &[(&str, &str)]| {
        let mut form: Vec<(&str, &str)> = form.iter().map(|(k, v)| (&**k, &**v)).collect();
        form.extend(more);
        posted(&fixture.world, &form).await
    };
    assert_eq!(post(without(&fresh(), "client_id"), &[]).await, authenticated());
    let malformed = || (400, "invalid_request".to_owned());
    assert_eq!(post(without(&fresh(), "client_assertion_type"), &[]).await, malformed());
    assert_eq!(post(without(&fresh(), ""), &[("client_secret", "s")]).await, malformed());
    assert_eq!(post(without(&fresh(), ""), &[("client_assertion", &fresh())]).await, malformed());
    assert_eq!(post(without(&fresh(), "client_assertion"), &[]).await, invalid_client());
    let other = fixture.world.client(SERVER).await.id;
    assert_eq!(post(without(&fresh(), "client_id"), &[("client_id", &other)]).await, invalid_client());
    let header = http().post(fixture.world.url("/auth/token")).basic_auth(id, Some("s"));
    let response = header.form(&form(&fixture.client, &fresh())).send().await.unwrap();
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn an_assertion_is_rejected_for_a_client_with_another_method() {
    let (world, document_server) = World::start().await.with_document_server().await;
    let public = world.client(SERVER).await;
    let key = Key::es256("1");
    let assertion = key.assertion(&public.id, &world.base_url);
    assert_eq!(posted(&world, &form(&public, &assertion)).await, invalid_client());
    let client = with_inline_key(&world, &document_server, key).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", &*client.id)];
    assert_eq!(posted(&world, &form).await, invalid_client(), "authentication is required");
}
