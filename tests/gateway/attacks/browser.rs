//! Attacks on the user's browser: forged requests, injected cookies, frames (RFC 9700 §4.7, §4.16; MCP: confused
//! deputy).

use super::{TARGET, VERIFIER, approve, client_at, consent_page, parameter};
use crate::harness::{World, http};
use gateway_standins::browser::{Browser, Landing};
use gateway_standins::client::{Client, Login};
use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use url::Url;

/// Callback URL of a login that `browser` started; the gateway does not receive it.
async fn callback(world: &World, client: &Client, browser: &mut Browser, username: &str) -> Url {
    let page = consent_page(client, browser, "state").await;
    let okta = approve(browser, &page).await;
    browser.stop_at(&world.url("/auth/callback"));
    browser.sign_in(&okta, username).await.unwrap().stopped().unwrap()
}

fn cookies(browser: &Browser, world: &World) -> String {
    let pairs = browser.cookies(&world.base_url).unwrap();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn a_callback_url_of_the_attacker_does_not_log_the_victim_in() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    let attacker_callback = callback(&world, &client, &mut Browser::new(), "bob").await;
    // The victim's browser has a login cookie of its own.
    let mut victim = Browser::new();
    let page = consent_page(&client, &mut victim, "state").await;
    approve(&mut victim, &page).await;
    let page = victim.open(attacker_callback.as_str()).await.unwrap().page().unwrap();
    assert_eq!(page.status, 403);
    assert!(page.body.contains("another browser"), "{}", page.body);
}

#[tokio::test]
async fn a_callback_state_works_once_and_an_unknown_state_is_rejected() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    let mut browser = Browser::new();
    let url = callback(&world, &client, &mut browser, "alice").await;
    let header = cookies(&browser, &world);
    let open = |url: Url| http().get(url).header(COOKIE, &header).send();
    assert_eq!(open(url.clone()).await.unwrap().status(), 302);
    assert_eq!(open(url.clone()).await.unwrap().status(), 400, "a second time");
    let (code, state) = (parameter(&url, "code").unwrap(), parameter(&url, "state").unwrap());
    for query in [
        format!("code={code}"),
        format!("code={code}&state="),
        format!("code={code}&state={state}&state={state}"),
        format!("code={code}&state={}", "A".repeat(43)),
        format!("code={code}&state={state}%00"),
        format!("error=access_denied&state={state}"),
    ] {
        let url = Url::parse(&world.url(&format!("/auth/callback?{query}"))).unwrap();
        let status = open(url).await.unwrap().status();
        assert_eq!(status, 400, "{query}");
    }
}

