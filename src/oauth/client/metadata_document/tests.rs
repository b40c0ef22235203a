use super::super::keys::KeySource;
use super::*;
use crate::crypto::jose::Algorithm;
use serde_json::json;

const URL: &str = "https://client.example.com/oauth/client.json";
const NOW: Timestamp = Timestamp::from_seconds(7);

fn document(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = json!({
        "client_id": URL,
        "client_name": "Client",
        "redirect_uris": ["https://client.example.com/callback"],
    });
    change(&mut document);
    document
}

fn parse_json(document: &Value) -> Result<Client, String> {
    let url = DocumentUrl::parse(document["client_id"].as_str().unwrap_or(URL)).unwrap();
    parse(document.to_string().as_bytes(), &url, &[], NOW).map_err(|bad| bad.to_string())
}

fn with(change: impl FnOnce(&mut Value)) -> Result<Client, String> {
    let url = DocumentUrl::parse(URL).unwrap();
    parse(document(change).to_string().as_bytes(), &url, &[], NOW).map_err(|bad| bad.to_string())
}

#[test]
fn urls_of_known_clients_are_accepted() {
    for url in [
        "https://claude.ai/oauth/claude-code-client-metadata",
        "https://vscode.dev/oauth/client-metadata.json",
        "https://goose-docs.ai/oauth/client-metadata.json",
        "https://chatgpt.com/oauth/tU1UVEq8rRTK/client.json",
        "https://example.com:8443/client?version=2",
        "https://example.com/",
        "https://xn--bcher-kva.example/client%20one",
    ] {
        assert_eq!(DocumentUrl::parse(url).map(String::from).as_deref(), Ok(url));
    }
}

#[test]
fn ambiguous_or_unsafe_urls_are_rejected() {
    for url in [
        "http://example.com/client",
        "HTTPS://example.com/client",
        "https://example.com",
        "https://example.com?client/",
        "https://example.com/client#fragment",
        "https://example.com/client#",
        "https://user@example.com/client",
        "https://user:password@example.com/client",
        "https://@example.com/client",
        "https://example.com/a/../client",
        "https://example.com/./client",
        "https://example.com/a/%2E%2e/client",
        "https://example.com/a/..",
        "https://Example.com/client",
        "https://example.com:443/client",
        "https://example.com./client",
        "https://example.com\\client/",
        "https://example.com/a\\b",
        "https://exa\tmple.com/client",
        "https://example.com/cl ient",
        "https://b\u{fc}cher.example/client",
        "https:/example.com/client",
        "https:///example.com/client",
        "https://localhost/client",
        "https://client.localhost/client",
        "https://intranet/client",
        "https://127.0.0.1/client",
        "https://1.1.1.1/client",
        "https://2130706433/client",
        "https://0x7f.1/client",
        "https://[::1]/client",
        "https://[2606:4700::1111]/client",
        "https://example..com/../client",
        "ftp://example.com/client",
        "javascript://example.com/%0Aalert(1)",
        "",
    ] {
        assert!(DocumentUrl::parse(url).is_err(), "{url}");
    }
    assert!(DocumentUrl::parse(&format!("https://example.com/{}", "a".repeat(1024))).is_err());
}

#[test]
fn documents_of_the_gateway_itself_or_of_unlisted_hosts_are_not_fetched() {
    let url = DocumentUrl::parse("https://client.example.com:8443/client").unwrap();
    let may = |own: &str, hosts: &[&str]| url.check_fetch_allowed(own, hosts).is_ok();
    assert!(may("mcp.example.com", &[]) && may("mcp.example.com", &["claude.ai", "client.example.com"]));
    assert!(may("client.example.com", &[]), "another port is another server");
    assert!(!may("client.example.com:8443", &[]) && !may("client.example.com:8443", &["client.example.com"]));
    for hosts in
        [&["example.com"][..], &["*.example.com"], &["client.example.com:8443"], &["xclient.example.com"]]
    {
        assert!(!may("mcp.example.com", hosts), "{hosts:?}");
    }
}

#[test]
fn a_document_without_a_method_means_no_authentication() {
    let client = with(|_| {}).unwrap();
    assert_eq!((client.name.as_str(), client.auth_method), ("Client", AuthMethod::None));
    assert_eq!((client.registered_at, client.keys), (NOW, None));
}

