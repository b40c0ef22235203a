//! The login: consent page, Okta, callback, client.

use crate::harness::{CALLBACK, StoreKind, World};
use gateway_standins::browser::{Browser, Page};
use gateway_standins::client::{Client, Decision, Login};
use gateway_standins::okta::{OktaOptions, Outage, RefreshTokens};
use url::Url;

/// Opens the consent page of a new authorization request.
pub(crate) async fn consent_page(client: &Client, browser: &mut Browser, state: &str) -> Page {
    let url = client.authorize_url(state, &"v".repeat(43), &[]).unwrap();
    browser.stop_at(CALLBACK);
    browser.open(url.as_str()).await.unwrap().page().unwrap()
}

/// Approves; returns the page that redirects to Okta.
pub(crate) async fn approve(browser: &mut Browser, page: &Page) -> Page {
    let form = page.form_with("request").unwrap();
    browser.submit(form, &[], Some("approve")).await.unwrap().page().unwrap()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn two_logins_in_one_browser_are_independent() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let mut browser = Browser::new();
    let first = consent_page(&client, &mut browser, "first").await;
    let second = consent_page(&client, &mut browser, "second").await;
    let first = approve(&mut browser, &first).await;
    let second = approve(&mut browser, &second).await;
    let second = browser.sign_in(&second, "alice").await.unwrap().stopped().unwrap();
    let first = browser.sign_in(&first, "alice").await.unwrap().stopped().unwrap();
    assert_eq!(parameter(&first, "state").as_deref(), Some("first"));
    assert_eq!(parameter(&second, "state").as_deref(), Some("second"));
    assert_ne!(parameter(&first, "code"), parameter(&second, "code"));
}

#[tokio::test]
async fn a_denied_consent_is_access_denied_without_a_request_to_okta() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let login = Login { decision: Decision::Deny, ..Login::of("alice") };
    let error = client.authorize(&mut Browser::new(), &login).await.unwrap_err().to_string();
    assert!(error.starts_with("access_denied"), "{error}");
    assert!(world.okta.requests().is_empty());
}

#[tokio::test]
async fn an_okta_rejection_is_access_denied_with_oktas_message() {
    let world = World::start().await;
    world.okta.refuse_assignment("bob");
    let client = world.client("/mcp/dice/mcp").await;
    let error = client.authorize(&mut Browser::new(), &Login::of("bob")).await.unwrap_err().to_string();
    assert!(error.starts_with("access_denied"), "{error}");
    assert!(error.contains("not assigned"), "{error}");
}

#[tokio::test]
async fn a_server_error_of_okta_is_temporarily_unavailable() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let mut browser = Browser::new();
    browser.stop_at(CALLBACK);
    let page = consent_page(&client, &mut browser, "xyz").await;
    let okta = approve(&mut browser, &page).await;
    let (_, state) = okta.url.query_pairs().find(|(name, _)| name == "state").unwrap();
    let callback_url =
        world.url(&format!("/auth/callback?error=server_error&error_description=Oops&state={state}"));
    let back = browser.open(&callback_url).await.unwrap().stopped().unwrap();
    let parameter_of = |name: &str| back.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    assert_eq!((&*parameter_of("error"), &*parameter_of("state")), ("temporarily_unavailable", "xyz"));
    assert!(
        parameter_of("error_description").starts_with("Okta could not sign you in: Oops. Try again later")
    );
}

#[tokio::test]
async fn a_callback_works_once_and_only_in_the_browser_that_consented() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let mut victim = Browser::new();
    let page = consent_page(&client, &mut victim, "xyz").await;
    let okta = approve(&mut victim, &page).await;
    let mut attacker = Browser::new();
    attacker.stop_at(&world.url("/auth/callback"));
    let callback = attacker.sign_in(&okta, "alice").await.unwrap().stopped().unwrap();
    let page = Browser::new().open(callback.as_str()).await.unwrap().page().unwrap();
    assert!(page.body.contains("another browser"), "{}", page.body);
}

