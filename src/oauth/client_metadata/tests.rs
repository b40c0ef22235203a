use super::super::client_keys::KeySource;
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

fn read_json(document: &Value) -> Result<Client, String> {
    let url = DocumentUrl::parse(document["client_id"].as_str().unwrap_or(URL)).unwrap();
    read(document.to_string().as_bytes(), &url, (&[], NOW)).map_err(|bad| bad.to_string())
}

fn with(change: impl FnOnce(&mut Value)) -> Result<Client, String> {
    let url = DocumentUrl::parse(URL).unwrap();
    read(document(change).to_string().as_bytes(), &url, (&[], NOW)).map_err(|bad| bad.to_string())
}

#[test]
fn the_urls_of_known_clients_are_allowed() {
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
fn tricks_with_a_url_are_refused() {
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
fn nothing_is_fetched_from_ourselves_or_from_a_host_that_is_not_named() {
    let url = DocumentUrl::parse("https://client.example.com:8443/client").unwrap();
    let may = |own: &str, hosts: &[&str]| url.may_be_fetched(own, hosts).is_ok();
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
fn a_document_without_a_method_is_of_a_client_without_authentication() {
    let client = with(|_| {}).unwrap();
    assert_eq!((client.name.as_str(), client.auth_method), ("Client", AuthMethod::None));
    assert_eq!((client.registered_at, client.keys), (NOW, None));
}

#[test]
fn claude_codes_document_is_read_and_its_loopback_uris_are_good_for_every_port() {
    let client = read_json(&json!({
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
fn chatgpts_document_names_private_key_jwt_and_lists_two_methods() {
    let client = read_json(&json!({
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
fn of_listed_methods_the_strongest_counts_unless_one_is_named_that_we_have() {
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
fn a_bad_document_names_the_member() {
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
            read(other.as_bytes(), &url, (&[], NOW)).unwrap_err(),
            BadDocument::Foreign("it is not a JSON object"),
            "{other}"
        );
    }
}