#[test]
fn the_document_of_claude_code_allows_loopback_uris_on_every_port() {
    let client = parse_json(&json!({
        "client_id": "https://claude.ai/oauth/claude-code-client-metadata",
        "client_name": "Claude Code",
        "client_uri": "https://claude.ai",
        "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }))
    .unwrap();
    for uri in ["http://localhost:50123/callback", "http://127.0.0.1:8080/callback"] {
        assert_eq!(client.redirect(Some(uri), &[]).unwrap().as_str(), uri);
    }
    assert!(client.redirect(Some("http://localhost:50123/other"), &[]).is_err());
}

#[test]
fn the_document_of_chatgpt_selects_private_key_jwt() {
    let client = parse_json(&json!({
        "client_id": "https://chatgpt.com/oauth/client.json",
        "client_uri": "https://chatgpt.com/",
        "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "client_name": "ChatGPT",
        "logo_uri": "https://persistent.oaistatic.com/sonic/misc/openai-logo.png",
        "token_endpoint_auth_signing_alg": "RS256",
        "jwks_uri": "https://chatgpt.com/oauth/jwks.json",
    }))
    .unwrap();
    assert_eq!(client.auth_method, AuthMethod::PrivateKeyJwt);
    let keys = client.keys.unwrap();
    assert_eq!(keys.algorithm, Some(Algorithm::Rs256));
    assert!(
        matches!(keys.source, KeySource::At(url) if url.as_str() == "https://chatgpt.com/oauth/jwks.json")
    );
}

#[test]
fn the_named_method_wins_over_the_strongest_listed_method() {
    let method = |named: Value, listed: Value| {
        with(|document| {
            document["token_endpoint_auth_method"] = named;
            document["token_endpoint_auth_methods_supported"] = listed;
            document["jwks_uri"] = json!("https://client.example.com/jwks.json");
        })
        .map(|client| client.auth_method)
    };
    let (none, jwt) = (Ok(AuthMethod::None), Ok(AuthMethod::PrivateKeyJwt));
    assert_eq!(method(json!("none"), json!(["none", "private_key_jwt"])), none);
    assert_eq!(method(json!("private_key_jwt"), json!(["none"])), jwt);
    assert_eq!(method(json!(null), json!(["none", "private_key_jwt"])), jwt);
    assert_eq!(method(json!("tls_client_auth"), json!(["tls_client_auth", "none"])), none);
    assert!(method(json!("tls_client_auth"), json!(["tls_client_auth"])).is_err());
    assert!(method(json!("client_secret_basic"), json!(["none"])).is_err());
}

#[test]
fn an_error_names_the_invalid_member() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 17] = [
        ("client_id", |d| d["client_id"] = json!("https://client.example.com/oauth/client.json?")),
        ("client_id", |d| d["client_id"] = json!("https://client.example.com/oauth/Client.json")),
        ("client_id", |d| drop(d.as_object_mut().unwrap().remove("client_id"))),
        ("client_id", |d| d["client_id"] = json!([URL])),
        ("client_name", |d| drop(d.as_object_mut().unwrap().remove("client_name"))),
        ("client_name", |d| d["client_name"] = json!(" ")),
        ("redirect_uris", |d| d["redirect_uris"] = json!([])),
        ("redirect_uris[0]", |d| d["redirect_uris"] = json!(["javascript:1"])),
        ("grant_types", |d| d["grant_types"] = json!(["client_credentials"])),
        ("response_types", |d| d["response_types"] = json!(["token"])),
        ("client_secret", |d| d["client_secret"] = json!("s")),
        ("client_secret", |d| d["client_secret_expires_at"] = json!(0)),
        ("token_endpoint_auth_method", |d| d["token_endpoint_auth_method"] = json!("client_secret_post")),
        ("token_endpoint_auth_method", |d| d["token_endpoint_auth_method"] = json!("client_secret_jwt")),
        ("token_endpoint_auth_method", |d| d["token_endpoint_auth_method"] = json!(7)),
        ("jwks_uri", |d| d["token_endpoint_auth_method"] = json!("private_key_jwt")),
        ("jwks_uri", |d| {
            d["token_endpoint_auth_method"] = json!("private_key_jwt");
            d["jwks_uri"] = json!("http://client.example.com/jwks.json");
        }),
    ];
    for (member, change) in cases {
        let why = with(change).unwrap_err();
        assert!(why.starts_with(member), "{member}: {why}");
    }
    let url = DocumentUrl::parse(URL).unwrap();
    for other in ["", "[]", "\"x\"", "<html>", "{\"client_id\":"] {
        assert_eq!(
            parse(other.as_bytes(), &url, &[], NOW).unwrap_err(),
            DocumentError::NotMetadata("it is not a JSON object"),
            "{other}"
        );
    }
}