#[tokio::test]
async fn a_browser_that_blocks_cookies_is_told_so_at_the_consent_page_and_after_okta() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let mut browser = Browser::new();
    let consent = consent_page(&client, &mut browser, "xyz").await;
    browser.clear_cookies();
    let form = consent.form_with("request").unwrap();
    let refused = browser.submit(form, &[], Some("approve")).await.unwrap().page().unwrap();
    assert_asks_for_cookies(&refused);
    let consent = consent_page(&client, &mut browser, "xyz").await;
    let okta = approve(&mut browser, &consent).await;
    browser.clear_cookies();
    let refused = browser.sign_in(&okta, "alice").await.unwrap().page().unwrap();
    assert_asks_for_cookies(&refused);
}

fn assert_asks_for_cookies(page: &Page) {
    assert_eq!(page.status, 403);
    for words in ["sent no cookie of this gateway", "Allow cookies for this site", "<b>Authenticate</b>"] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
}

#[tokio::test]
async fn a_browser_with_other_cookies_is_not_told_that_it_blocks_them() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let consent = consent_page(&client, &mut Browser::new(), "one").await;
    let mut other = Browser::new();
    consent_page(&client, &mut other, "two").await;
    let form = consent.form_with("request").unwrap();
    let refused = other.submit(form, &[], Some("approve")).await.unwrap().page().unwrap();
    assert_eq!(refused.status, 403);
    assert!(!refused.body.contains("Allow cookies"), "{}", refused.body);
}

#[tokio::test]
async fn a_consent_form_without_its_cookie_or_from_another_site_is_rejected() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let page = consent_page(&client, &mut Browser::new(), "xyz").await;
    let form = page.form_with("request").unwrap();
    let refused = Browser::new().submit(form, &[], Some("approve")).await.unwrap().page().unwrap();
    assert_eq!(refused.status, 403);
    let sealed = form.value("request").unwrap();
    let cross_site = crate::harness::http()
        .post(world.url("/auth/authorize"))
        .header("origin", "https://evil.example.com")
        .form(&[("request", sealed), ("decision", "approve")])
        .send();
    assert_eq!(cross_site.await.unwrap().status(), 403);
    assert!(world.okta.requests().is_empty());
}

#[tokio::test]
async fn okta_authorization_requests_have_no_prompt_and_groups_only_at_the_org_server() {
    let world = World::start().await;
    let client = world.client("/mcp/dice/mcp").await;
    let extra = [("prompt", "consent"), ("login_hint", "alice@example.com")];
    let login = Login { extra: &extra, ..Login::of("alice") };
    client.authorize(&mut Browser::new(), &login).await.unwrap();
    let okta_request = world.okta.wait_for_request("/oauth2/v1/authorize").await.unwrap();
    assert_eq!(okta_request.field("prompt"), None);
    assert_eq!(okta_request.field("login_hint"), Some("alice@example.com"));
    assert_eq!(okta_request.field("code_challenge_method"), Some("S256"));
    assert!(okta_request.field("scope").unwrap().split(' ').any(|scope| scope == "groups"));
}

#[tokio::test]
async fn a_custom_authorization_server_works_too() {
    let custom = |site: crate::harness::SiteBuilder| {
        let server = gateway_routes::AuthorizationServer::Custom("default");
        site.set(move |site| site.okta.authorization_server = server)
    };
    let world = World::with(StoreKind::Embedded, custom).await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "carol").await;
    assert!(tokens.refresh_token.is_some());
    let okta_request = world.okta.wait_for_request("/oauth2/default/v1/authorize").await.unwrap();
    assert!(
        !okta_request.field("scope").unwrap().contains("groups"),
        "custom servers reject undefined scopes"
    );
}

#[tokio::test]
async fn without_an_okta_refresh_token_none_is_issued() {
    let options = OktaOptions { refresh_tokens: RefreshTokens::Withheld, ..OktaOptions::default() };
    let world = World::with_okta(options, StoreKind::Embedded, |site| site).await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    assert_eq!(tokens.refresh_token, None);
}

