//! `POST /auth/authorize`: a consent form works once, and each response removes the cookie of its page.

use crate::harness::{CALLBACK, StoreKind, World, http};
use gateway_standins::browser::{Browser, Page};
use gateway_standins::client::Client;
use gateway_standins::okta::Outage;
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Method, RequestBuilder, Response};
use std::collections::BTreeSet;
use std::time::Duration;
use url::Url;

const VERIFIER: &str = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";
const REPEATED: &str = "This page was submitted before.";

/// Consent page in a browser, with the values that post its form without that browser.
struct Form {
    browser: Browser,
    page: Page,
    cookie: String,
    sealed: String,
    action: String,
}

impl Form {
    async fn of(world: &World, client: &Client) -> Self {
        let mut browser = Browser::new();
        browser.stop_at(&client.redirect_uri);
        let url = client.authorize_url("xyz", VERIFIER, &[]).unwrap();
        Self::at(world, browser, &url).await
    }

    async fn at(world: &World, mut browser: Browser, url: &Url) -> Self {
        let page = browser.open(url.as_str()).await.unwrap().page().unwrap();
        let cookies = browser.cookies(&world.base_url).unwrap();
        let cookie =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let sealed = page.form_with("request").unwrap().value("request").unwrap().to_owned();
        let action = page.body.split_once("action=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        Self { browser, page, cookie, sealed, action }
    }

    fn fill(&self, request: RequestBuilder, decision: &str) -> RequestBuilder {
        self.fill_for(request, decision, "/mcp/raw/")
    }

    fn fill_for(&self, request: RequestBuilder, decision: &str, route: &str) -> RequestBuilder {
        let form = [("request", &*self.sealed), ("decision", decision), ("route", route)];
        request.header(COOKIE, &self.cookie).header("accept", "text/html").form(&form)
    }

    /// Posts the form with the original cookie of the page.
    async fn post(&self, world: &World, decision: &str) -> FormResponse {
        let request = http().post(world.url(&self.action));
        FormResponse::of(self.fill(request, decision).send().await.unwrap()).await
    }

    /// Name of the page's cookie.
    fn cookie_name(&self) -> &str {
        self.cookie.split('=').next().unwrap()
    }

    async fn click(&mut self, decision: &str) -> Page {
        let form = self.page.form_with("request").unwrap();
        self.browser.submit(form, &[], Some(decision)).await.unwrap().page().unwrap()
    }
}

struct FormResponse {
    status: u16,
    cookies: Vec<String>,
    body: String,
}

impl FormResponse {
    async fn of(response: Response) -> Self {
        assert!(response.headers().get(LOCATION).is_none(), "the response to a form is a page");
        let status = response.status().as_u16();
        let cookies = response.headers().get_all(SET_COOKIE).iter();
        let cookies = cookies.map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
        Self { status, cookies, body: response.text().await.unwrap() }
    }

    fn removes(&self, name: &str) -> bool {
        self.cookies.iter().any(|cookie| cookie.starts_with(&format!("{name}=; Path=/; Max-Age=0;")))
    }

    fn login_cookie(&self) -> Option<&str> {
        self.cookies.iter().map(|cookie| &**cookie).find(|cookie| cookie.starts_with("mcp-login-"))
    }

    fn is_repeated(&self) -> bool {
        self.status == 400 && self.body.contains("Please start again") && self.body.contains(REPEATED)
    }
}

/// Keys in Redis without the rate limit counters.
fn keys(world: &World) -> BTreeSet<String> {
    let keys = world.redis.as_ref().unwrap().command(&["KEYS", "mcp:*"]).unwrap();
    let keys = keys.lines().filter(|line| line.contains("mcp:") && !line.contains("mcp:count"));
    keys.filter(|key| !key.contains("mcp:format")).map(|key| key.trim().to_owned()).collect()
}

#[tokio::test]
async fn a_double_click_on_allow_starts_one_login() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = World::with(store_kind, |site| site).await;
        let client = world.client("/mcp/raw/echo").await;
        let mut form = Form::of(&world, &client).await;
        // Two concurrent clicks, then a third one after the first response.
        let (first, second) = tokio::join!(form.post(&world, "approve"), form.post(&world, "approve"));
        assert_eq!((first.status, second.status), (200, 200));
        assert_eq!(first.body, second.body, "the same page for the same login at Okta");
        assert!(first.login_cookie().is_some());
        assert_eq!(first.login_cookie(), second.login_cookie());
        form.click("approve").await;
        assert!(
            form.browser.cookies(&world.base_url).unwrap().iter().all(|(name, _)| name.contains("login"))
        );
        let okta = form.click("approve").await;
        let back = form.browser.sign_in(&okta, "alice").await.unwrap().stopped().unwrap();
        assert!(back.as_str().contains("code="), "{back}");
        if world.redis.is_some() {
            assert_eq!(keys(&world).iter().filter(|key| key.contains("mcp:login")).count(), 1);
        }
        assert!(form.post(&world, "approve").await.is_repeated(), "the login has ended");
    }
}

