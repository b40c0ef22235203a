use super::*;

fn parse(uri: &str) -> Result<RedirectUri, RedirectUriError> {
    RedirectUri::parse(uri, &["acme"])
}

#[test]
fn callbacks_of_known_clients_are_accepted() {
    for uri in [
        "http://localhost:3334/oauth/callback",
        "http://127.0.0.1/",
        "http://127.0.0.1:33418/",
        "http://[::1]:9000/callback",
        "https://claude.ai/api/mcp/auth_callback",
        "https://chatgpt.com/connector/oauth/abc",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "vscode://vscode.github-authentication/did-authenticate",
        "claude://callback",
        "com.example.app:/callback",
        "acme://callback",
    ] {
        assert!(parse(uri).is_ok(), "{uri}");
    }
}

#[test]
fn unsafe_redirect_uris_are_rejected() {
    for uri in [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "http://example.com/callback",
        "http://localhost.example.com/",
        "http://127.0.0.2/",
        "https://user@example.com/",
        "https://example.com@evil.example/",
        "https:example.com@evil.example/",
        "https:/example.com/",
        "https:///example.com/",
        "https://example.com/callback#fragment",
        "https://example.com/#",
        "https://example.com\\@evil.example/",
        "https://example.com/a/../b",
        "https://example.com/a/%2E%2e/b",
        "https://ex\u{e4}mple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nLocation: x",
        "ftp://example.com/",
        "unknown://callback",
        "//example.com/callback",
        "/callback",
        "",
    ] {
        assert!(parse(uri).is_err(), "{uri}");
    }
    assert!(RedirectUri::parse("javascript:alert(1)", &["javascript"]).is_err());
}

#[test]
fn a_rejected_private_scheme_names_the_setting_that_allows_it() {
    for uri in ["acme2://callback", "slack:callback", "ftp://example.com/", "mailto:a@example.com"] {
        let error = parse(uri).unwrap_err();
        assert_eq!(error, RedirectUriError::Scheme, "{uri}");
        assert!(error.to_string().contains("redirect_schemes"), "{error}");
    }
    for uri in ["javascript:alert(1)", "data:text/html,x", "view-source:x"] {
        let error = parse(uri).unwrap_err();
        assert_eq!(error, RedirectUriError::DangerousScheme, "{uri}: no setting allows it");
        assert!(!error.to_string().contains("redirect_schemes"), "{error}");
    }
}

#[test]
fn every_name_of_the_own_computer_is_told_from_a_web_site() {
    for (uri, expected) in [
        ("http://localhost:3334/cb", Destination::Loopback("localhost".into())),
        ("https://app.localhost./cb", Destination::Loopback("app.localhost.".into())),
        ("https://127.0.0.2/cb", Destination::Loopback("127.0.0.2".into())),
        ("https://[::ffff:127.0.0.1]/cb", Destination::Loopback("[::ffff:7f00:1]".into())),
        ("https://0.0.0.0/cb", Destination::Loopback("0.0.0.0".into())),
        ("https://localhost.example.com/cb", Destination::Web("localhost.example.com".into())),
        ("acme://localhost/cb", Destination::PrivateScheme("acme:".into())),
    ] {
        assert_eq!(parse(uri).unwrap().destination(), expected, "{uri}");
    }
    for uri in ["http://app.localhost/cb", "http://localhost./cb", "http://[::ffff:127.0.0.1]/cb"] {
        assert!(parse(uri).is_err(), "RFC 8252 has three hosts: {uri}");
    }
}

#[test]
fn the_port_may_differ_only_on_loopback() {
    let registered = parse("http://localhost:3334/oauth/callback").unwrap();
    assert!(registered.matches(&parse("http://localhost:50000/oauth/callback").unwrap()));
    for other in ["http://127.0.0.1:3334/oauth/callback", "http://localhost:3334/other"] {
        assert!(!registered.matches(&parse(other).unwrap()), "{other}");
    }
    let web = parse("https://example.com/callback").unwrap();
    for other in
        ["https://example.com:8443/callback", "https://example.com/callback/", "https://example.com/"]
    {
        assert!(!web.matches(&parse(other).unwrap()), "{other}");
    }
}

#[test]
fn parameters_are_escaped_and_appended_to_an_existing_query() {
    let with = |uri: &str| {
        parse(uri).unwrap().with_query(&[("code", Some("c")), ("state", Some("a&b=c")), ("iss", None)])
    };
    assert_eq!(with("https://example.com/cb"), "https://example.com/cb?code=c&state=a%26b%3Dc");
    assert_eq!(with("https://example.com/cb?x=1"), "https://example.com/cb?x=1&code=c&state=a%26b%3Dc");
    assert_eq!(with("cursor://host/cb?"), "cursor://host/cb?code=c&state=a%26b%3Dc");
}