#[tokio::test]
async fn the_cookie_of_another_login_is_rejected() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    let (mut attacker, mut victim) = (Browser::new(), Browser::new());
    let attacker_callback = callback(&world, &client, &mut attacker, "bob").await;
    let _own = callback(&world, &client, &mut victim, "alice").await;
    // Cookie injection: the cookie name that the attacker's state requires, with the value of the victim's login.
    let pairs = attacker.cookies(&world.base_url).unwrap();
    let (name, _) = pairs.iter().find(|(name, _)| name.contains("mcp-login")).unwrap();
    let own = victim.cookies(&world.base_url).unwrap();
    let (_, value) = own.iter().find(|(name, _)| name.contains("mcp-login")).unwrap();
    let request = http().get(attacker_callback).header(COOKIE, format!("{name}={value}"));
    assert_eq!(request.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_cross_site_consent_post_is_rejected_even_with_a_form_token_of_the_attacker() {
    let world = World::start().await;
    let client = client_at(&world, "https://evil.example.com/cb").await;
    let mut attacker = Browser::new();
    let page = consent_page(&client, &mut attacker, "state").await;
    let request = page.form_with("request").unwrap().value("request").unwrap().to_owned();
    let cookie_header = cookies(&attacker, &world);
    let form = [("request", &*request), ("decision", "approve")];
    let post = || http().post(world.url("/auth/authorize")).form(&form);
    assert_eq!(post().send().await.unwrap().status(), 403, "without the cookie of the page");
    for origin in ["https://evil.example.com", "null", "http://localhost:9", "https://localhost"] {
        // Even with an injected cookie, the `Origin` header shows that the request is cross-site.
        let response = post().header(COOKIE, &cookie_header).header(ORIGIN, origin).send().await.unwrap();
        assert_eq!(response.status(), 403, "{origin}");
    }
    assert!(world.okta.requests().is_empty());
    let own = post().header(COOKIE, &cookie_header).header(ORIGIN, &world.base_url).send().await.unwrap();
    assert_eq!(own.status(), 200, "the same form from its own page");
}

#[tokio::test]
async fn a_consent_form_is_bound_to_its_page() {
    let world = World::start().await;
    let client = client_at(&world, "https://evil.example.com/cb").await;
    let (mut attacker, mut victim) = (Browser::new(), Browser::new());
    let attacker_page = consent_page(&client, &mut attacker, "state").await;
    let victim_page = consent_page(&world.client(TARGET).await, &mut victim, "state").await;
    assert!(victim_page.form_with("request").is_some());
    // The victim's browser only has the cookie of its own page.
    let refused =
        victim.submit(attacker_page.form_with("request").unwrap(), &[], Some("approve")).await.unwrap();
    assert_eq!(refused.page().unwrap().status, 403);
}

#[tokio::test]
async fn an_altered_or_foreign_consent_request_is_rejected() {
    let (world, other) = (World::start().await, World::start().await);
    let mut browser = Browser::new();
    let page = consent_page(&world.client(TARGET).await, &mut browser, "state").await;
    let sealed = page.form_with("request").unwrap().value("request").unwrap().to_owned();
    let foreign = consent_page(&other.client(TARGET).await, &mut Browser::new(), "state").await;
    let foreign = foreign.form_with("request").unwrap().value("request").unwrap().to_owned();
    let mut altered = sealed.clone().into_bytes();
    let middle = altered.len() / 2;
    altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    for request in ["", "x", &altered, &foreign, &sealed[..sealed.len() - 4]] {
        let form = [("request", request), ("decision", "approve")];
        let post =
            http().post(world.url("/auth/authorize")).form(&form).header(COOKIE, cookies(&browser, &world));
        assert_eq!(post.send().await.unwrap().status(), 400);
    }
}

#[tokio::test]
async fn an_okta_session_does_not_replace_consent() {
    let world = World::start().await;
    let mut victim = Browser::new();
    let trusted_client = client_at(&world, "https://claude.ai/api/mcp/auth_callback").await;
    trusted_client.authorize(&mut victim, &Login::of("alice")).await.unwrap();
    // Alice now has an Okta session and a gateway cookie. Another client still needs consent, even with the same
    // redirect URI.
    for uri in
        ["https://evil.example.com/cb", "https://claude.ai/api/mcp/auth_callback", "http://localhost:1/cb"]
    {
        let attacker_client = client_at(&world, uri).await;
        world.okta.wait_for_request("/oauth2/v1/authorize").await.unwrap();
        let requests_before = world.okta.requests().len();
        let url = attacker_client.authorize_url("state", VERIFIER, &[]).unwrap();
        victim.stop_at(uri);
        let landing = victim.open(url.as_str()).await.unwrap();
        assert!(matches!(&landing, Landing::Page(page) if page.form_with("request").is_some()), "{uri}");
        assert_eq!(world.okta.requests().len(), requests_before, "{uri}: no request to Okta before consent");
    }
}

#[tokio::test]
async fn a_remembered_consent_cookie_is_ignored_and_removed() {
    let world = World::start().await;
    let client = client_at(&world, "https://claude.ai/api/mcp/auth_callback").await;
    let url = client.authorize_url("state", VERIFIER, &[]).unwrap();
    let cookies = "mcp-remembered-AbCdEfGhIjKlMnOp=x; other=y; mcp-remembered-b=";
    let response = http().get(url).header(COOKIE, cookies).send().await.unwrap();
    assert_eq!(response.status(), 200, "the consent page is shown");
    let set: Vec<&str> = response.headers().get_all(SET_COOKIE).iter().map(|v| v.to_str().unwrap()).collect();
    for name in ["mcp-remembered-AbCdEfGhIjKlMnOp", "mcp-remembered-b"] {
        assert!(
            set.iter().any(|cookie| cookie.starts_with(&format!("{name}=; Path=/; Max-Age=0"))),
            "{set:?}"
        );
    }
    assert_eq!(set.len(), 3, "{set:?}");
}

#[tokio::test]
async fn the_login_cookie_is_set_only_after_consent() {
    let world = World::start().await;
    let client = world.client(TARGET).await;
    let url = client.authorize_url("state", VERIFIER, &[]).unwrap();
    let response = http().get(url).send().await.unwrap();
    let set: Vec<&str> = response.headers().get_all(SET_COOKIE).iter().map(|v| v.to_str().unwrap()).collect();
    assert!(set.iter().all(|cookie| cookie.starts_with("mcp-consent-")), "{set:?}");
    for cookie in set {
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"));
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}

#[tokio::test]
async fn pages_cannot_be_framed_and_run_no_scripts() {
    let world = World::start().await;
    let client = client_at(&world, "https://evil.example.com/cb").await;
    let consent = client.authorize_url("state", VERIFIER, &[]).unwrap();
    let faulty = consent.as_str().replace("S256", "plain");
    let unknown = world.url("/auth/authorize?client_id=unknown");
    for url in
        [consent.as_str(), &faulty, &unknown, &world.url("/auth/callback?state=x&code=y"), &world.url("/")]
    {
        let response = http().get(url).header("accept", "text/html").send().await.unwrap();
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]
        {
            assert!(policy.contains(part), "{url}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
        assert_eq!(response.headers()["x-frame-options"], "DENY", "{url}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{url}");
    }
}

#[tokio::test]
async fn cookies_on_https_have_the_host_prefix() {
    use gateway::app::cookies::{Cookie, Kind};
    for kind in [Kind::Consent, Kind::Login] {
        let cookie = Cookie::new(kind, "id", true).set("value", std::time::Duration::from_mins(1));
        assert!(cookie.starts_with("__Host-") && cookie.ends_with("; Secure"), "{cookie}");
        assert!(cookie.contains("; Path=/;") && !cookie.contains("Domain"), "{cookie}");
    }
}
