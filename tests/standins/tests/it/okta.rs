//! Tests of the stand-in Okta.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_standins::Time;
use gateway_standins::okta::{ClaimsIn, IdTokenFault, Okta, OktaOptions, Outage, RefreshTokens};
use serde_json::json;
use url::Url;

use super::org::{CALLBACK, Party, VERIFIER, browser, find, response, start};

#[tokio::test]
async fn a_login_at_the_org_server_yields_a_verifiable_id_token() {
    let (okta, party) = start(OktaOptions::default()).await;
    let mut browser = browser();
    let callback = party.login(&mut browser, "alice").await;
    assert_eq!(find(&callback, "state"), "a state & more");
    let (status, tokens) = party.redeem(find(&callback, "code")).await;
    assert_eq!(status, 200, "{tokens}");
    let claims = party.verified(tokens["id_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(claims["iss"], okta.url());
    assert_eq!(claims["aud"], "0oastandinclient0h7");
    assert_eq!(claims["nonce"], "n-1");
    assert_eq!(claims["name"], "Alice Andersson");
    assert_eq!(claims["email"], "alice@example.com");
    assert_eq!(claims["groups"], json!(["Engineering"]));
    assert!(claims["sub"].as_str().unwrap().starts_with("00u"));
    for claim in ["ver", "iat", "exp", "jti", "amr", "idp", "preferred_username", "auth_time", "at_hash"] {
        assert!(!claims[claim].is_null(), "{claim}");
    }
    let (status, info) = party.userinfo(tokens["access_token"].as_str().unwrap()).await;
    assert_eq!((status, &info["groups"], &info["sub"]), (200, &json!(["Engineering"]), &claims["sub"]));
}

#[tokio::test]
async fn a_code_works_once_and_for_a_minute() {
    let clock = Arc::new(AtomicU64::new(1_800_000_000));
    let read = Arc::clone(&clock);
    let time = Time::from_source(move || read.load(Ordering::Relaxed));
    let (_okta, party) = start(OktaOptions { time, ..OktaOptions::default() }).await;
    let callback = party.login(&mut browser(), "alice").await;
    assert_eq!(party.redeem(find(&callback, "code")).await.0, 200);
    assert_eq!(party.redeem(find(&callback, "code")).await.1["error"], "invalid_grant");
    let callback = party.login(&mut browser(), "alice").await;
    clock.fetch_add(60, Ordering::Relaxed);
    assert_eq!(party.redeem(find(&callback, "code")).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_second_login_in_the_same_browser_needs_no_input_unless_requested() {
    let (okta, party) = start(OktaOptions::default()).await;
    let mut browser = browser();
    party.login(&mut browser, "bob").await;
    let again = browser.open(&party.authorize_url(&[]).await).await.unwrap();
    assert!(!find(&response(again), "code").is_empty());
    let forced = party.authorize_url(&[("prompt", "login"), ("login_hint", "carol@example.com")]).await;
    let page = browser.open(&forced).await.unwrap().page().unwrap();
    assert_eq!(page.forms[0].value("username"), Some("carol@example.com"));
    browser.open(&format!("{}/login/signout", okta.url())).await.unwrap();
    assert!(browser.cookies(okta.url()).unwrap().is_empty());
    let none = browser.open(&party.authorize_url(&[("prompt", "none")]).await).await.unwrap();
    assert_eq!(find(&response(none), "error"), "login_required");
    let requests = okta.requests().into_iter().filter(|request| request.path == "/oauth2/v1/authorize");
    let prompts: Vec<_> = requests.map(|request| request.field("prompt").map(str::to_owned)).collect();
    assert_eq!(prompts, [None, None, Some("login".to_owned()), Some("none".to_owned())]);
}

#[tokio::test]
async fn custom_servers_have_no_groups_scope_but_may_have_the_claim() {
    let (okta, mut party) = start(OktaOptions::default()).await;
    party.issuer = okta.custom_issuer("default");
    let refused = browser().open(&party.authorize_url(&[]).await).await.unwrap();
    assert_eq!(find(&response(refused), "error"), "invalid_scope");
    party.scope = "openid profile email offline_access";
    let claims = claims(&party).await;
    assert_eq!(claims["iss"], okta.custom_issuer("default"));
    assert_eq!(claims["groups"], json!(["Engineering"]));
    party.issuer = okta.custom_issuer("ausUnknown");
    assert_eq!(party.metadata().await["errorCode"], "E0000007");
}

#[tokio::test]
async fn a_minimal_id_token_leaves_groups_to_userinfo() {
    let (_okta, party) = start(OktaOptions { claims_in: ClaimsIn::UserInfo, ..OktaOptions::default() }).await;
    let tokens = party.tokens("alice").await;
    let claims = party.verified(tokens["id_token"].as_str().unwrap()).await.unwrap();
    assert!(claims["groups"].is_null());
    let (_, info) = party.userinfo(tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(info["groups"], json!(["Engineering"]));
}

#[tokio::test]
async fn okta_errors_have_their_real_format() {
    let (okta, mut party) = start(OktaOptions::default()).await;
    okta.refuse_assignment("bob");
    let callback = party.login(&mut browser(), "bob").await;
    assert_eq!(find(&callback, "error"), "access_denied");
    assert_eq!(find(&callback, "error_description"), "User is not assigned to the client application.");
    okta.suspend("alice");
    let mut browser = browser();
    let page = party.login_page(&mut browser).await;
    let refused = browser.sign_in(&page, "alice").await.unwrap().page().unwrap();
    assert!(refused.status == 401 && refused.body.contains("Unable to sign in"));
    let altered_url = party.authorize_url(&[]).await.replace("callback", "callback2");
    assert_eq!(browser.open(&altered_url).await.unwrap().page().unwrap().status, 400);
    "wrong".clone_into(&mut party.secret);
    let (status, body) = party.redeem("x").await;
    assert_eq!((status, &body["error"]), (401, &json!("invalid_client")));
}

#[tokio::test]
async fn a_refresh_token_ends_with_its_user() {
    let (okta, party) = start(OktaOptions::default()).await;
    let tokens = party.tokens("carol").await;
    let token = tokens["refresh_token"].as_str().unwrap();
    okta.set_groups("carol", &["Support"]);
    let (_, refreshed) = party.refresh(token).await;
    assert_eq!(refreshed["refresh_token"], token);
    let claims = party.verified(refreshed["id_token"].as_str().unwrap()).await.unwrap();
    assert_eq!((&claims["groups"], &claims["nonce"]), (&json!(["Support"]), &json!(null)));
    okta.suspend("carol");
    assert_eq!(party.refresh(token).await.1["error"], "invalid_grant");
    okta.unsuspend("carol");
    assert_eq!(party.refresh(token).await.0, 200);
    okta.revoke_refresh_tokens();
    assert_eq!(party.refresh(token).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn rotation_has_a_grace_period_and_later_reuse_revokes() {
    let clock = Arc::new(AtomicU64::new(1_800_000_000));
    let read = Arc::clone(&clock);
    let time = Time::from_source(move || read.load(Ordering::Relaxed));
    let refresh_tokens = RefreshTokens::Rotating { grace: 30 };
    let (_okta, party) = start(OktaOptions { time, refresh_tokens, ..OktaOptions::default() }).await;
    let first = party.tokens("alice").await["refresh_token"].as_str().unwrap().to_owned();
    let second = party.refresh(&first).await.1["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(party.refresh(&first).await.1["refresh_token"], second);
    clock.fetch_add(31, Ordering::Relaxed);
    assert_eq!(party.refresh(&first).await.0, 400);
    assert_eq!(party.refresh(&second).await.0, 400);
}

#[tokio::test]
async fn refresh_tokens_can_be_omitted_or_rejected() {
    let withheld = OktaOptions { refresh_tokens: RefreshTokens::Withheld, ..OktaOptions::default() };
    assert!(start(withheld).await.1.tokens("alice").await["refresh_token"].is_null());
    let refused = OktaOptions { refresh_tokens: RefreshTokens::Refused, ..OktaOptions::default() };
    let (_okta, party) = start(refused).await;
    let callback = response(browser().open(&party.authorize_url(&[]).await).await.unwrap());
    assert_eq!(find(&callback, "error"), "invalid_scope");
}

#[tokio::test]
async fn rotated_keys_sign_under_a_new_kid_that_the_jwks_has() {
    let (okta, party) = start(OktaOptions::default()).await;
    let before = party.tokens("alice").await["id_token"].as_str().unwrap().to_owned();
    okta.rotate_keys();
    okta.add_foreign_key_to_jwks();
    let after = party.tokens("alice").await["id_token"].as_str().unwrap().to_owned();
    assert_ne!(before.split('.').next(), after.split('.').next());
    assert!(party.verified(&before).await.is_some());
    assert!(party.verified(&after).await.is_some());
    let kinds: Vec<_> = party.jwks().await.iter().map(|key| key["kty"].clone()).collect();
    assert_eq!(kinds, ["OKP", "FUTURE", "RSA", "RSA", "EC"]);
}

#[tokio::test]
async fn each_id_token_fault_alters_its_claim() {
    let (okta, party) = start(OktaOptions::default()).await;
    let invalid_signatures = [
        IdTokenFault::AlgNone,
        IdTokenFault::Hs256,
        IdTokenFault::Hs256WithPublicKey,
        IdTokenFault::ForeignKey,
        IdTokenFault::UnknownKid,
        IdTokenFault::BrokenSignature,
    ];
    for fault in invalid_signatures {
        okta.id_token_fault(Some(fault));
        let tokens = party.tokens("alice").await;
        assert!(party.verified(tokens["id_token"].as_str().unwrap()).await.is_none(), "{fault:?}");
    }
    let expected = [
        (IdTokenFault::WrongIssuer, "iss", json!("https://evil.example.com")),
        (IdTokenFault::WrongAudience, "aud", json!("0oasomeoneelse")),
        (IdTokenFault::ExtraAudience, "aud", json!(["0oastandinclient0h7", "0oasomeoneelse"])),
        (IdTokenFault::WrongNonce, "nonce", json!("another-nonce")),
        (IdTokenFault::NoNonce, "nonce", json!(null)),
        (IdTokenFault::NoExp, "exp", json!(null)),
        (IdTokenFault::HugeExp, "exp", json!(i64::MAX)),
        (IdTokenFault::NoSubject, "sub", json!(null)),
    ];
    for (fault, claim, value) in expected {
        okta.id_token_fault(Some(fault));
        assert_eq!(claims(&party).await[claim], value, "{fault:?}");
    }
    okta.id_token_fault(Some(IdTokenFault::Missing));
    assert!(party.tokens("alice").await["id_token"].is_null());
}

#[tokio::test]
async fn an_outage_affects_all_or_one_endpoint() {
    let (okta, party) = start(OktaOptions::default()).await;
    let tokens = party.tokens("alice").await;
    let access_token = tokens["access_token"].as_str().unwrap();
    okta.outage_at("/v1/userinfo", Outage::RateLimited429);
    let (status, body) = party.userinfo(access_token).await;
    assert_eq!((status, &body["errorCode"]), (429, &json!("E0000047")));
    okta.outage_at("/v1/userinfo", Outage::Refuse503);
    assert_eq!(party.userinfo(access_token).await.0, 503);
    okta.outage_at("/v1/userinfo", Outage::None);
    assert_eq!(party.userinfo(access_token).await.0, 200);
    okta.outage(Outage::Hang);
    let url = format!("{}/oauth2/v1/keys", okta.url());
    let hanging = tokio::spawn(reqwest::get(url));
    assert!(okta.wait_for_request("/v1/keys").await.is_some());
    assert!(!hanging.is_finished());
    let issuer = okta.url().to_owned();
    okta.stop().await;
    assert!(hanging.await.unwrap().is_err());
    assert!(reqwest::get(&issuer).await.is_err());
    let options =
        OktaOptions { port: Url::parse(&issuer).unwrap().port().unwrap(), ..OktaOptions::default() };
    assert_eq!(Okta::start(options).await.unwrap().url(), issuer);
}

#[tokio::test]
async fn a_request_takes_effect_also_when_its_response_is_late_or_lost() {
    let (okta, party) = start(OktaOptions::default()).await;
    let keys = format!("{}/oauth2/v1/keys", okta.url());
    let late = Duration::from_millis(300);
    okta.outage(Outage::Late(late));
    let started = Instant::now();
    assert_eq!(reqwest::get(&keys).await.unwrap().status(), 200);
    assert!(started.elapsed() >= late);
    let callback = party.login(&mut browser(), "alice").await;
    okta.outage(Outage::Lost);
    assert!(reqwest::get(&keys).await.is_err(), "the connection breaks");
    let code = find(&callback, "code");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let endpoint = format!("{}/oauth2/v1/token", okta.url());
    let app = OktaOptions::default();
    let lost = reqwest::Client::new().post(endpoint).basic_auth(app.client_id, Some(app.client_secret));
    assert!(lost.form(&form).send().await.is_err());
    okta.outage(Outage::None);
    assert_eq!(party.redeem(code).await.1["error"], "invalid_grant", "the code was used before");
}

#[tokio::test]
async fn an_app_with_keys_signs_its_requests_and_each_assertion_works_once() {
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    let random = ring::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": encode(x), "y": encode(y)});
    let (okta, party) = start(OktaOptions { client_jwks: vec![jwk], ..OktaOptions::default() }).await;
    let now = Time::default().now();
    let assertion = |audience: &str, jti: &str| {
        let id = OktaOptions::default().client_id;
        let claims = json!({"iss": id, "sub": id, "aud": audience, "exp": now + 60, "jti": jti});
        let header = json!({"alg": "ES256", "kid": "k"});
        let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = pair.sign(&random, input.as_bytes()).unwrap();
        format!("{input}.{}", encode(signature.as_ref()))
    };
    let endpoint = format!("{}/oauth2/v1/token", okta.url());
    let good = assertion(&endpoint, "1");
    let error = async |assertion: &str| party.assert(assertion).await["error"].clone();
    assert_eq!(error(&good).await, "invalid_grant");
    assert_eq!(error(&good).await, "invalid_client");
    assert_eq!(error(&assertion(okta.url(), "2")).await, "invalid_client");
    let forged = assertion(&endpoint, "3").replace("eyJhbGciOiJFUzI1NiIs", "eyJhbGciOiJub25lIiwg");
    assert_eq!(error(&forged).await, "invalid_client");
    assert_eq!(party.redeem("x").await.1["error"], "invalid_client");
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

async fn claims(party: &Party) -> serde_json::Value {
    let tokens = party.tokens("alice").await;
    party.verified(tokens["id_token"].as_str().unwrap()).await.unwrap()
}
