use super::EgressProxy;
use crate::settings::tests::{SITE, read};
use gateway_routes::{EgressProxySite, Site, ValuePart};
use url::Url;

const DEFAULT: EgressProxySite = EgressProxySite::DEFAULT;
const NAMED: EgressProxySite = EgressProxySite {
    url: Some("https://proxy.example.com:8443"),
    username: Some(ValuePart::Text("gateway")),
    password: Some("PROXY_PASSWORD"),
    no_proxy: Some(&["internal.example.com"]),
    client_metadata: true,
    ..DEFAULT
};

fn proxy(site: EgressProxySite, more: &[(&str, &str)]) -> Result<Option<EgressProxy>, String> {
    let site = Box::leak(Box::new(Site { egress_proxy: site, ..SITE }));
    read(site, more).map(|settings| settings.egress_proxy)
}

fn applies(proxy: &EgressProxy, url: &str) -> bool {
    proxy.applies_to(&Url::parse(url).unwrap())
}

#[test]
fn the_environment_fills_in_what_the_site_leaves_open() {
    assert!(proxy(DEFAULT, &[]).unwrap().is_none());
    for (name, value, origin) in [
        ("HTTPS_PROXY", "http://proxy.corp:3128", "http://proxy.corp:3128"),
        ("https_proxy", "https://proxy.corp/", "https://proxy.corp"),
        ("HTTPS_PROXY", "proxy.corp:3128", "http://proxy.corp:3128"),
        ("HTTPS_PROXY", "mcp:p%40ss@10.0.0.1:3128", "http://10.0.0.1:3128"),
    ] {
        let found = proxy(DEFAULT, &[(name, value), ("no_proxy", "a.net, 10.0.0.0/8")]).unwrap().unwrap();
        assert_eq!(found.origin(), origin);
        let credentials = found.credentials();
        let credentials = credentials.map(|both| (both.username.expose(), both.password.expose()));
        assert_eq!(credentials, value.contains('@').then_some(("mcp", "p@ss")), "{value}");
        assert!(applies(&found, "https://acme.okta.com") && !applies(&found, "https://b.a.net"));
        assert!(!applies(&found, "http://acme.okta.com"), "Okta uses https, except on loopback");
        assert!(!found.client_metadata);
    }
    let off = EgressProxySite { enabled: false, ..DEFAULT };
    assert!(proxy(off, &[("HTTPS_PROXY", "socks5://a")]).unwrap().is_none());
}

#[test]
fn what_the_site_names_replaces_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "hunter2\n").unwrap();
    let given = [
        ("HTTPS_PROXY", "http://u:other@elsewhere.corp:1"),
        ("NO_PROXY", "*"),
        ("PROXY_PASSWORD_FILE", file.to_str().unwrap()),
    ];
    let found = proxy(NAMED, &given).unwrap().unwrap();
    assert_eq!(found.origin(), "https://proxy.example.com:8443");
    let credentials = found.credentials().unwrap();
    assert_eq!((credentials.username.expose(), credentials.password.expose()), ("gateway", "hunter2"));
    assert!(applies(&found, "https://acme.okta.com"));
    assert!(!applies(&found, "https://a.internal.example.com") && found.client_metadata);
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn problems_of_the_proxy_are_reported_without_credentials() {
    let in_environment = EgressProxySite { url: None, ..NAMED };
    for (site, given, expected) in [
        (DEFAULT, &[("HTTPS_PROXY", "socks5://u:hunter2@proxy:1")][..], "HTTPS_PROXY is not an http proxy"),
        (DEFAULT, &[("HTTPS_PROXY", "http://u:hunter2@")], "HTTPS_PROXY is not a URL"),
        (DEFAULT, &[("HTTPS_PROXY", "http://u:hunter2@proxy/path")], "HTTPS_PROXY has more than a scheme"),
        (
            DEFAULT,
            &[("HTTPS_PROXY", "http://hunter2"), ("https_proxy", "http://other")],
            "HTTPS_PROXY and https_proxy contradict each other: keep one",
        ),
        (NAMED, &[], "PROXY_PASSWORD is not set: give it, or the path of its file in PROXY_PASSWORD_FILE"),
        (
            NAMED,
            &[("PROXY_PASSWORD_FILE", "/nowhere")],
            "PROXY_PASSWORD_FILE: the file it names cannot be read",
        ),
        (
            in_environment,
            &[("HTTPS_PROXY", "http://u:hunter2@proxy"), ("PROXY_PASSWORD", "hunter2")],
            "HTTPS_PROXY holds a user, and egress_proxy.username names one too",
        ),
    ] {
        let problems = proxy(site, given).unwrap_err();
        assert!(problems.contains(expected), "{expected} is missing in {problems}");
        assert_eq!(problems.matches("  - ").count(), 1, "{problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}
