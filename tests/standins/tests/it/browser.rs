//! Tests of the scripted browser against the rules of real browsers.

use gateway_standins::backend::Backend;
use gateway_standins::browser::Browser;

const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");

type Page<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

async fn site(pages: &[Page<'_>]) -> Backend {
    let site = Backend::start(0).await.unwrap();
    for &(path, headers, body) in pages {
        site.script(path, 200, headers, body);
    }
    site
}

#[tokio::test]
async fn a_redirect_chain_is_followed_with_cookies_up_to_the_stop_prefix() {
    let site = site(&[]).await;
    site.script("/a", 302, &[("location", "/b?x=1"), ("set-cookie", "one=1; Path=/")], "");
    site.script("/b", 303, &[("location", "http://localhost:9/callback?code=c")], "");
    let mut browser = Browser::new();
    browser.stop_at("http://localhost:9/callback");
    let url = browser.open(&format!("{}/a", site.url())).await.unwrap().stopped().unwrap();
    assert_eq!(url.as_str(), "http://localhost:9/callback?code=c");
    let last = site.last().unwrap();
    assert_eq!((last.target.as_str(), last.header("cookie")), ("/b?x=1", Some("one=1")));
    assert_eq!(last.header("sec-fetch-site"), Some("none"));
    assert_eq!(browser.cookies(&site.url()).unwrap(), [("one".to_owned(), "1".to_owned())]);
}

#[tokio::test]
async fn a_private_scheme_ends_navigation_and_a_loop_is_an_error() {
    let refresh = "<meta http-equiv=refresh content='0;url=cursor://anysphere/cb?code=1&amp;state=2'>";
    let site = site(&[("/app", &[HTML], refresh)]).await;
    site.script("/loop", 302, &[("location", "/loop")], "");
    let mut browser = Browser::new();
    let url = browser.open(&format!("{}/app", site.url())).await.unwrap().stopped().unwrap();
    assert_eq!(url.as_str(), "cursor://anysphere/cb?code=1&state=2");
    let endless = browser.open(&format!("{}/loop", site.url())).await.unwrap_err();
    assert!(endless.0.contains("more than 20 redirects"), "{endless}");
}

#[tokio::test]
async fn a_307_keeps_the_form_and_a_302_drops_it() {
    let form = "<form method=post action=/kept><input name=a value=1></form>\
        <form method=post action=/dropped><input name=a value=1></form>";
    let site = site(&[("/", &[HTML], form)]).await;
    site.script("/kept", 307, &[("location", "/end")], "");
    site.script("/dropped", 302, &[("location", "/end")], "");
    let mut browser = Browser::new();
    let page = browser.open(&site.url()).await.unwrap().page().unwrap();
    browser.submit(&page.forms[0], &[], None).await.unwrap();
    let kept = site.last().unwrap();
    assert_eq!((kept.method.as_str(), kept.text().as_str()), ("POST", "a=1"));
    browser.submit(&page.forms[1], &[("b", "ü")], None).await.unwrap();
    let dropped = site.last().unwrap();
    assert_eq!((dropped.method.as_str(), dropped.text().as_str()), ("GET", ""));
    assert!(site.requests().iter().any(|request| request.text() == "a=1&b=%C3%BC"));
}

#[tokio::test]
async fn form_action_applies_to_the_whole_redirect_chain() {
    let policy = ("content-security-policy", "default-src 'none'; form-action 'self'");
    let form = "<form method=post action=/go></form>";
    let site = site(&[("/", &[HTML, policy], form)]).await;
    site.script("/go", 303, &[("location", "cursor://anysphere/cb")], "");
    let mut browser = Browser::new();
    let page = browser.open(&site.url()).await.unwrap().page().unwrap();
    let blocked = browser.submit(&page.forms[0], &[], None).await.unwrap_err();
    assert!(blocked.0.contains("form-action 'self' blocks cursor://"), "{blocked}");
    site.script("/go", 200, &[HTML], "<meta http-equiv=refresh content='0; url=cursor://anysphere/cb'>");
    assert!(browser.submit(&page.forms[0], &[], None).await.unwrap().stopped().is_ok());
}

#[tokio::test]
async fn origin_is_sent_with_posts_and_is_null_without_referrers() {
    let form = "<form method=post action=/go></form>";
    let quiet: &[(&str, &str)] = &[HTML, ("referrer-policy", "no-referrer")];
    let site = site(&[("/", &[HTML], form), ("/quiet", quiet, form)]).await;
    let mut browser = Browser::new();
    for (path, origin) in [("/", site.url()), ("/quiet", "null".to_owned())] {
        let page = browser.open(&format!("{}{path}", site.url())).await.unwrap().page().unwrap();
        browser.submit(&page.forms[0], &[], None).await.unwrap();
        let sent = site.last().unwrap();
        assert_eq!(sent.header("origin"), Some(origin.as_str()));
        assert_eq!(sent.header("sec-fetch-site"), Some("same-origin"));
    }
}

#[tokio::test]
async fn a_cross_site_form_sends_no_strict_cookie_and_no_lax_cookie_with_a_post() {
    let target = site(&[]).await;
    let localhost = target.url().replace("127.0.0.1", "localhost");
    target.script("/set", 200, &[("set-cookie", "s=1; SameSite=Strict; Path=/")], "");
    let forms =
        format!("<form action='{0}/get'></form><form method=post action='{0}/post'></form>", target.url());
    let other = site(&[("/", &[HTML], &forms)]).await;
    target.script("/lax", 200, &[("set-cookie", "l=1; Path=/")], "");
    let mut browser = Browser::new();
    for path in ["/set", "/lax"] {
        browser.open(&format!("{}{path}", target.url())).await.unwrap();
    }
    assert!(browser.cookies(&localhost).unwrap().is_empty());
    let foreign = other.url().replace("127.0.0.1", "localhost");
    let page = browser.open(&foreign).await.unwrap().page().unwrap();
    browser.submit(&page.forms[0], &[], None).await.unwrap();
    assert_eq!(target.last().unwrap().header("cookie"), Some("l=1"));
    browser.submit(&page.forms[1], &[], None).await.unwrap();
    assert_eq!(target.last().unwrap().header("cookie"), None);
}
