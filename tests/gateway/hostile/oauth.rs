//! Requests to the OAuth endpoints.

use super::go_program_site::SITE;
use super::{Target, text};
use gateway::base::clock::Timestamp;
use gateway::oauth::authorization::AuthorizationRequest;
use gateway::oauth::bearer::{self, Presented};
use gateway::oauth::client::authentication::ClaimedClient;
use gateway::oauth::client::registration;
use gateway::oauth::parameters::Parameters;
use gateway::oauth::redirect::{Destination, RedirectUri};
use gateway::oauth::token::TokenRequest;
use http::HeaderValue;
use url::Url;

const BASE_URL: &str = "https://mcp.example.com";

/// An accepted redirect URI has an allowed destination, and keeps it when response parameters are added.
pub(super) const REDIRECT_URI: Target = Target {
    name: "redirect_uri",
    run: redirect_uri,
    seeds: &[
        "https://claude.ai/api/mcp/auth_callback",
        "https://user@example.com:8443/cb?a=b&c",
        "http://localhost:3334/oauth/callback",
        "http://[::1]:9000/cb",
        "http://127.0.0.1:1/",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "com.example.app:/callback?x=%20",
    ],
};

fn redirect_uri(input: &[u8]) {
    let Some(input) = text(input) else { return };
    let Ok(uri) = RedirectUri::parse(input, &["acme"]) else { return };
    let (before, state) = (Url::parse(input).expect("a URL parser accepts it"), "s&code=x#\u{e9} ");
    assert!(before.username().is_empty() && before.password().is_none() && before.fragment().is_none());
    let allowed = before.scheme().contains('.')
        || ["https", "http", "acme", "cursor", "vscode", "vscode-insiders", "claude"]
            .contains(&before.scheme());
    assert!(allowed && before.scheme() != "javascript");
    let host = before.host_str().unwrap_or_default();
    let local = matches!(uri.destination(), Destination::Loopback(_));
    assert!(before.scheme() != "http" || local && ["localhost", "127.0.0.1", "[::1]"].contains(&host));
    let response_url = uri.with_query(&[("code", Some("c")), ("state", Some(state)), ("iss", None)]);
    assert!(response_url.starts_with(input), "{response_url}");
    let after = Url::parse(&response_url).expect("the response URL is valid");
    let place = |url: &Url| {
        (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port(), url.path().to_owned())
    };
    assert_eq!(place(&after), place(&before));
    assert!(after.fragment().is_none());
    let pairs: Vec<_> = after.query_pairs().into_owned().collect();
    assert_eq!(pairs.last(), Some(&("state".to_owned(), state.to_owned())));
    assert!(uri.matches(&uri));
}

/// An accepted request has an existing route, S256 and a bounded state.
pub(super) const AUTHORIZATION_REQUEST: Target = Target {
    name: "authorization_request",
    run: authorization_request,
    seeds: &[
        "response_type=code&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&state=x",
        "response_type=code&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
         &resource=https%3A%2F%2Fmcp.example.com%2Fmcp%2Fdice%2Fmcp&scope=mcp%3Adice+openid&login_hint=a%40b",
        "response_type=code&resource=https://mcp.example.com/&resource=https://MCP.example.com/mcp/uuid/",
    ],
};

fn authorization_request(input: &[u8]) {
    let Some(input) = text(input) else { return };
    let parameters = Parameters::parse(input);
    let uri = RedirectUri::parse("https://client.example.com/cb", &[]).expect("a good one");
    let Ok(request) = AuthorizationRequest::parse(&parameters, "id", "name", uri, BASE_URL, &SITE.table)
    else {
        return;
    };
    assert!(request.state.as_ref().is_none_or(|state| state.len() <= 4096));
    assert!(request.route.is_none() || request.route(&SITE.table).is_some());
    assert_eq!(parameters.get("code_challenge_method"), Some("S256"));
    let refusal = gateway::oauth::error::OAuthError::invalid_request(input.to_owned());
    let url = request.return_address().error_url(&refusal, Some(BASE_URL));
    assert!(url.starts_with("https://client.example.com/cb?error=invalid_request"), "{url}");
}

/// An accepted registration has valid redirect URIs, and the response repeats its metadata.
pub(super) const REGISTRATION: Target = Target {
    name: "registration",
    run: registration_body,
    seeds: &[
        r#"{"redirect_uris":["http://localhost:3334/oauth/callback"],"token_endpoint_auth_method":"none","client_name":"MCP"}"#,
        r#"{"redirect_uris":["cursor://x/cb","https://a.example/cb"],"grant_types":["authorization_code"],"response_types":["code"],"scope":"a"}"#,
        r#"{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"client_secret_post","client_name":null}"#,
    ],
};

fn registration_body(input: &[u8]) {
    let Ok(client) = registration::parse(input, &[], Timestamp::from_seconds(1), "nonce".into()) else {
        return;
    };
    assert!((1..=12).contains(&client.redirect_uris.len()));
    for uri in &client.redirect_uris {
        assert!(RedirectUri::parse(uri.as_str(), &[]).is_ok());
    }
    assert!(client.name.chars().count() <= 120 && !client.name.chars().any(char::is_control));
    let response = registration::response(&client, "id", None);
    assert_eq!(response["token_endpoint_auth_method"], client.auth_method.as_str());
    assert!(response.get("client_secret").is_none());
}

/// The first line is the header, the rest is the form.
pub(super) const CLIENT_AUTHENTICATION: Target = Target {
    name: "client_authentication",
    run: client_authentication,
    seeds: &[
        "Basic aWQ6c2VjcmV0\ngrant_type=refresh_token&refresh_token=x&client_id=id",
        "Basic aSU2NDolNzM=\ngrant_type=authorization_code&code=c&code_verifier=v",
        "\nclient_id=id&client_secret=s&grant_type=refresh_token&refresh_token=x&scope=a",
    ],
};

fn client_authentication(input: &[u8]) {
    let Some((header, form)) = text(input).and_then(|input| input.split_once('\n')) else { return };
    let form = Parameters::parse(form);
    // Repeated parameters are never used.
    let presented = ClaimedClient::parse((!header.is_empty()).then_some(header), &form);
    if let (Ok(presented), Some(named)) = (&presented, form.get("client_id")) {
        assert_eq!(presented.client_id, named);
    }
    let _ = TokenRequest::parse(&form);
}

/// A token comes from one well-formed header and has no characters that are unsafe in headers or logs.
pub(super) const BEARER: Target = Target {
    name: "bearer",
    run: bearer_header,
    seeds: &["Bearer abc.def-ghi_jkl~+/=", "bearer  x", "Basic eDp5", "Bearer a,b"],
};

fn bearer_header(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    if let Presented::Token(token) = bearer::presented(&value) {
        assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