#[tokio::test]
async fn a_form_starts_one_login_across_replicas() {
    let world = World::with(StoreKind::Redis, |site| site).await;
    let replica = world.replica();
    let client = world.client("/mcp/raw/echo").await;
    let mut form = Form::of(&world, &client).await;
    let there = async |form: &Form| {
        FormResponse::of(
            form.fill(replica.request(Method::POST, &form.action), "approve").send().await.unwrap(),
        )
        .await
    };
    let (here, other) = (form.post(&world, "approve").await, there(&form).await);
    assert_eq!(here.login_cookie(), other.login_cookie());
    let before = keys(&world);
    for _ in 0..50 {
        assert_eq!(there(&form).await.status, 200);
    }
    assert_eq!(keys(&world), before, "fifty more requests store nothing");
    let okta = form.click("approve").await;
    form.browser.sign_in(&okta, "alice").await.unwrap().stopped().unwrap();
    let before = keys(&world);
    assert!(there(&form).await.is_repeated());
    assert_eq!(keys(&world), before, "a rejected form stores nothing");
}

#[tokio::test]
async fn a_denied_form_cannot_be_allowed_later() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let form = Form::of(&world, &client).await;
    for _ in 0..2 {
        let denied = form.post(&world, "deny").await;
        assert!(
            denied.status == 200 && denied.body.contains("error=access_denied"),
            "also after a double click"
        );
    }
    let allowed = form.post(&world, "approve").await;
    assert!(allowed.is_repeated(), "{}", allowed.body);
    assert_eq!(allowed.login_cookie(), None);
    assert!(world.okta.requests().iter().all(|request| !request.path.contains("authorize")));
}

#[tokio::test]
async fn a_later_denial_ends_the_login() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let mut form = Form::of(&world, &client).await;
    let okta = form.click("approve").await;
    let denied = form.post(&world, "deny").await;
    assert!(denied.body.contains("error=access_denied"), "{}", denied.body);
    let landed = form.browser.sign_in(&okta, "alice").await.unwrap().page().unwrap();
    assert_eq!(landed.status, 400, "the pending login returns no code");
    assert!(form.post(&world, "deny").await.is_repeated(), "an ended login cannot be denied");
}

#[tokio::test]
async fn two_clicks_for_different_servers_start_no_login() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let mut url = client.authorize_url("pick", VERIFIER, &[]).unwrap();
    let kept: Vec<_> =
        url.query_pairs().into_owned().filter(|(name, _)| name != "resource" && name != "scope").collect();
    url.query_pairs_mut().clear().extend_pairs(kept);
    let mut browser = Browser::new();
    browser.stop_at(CALLBACK);
    let form = Form::at(&world, browser, &url).await;
    let post = async |route| {
        let request = form.fill_for(http().post(world.url(&form.action)), "approve", route);
        FormResponse::of(request.send().await.unwrap()).await
    };
    assert_eq!(post("/mcp/raw/").await.status, 200);
    assert_eq!(post("/mcp/raw/").await.status, 200, "the same server again");
    assert!(post("/mcp/dice/").await.is_repeated());
    assert!(post("/mcp/raw/").await.is_repeated());
}

#[tokio::test]
async fn two_consent_pages_in_one_browser_are_independent() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let mut first = Form::of(&world, &client).await;
    let url = client.authorize_url("second", VERIFIER, &[]).unwrap();
    let second = first.browser.open(url.as_str()).await.unwrap().page().unwrap();
    let form = second.form_with("request").unwrap();
    first.browser.submit(form, &[], Some("deny")).await.unwrap();
    let okta = first.click("approve").await;
    assert!(
        first.browser.sign_in(&okta, "alice").await.unwrap().stopped().unwrap().as_str().contains("code=")
    );
}