#[tokio::test]
async fn logins_work_after_okta_rotates_its_keys() {
    let world = World::start().await;
    world.sign_in("/mcp/raw/echo", "alice").await;
    world.okta.rotate_keys();
    world.okta.add_foreign_key_to_jwks();
    world.sign_in("/mcp/raw/echo", "alice").await;
}

#[tokio::test]
async fn an_okta_outage_during_a_login_is_reported_and_temporary() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    world.okta.outage(Outage::Refuse503);
    let error = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap_err().to_string();
    assert!(error.starts_with("temporarily_unavailable"), "{error}");
    world.okta.outage(Outage::None);
    let code = retry(&client).await;
    assert!(code, "a login after the outage failed");
}

/// For a second after a failure Okta is not called, so the first attempts may fail.
async fn retry(client: &Client) -> bool {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::time::Instant::now() < deadline {
        if client.authorize(&mut Browser::new(), &Login::of("alice")).await.is_ok() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn consent_is_required_at_every_login() {
    let world = World::start().await;
    let discovered = world.client("/mcp/raw/echo").await.discovered;
    for redirect in [
        "https://claude.ai/api/mcp/auth_callback",
        "https://localhost:8443/cb",
        "https://127.0.0.1/cb",
        "https://[::1]/cb",
        "https://app.localhost/cb",
        "cursor://anysphere.cursor-mcp/cb",
        CALLBACK,
    ] {
        let client = discovered.register("Claude", "none", redirect).await.unwrap();
        let mut browser = Browser::new();
        let code = client.authorize(&mut browser, &Login::of("alice")).await.unwrap();
        client.redeem(&code).await.unwrap();
        assert!(
            browser.cookies(&world.base_url).unwrap().is_empty(),
            "{redirect}: no cookie remembers the consent"
        );
        world.okta.wait_for_request("/oauth2/v1/authorize").await.unwrap();
        let requests_before = world.okta.requests().len();
        let page = consent_page(&client, &mut browser, "again").await;
        assert!(page.form_with("request").is_some(), "{redirect}");
        assert_eq!(
            world.okta.requests().len(),
            requests_before,
            "{redirect}: no request to Okta before consent"
        );
    }
}

#[tokio::test]
async fn consent_is_required_again_after_a_revocation() {
    let world = World::start().await;
    let discovered = world.client("/mcp/raw/echo").await.discovered;
    let client = discovered.register("Claude", "none", "https://claude.ai/cb").await.unwrap();
    let mut browser = Browser::new();
    let code = client.authorize(&mut browser, &Login::of("alice")).await.unwrap();
    let tokens = client.redeem(&code).await.unwrap();
    let form = [("token", &*tokens.access_token), ("client_id", &client.id)];
    let revoked = crate::harness::http().post(world.url("/auth/revoke")).form(&form).send().await.unwrap();
    assert_eq!(revoked.status(), 200);
    let page = consent_page(&client, &mut browser, "again").await;
    assert!(page.form_with("request").is_some());
}

#[tokio::test]
async fn the_user_selects_the_server_when_the_client_names_none() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let mut url = client.authorize_url("pick", &"v".repeat(43), &[]).unwrap();
    let named = |name: &str| name == "resource" || name == "scope";
    let kept: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| !named(name)).collect();
    url.query_pairs_mut().clear().extend_pairs(kept);
    let mut browser = Browser::new();
    browser.stop_at(CALLBACK);
    let page = browser.open(url.as_str()).await.unwrap().page().unwrap();
    let form = page.form_with("request").unwrap();
    let again = browser.submit(form, &[], Some("approve")).await.unwrap().page().unwrap();
    assert_eq!(again.status, 400);
    let form = again.form_with("request").unwrap();
    let okta =
        browser.submit(form, &[("route", "/mcp/raw/")], Some("approve")).await.unwrap().page().unwrap();
    let done = browser.sign_in(&okta, "alice").await.unwrap().stopped().unwrap();
    assert!(parameter(&done, "code").is_some());
}
