//! The number of the gateway's cookies in a browser is bounded, so that a proxy in front does not reject its
//! requests.

use crate::harness::{World, http};
use crate::login::{approve, consent_page};
use gateway_standins::browser::{Browser, Page};
use reqwest::header::{COOKIE, SET_COOKIE};

/// Below the 8 KiB that nginx accepts for one header by default (`large_client_header_buffers`).
const MAX_HEADER_BYTES: usize = 4 * 1024;

/// Completes the last eight of the 130 logins; each of them gets its own code.
async fn assert_logins_work(browser: &mut Browser, logins: &[Page]) {
    assert_eq!(logins.len(), 8);
    for (okta, number) in logins.iter().zip(122..) {
        let done = browser.sign_in(okta, "alice").await.unwrap().stopped().unwrap();
        assert!(done.as_str().contains("code="), "{done}");
        assert!(done.as_str().contains(&format!("state-{number}")), "{done}");
    }
}

/// Names of the cookies of the next request.
fn cookie_names(world: &World, browser: &Browser) -> Vec<String> {
    let cookies = browser.cookies(&world.base_url).unwrap();
    let bytes: usize = cookies.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
    assert!(bytes < MAX_HEADER_BYTES, "{bytes} bytes of cookies");
    cookies.into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn after_130_authorization_requests_the_newest_work_and_the_cookies_are_bounded() {
    // With a stopped clock as well: the order of the cookies does not depend on the time.
    for world in [World::start().await, World::with_manual_clock(|site| site).await] {
        let client = world.client("/mcp/raw/echo").await;
        let mut browser = Browser::new();
        let mut pages = Vec::new();
        for number in 0..130 {
            pages.push(consent_page(&client, &mut browser, &format!("state-{number}")).await);
            assert!(cookie_names(&world, &browser).len() <= 8, "after {number} requests");
        }
        let oldest =
            browser.submit(pages[0].form_with("request").unwrap(), &[], Some("approve")).await.unwrap();
        assert_eq!(oldest.page().unwrap().status, 403, "the page says to start again");
        let mut logins = Vec::new();
        for page in &pages[122..] {
            logins.push(approve(&mut browser, page).await);
        }
        assert_logins_work(&mut browser, &logins).await;
        assert_eq!(cookie_names(&world, &browser), [""; 0]);
    }
}

#[tokio::test]
async fn after_130_unfinished_logins_the_newest_work_and_the_cookies_are_bounded() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let mut browser = Browser::new();
    let mut logins = Vec::new();
    for number in 0..130 {
        let page = consent_page(&client, &mut browser, &format!("state-{number}")).await;
        logins.push(approve(&mut browser, &page).await);
        assert!(cookie_names(&world, &browser).len() <= 8, "after {number} logins");
    }
    // Consent pages without a response do not replace the cookies of logins at Okta.
    for _ in 0..20 {
        consent_page(&client, &mut browser, "unanswered").await;
    }
    assert!(cookie_names(&world, &browser).len() <= 16);
    assert_logins_work(&mut browser, &logins[122..]).await;
}

#[tokio::test]
async fn excess_cookies_are_removed_a_few_per_response() {
    let world = World::start().await;
    let client = world.client("/mcp/raw/echo").await;
    let url = client.authorize_url("state", &"v".repeat(43), &[]).unwrap();
    // 130 concurrent tabs, none of which has the cookies of the others.
    let mut cookies = Vec::new();
    for _ in 0..130 {
        let response = http().get(url.clone()).send().await.unwrap();
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        cookies.push(cookie);
    }
    for _ in 0..30 {
        let response = http().get(url.clone()).header(COOKIE, cookies.join("; ")).send().await.unwrap();
        let set: Vec<&str> =
            response.headers().get_all(SET_COOKIE).iter().map(|c| c.to_str().unwrap()).collect();
        assert!(
            set.iter().map(|cookie| cookie.len() + 14).sum::<usize>() < 2_048,
            "the response head stays short"
        );
        for cookie in set {
            let (name, rest) = cookie.split_once('=').unwrap();
            cookies.retain(|other| !other.starts_with(name));
            if !rest.starts_with(';') {
                cookies.push(cookie.split(';').next().unwrap().to_owned());
            }
        }
    }
    assert_eq!(cookies.len(), 8);
}