#[tokio::test]
async fn a_submitted_form_is_remembered_until_it_expires() {
    let world = World::with_manual_clock(|site| site).await;
    let client = world.client("/mcp/raw/echo").await;
    let form = Form::of(&world, &client).await;
    form.post(&world, "deny").await;
    world.clock.advance(Duration::from_mins(8) - Duration::from_millis(1));
    assert!(form.post(&world, "approve").await.is_repeated());
    world.clock.advance(Duration::from_millis(1));
    let expired = form.post(&world, "approve").await;
    assert!(expired.status == 400 && expired.body.contains("open for too long"), "{}", expired.body);
    let [form, login] = [gateway::grants::FORM_TTL, gateway::grants::LOGIN_TTL];
    assert!(login >= form + Duration::from_mins(2), "also with a clock skew of two minutes between replicas");
}

#[tokio::test]
async fn every_form_response_removes_the_page_cookie() {
    let few = |site: crate::harness::SiteBuilder| site.set(|site| site.limits.consents = 7);
    let world = World::with_manual_clock(few).await;
    let client = world.client("/mcp/raw/echo").await;
    let fresh = async || Form::of(&world, &client).await;
    let check = |what: &str, form: &Form, response: &FormResponse, status: u16| {
        assert_eq!(response.status, status, "{what}: {}", response.body);
        assert!(response.removes(form.cookie_name()), "{what}: {:?}", response.cookies);
        assert_eq!(response.cookies.iter().filter(|cookie| cookie.contains("consent")).count(), 1, "{what}");
    };
    let form = fresh().await;
    check("allowed", &form, &form.post(&world, "approve").await, 200);
    let form = fresh().await;
    check("denied", &form, &form.post(&world, "deny").await, 200);
    check("submitted before", &form, &form.post(&world, "approve").await, 400);
    let form = fresh().await;
    let foreign =
        form.fill(http().post(world.url(&form.action)), "approve").header(ORIGIN, "https://evil.example");
    check("from elsewhere", &form, &FormResponse::of(foreign.send().await.unwrap()).await, 403);
    let form = fresh().await;
    let invalid_form = http().post(world.url(&form.action)).header(COOKIE, &form.cookie).body("request=x");
    check("no form", &form, &FormResponse::of(invalid_form.send().await.unwrap()).await, 400);
    let form = fresh().await;
    world.okta.outage(Outage::Refuse503);
    world.clock.advance(Duration::from_mins(7));
    check("an Okta outage", &form, &form.post(&world, "approve").await, 200);
    world.clock.advance(Duration::from_mins(1));
    check("expired", &form, &form.post(&world, "approve").await, 400);
    for _ in 0..7 {
        form.post(&world, "approve").await;
    }
    let form = fresh().await;
    check("too many", &form, &form.post(&world, "approve").await, 429);
    let without_id = form.fill(http().post(world.url("/auth/authorize")), "approve").send().await.unwrap();
    check("too many, without an id", &form, &FormResponse::of(without_id).await, 429);
}

#[tokio::test]
async fn the_stored_state_of_a_login_is_bounded() {
    let world = World::with(StoreKind::Redis, |site| site).await;
    let client = world.client("/mcp/raw/echo").await;
    let wide = "unknown:scope ".repeat(1_400) + "mcp:raw";
    let state = "s".repeat(2_048);
    let hint = "h".repeat(320);
    for (extra, most) in
        [(vec![("scope", &*wide)], 1_500), (vec![("login_hint", &*hint)], 1_700), (vec![], 3_400)]
    {
        let state = if extra.is_empty() { &*state } else { "short" };
        let mut url = client.authorize_url(state, VERIFIER, &[]).unwrap();
        let kept: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| name != "scope").collect();
        url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(extra);
        let form = Form::at(&world, Browser::new(), &url).await;
        assert_eq!(form.post(&world, "approve").await.status, 200);
        let redis = world.redis.as_ref().unwrap();
        let login = keys(&world).into_iter().find(|key| key.contains("mcp:login")).unwrap();
        let login = login.trim_start_matches(|c: char| c != 'm').trim_matches('"').to_owned();
        let length = redis.command(&["HSTRLEN", &login, "value"]).unwrap();
        let length: usize = length.trim().trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        assert!((100..most).contains(&length), "{length} bytes");
        redis.command(&["DEL", &login]).unwrap();
    }
}
