//! Dynamic client registration (RFC 7591): validation of the request and construction of the response.

use super::auth_method::AuthMethod;
use super::keys::{ClientKeys, KeySource};
use super::record::Client;
use crate::base::clock::Timestamp;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::redirect::RedirectUri;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Most redirect URIs; loopback URIs that differ in port alone are one.
const MAX_REDIRECT_URIS: usize = 12;
const MAX_NAME_CHARS: usize = 120;

/// Parses a registration request into a client that has no id yet.
///
/// # Errors
/// `invalid_redirect_uri` or `invalid_client_metadata`, naming the member. Unknown members and scopes are ignored.
pub fn parse(body: &[u8], schemes: &[&str], now: Timestamp, nonce: String) -> Result<Client, OAuthError> {
    let Ok(Value::Object(metadata)) = serde_json::from_slice(body) else {
        return Err(refuse("the body is not a JSON object"));
    };
    require_member(&metadata, "grant_types", "authorization_code")?;
    require_member(&metadata, "response_types", "code")?;
    let auth_method = auth_method(&metadata)?;
    Ok(Client {
        name: client_name(&metadata)?,
        redirect_uris: redirect_uris(&metadata, schemes)?,
        auth_method,
        keys: (auth_method == AuthMethod::PrivateKeyJwt).then(|| ClientKeys::parse(&metadata)).transpose()?,
        registered_at: now,
        nonce,
    })
}

/// Builds the registration response (RFC 7591 §3.2.1): the accepted metadata without empty members, and a secret only
/// for methods that use one.
pub fn response(client: &Client, client_id: &str, client_secret: Option<&str>) -> Value {
    let mut body = json!({
        "client_id": client_id,
        "client_id_issued_at": client.registered_at.seconds(),
        "redirect_uris": client.redirect_uris,
        "token_endpoint_auth_method": client.auth_method,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    if !client.name.is_empty() {
        body["client_name"] = json!(client.name);
    }
    if let Some(ClientKeys { source, algorithm }) = &client.keys {
        match source {
            KeySource::Inline(keys) => body["jwks"] = json!({ "keys": keys }),
            KeySource::At(url) => body["jwks_uri"] = json!(url),
        }
        if let Some(algorithm) = algorithm {
            body["token_endpoint_auth_signing_alg"] = json!(algorithm);
        }
    }
    if let Some(secret) = client_secret {
        body["client_secret"] = json!(secret);
        body["client_secret_expires_at"] = json!(0);
    }
    body
}

pub(super) fn client_name(metadata: &Map<String, Value>) -> Result<String, OAuthError> {
    match metadata.get("client_name") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(name)) => {
            Ok(name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect())
        }
        Some(_) => Err(refuse("client_name is not a string")),
    }
}

fn auth_method(metadata: &Map<String, Value>) -> Result<AuthMethod, OAuthError> {
    match metadata.get("token_endpoint_auth_method") {
        None | Some(Value::Null) => Ok(AuthMethod::SecretBasic),
        Some(Value::String(name)) => AuthMethod::parse(name).ok_or_else(|| {
            refuse(
                "token_endpoint_auth_method must be none, client_secret_post, client_secret_basic or private_key_jwt",
            )
        }),
        Some(_) => Err(refuse("token_endpoint_auth_method is not a string")),
    }
}

/// Parses `redirect_uris`. Of loopback URIs that differ in port alone, the first is kept: it matches every port (RFC 8252
/// §7.3), and clients register a list of ports that they try.
pub(super) fn redirect_uris(
    metadata: &Map<String, Value>,
    schemes: &[&str],
) -> Result<Vec<RedirectUri>, OAuthError> {
    let refuse = |what: String| OAuthError::new(ErrorCode::InvalidRedirectUri, what);
    let Some(Value::Array(uris)) = metadata.get("redirect_uris") else {
        return Err(refuse("redirect_uris is missing or not an array".into()));
    };
    let parse = |(index, uri): (usize, &Value)| {
        let uri = uri.as_str().ok_or_else(|| refuse(format!("redirect_uris[{index}] is not a string")))?;
        RedirectUri::parse(uri, schemes).map_err(|why| refuse(format!("redirect_uris[{index}]: {why}")))
    };
    let uris: Vec<RedirectUri> = uris.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    let mut seen = HashSet::new();
    let distinct: Vec<RedirectUri> =
        uris.into_iter().filter(|uri| seen.insert(uri.without_loopback_port())).collect();
    if distinct.is_empty() || distinct.len() > MAX_REDIRECT_URIS {
        return Err(refuse(format!(
            "redirect_uris must hold 1 to {MAX_REDIRECT_URIS} URIs; loopback URIs that differ in port alone count once"
        )));
    }
    Ok(distinct)
}

pub(super) fn require_member(
    metadata: &Map<String, Value>,
    field: &'static str,
    required: &str,
) -> Result<(), OAuthError> {
    match metadata.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(values)) if values.is_empty() || values.iter().any(|value| value == required) => {
            Ok(())
        }
        Some(_) => Err(refuse(format!("{field} must be an array that includes {required}"))),
    }
}

fn refuse(description: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_json(metadata: &Value) -> Result<Client, OAuthError> {
        parse(metadata.to_string().as_bytes(), &[], Timestamp::from_seconds(1), "nonce".into())
    }

    #[test]
    fn the_three_callbacks_of_cursor_are_one_registration() {
        let client = parse_json(&json!({
            "client_name": "Cursor",
            "redirect_uris": [
                "cursor://anysphere.cursor-mcp/oauth/callback",
                "https://www.cursor.com/agents/mcp/oauth/callback",
                "http://localhost:8787/callback",
            ],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "scope": "whatever else", "unknown": [1],
        }));
        assert_eq!(client.unwrap().redirect_uris.len(), 3);
    }

    #[test]
    fn loopback_uris_that_differ_in_port_alone_are_one() {
        let uris = |uris: Vec<String>| {
            let client = parse_json(&json!({ "redirect_uris": uris }));
            client.map(|client| {
                client.redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect::<Vec<_>>()
            })
        };
        let ports = |path: &str| -> Vec<String> {
            (0..13).map(|port| format!("http://127.0.0.1:{}{path}", 33_418 + port)).collect()
        };
        let mut many = ports("/callback");
        many.extend(ports("/other"));
        many.extend(["http://localhost/callback", "http://localhost/callback"].map(str::to_owned));
        let kept =
            ["http://127.0.0.1:33418/callback", "http://127.0.0.1:33418/other", "http://localhost/callback"];
        assert_eq!(uris(many).unwrap(), kept);
        let web =
            |count: u16| (0..count).map(|port| format!("https://a.example:{}/cb", 8000 + port)).collect();
        assert_eq!(uris(web(12)).unwrap().len(), 12, "the port of a web site counts");
        let refused = uris(web(13)).unwrap_err();
        assert!(refused.description.contains("1 to 12"), "{refused}");
    }

    #[test]
    fn the_default_method_is_client_secret_basic() {
        let client = parse_json(&json!({ "redirect_uris": ["https://example.com/cb"] })).unwrap();
        assert_eq!(client.auth_method, AuthMethod::SecretBasic);
    }

    #[test]
    fn an_error_names_the_invalid_member() {
        for (metadata, code, field) in [
            (json!({}), ErrorCode::InvalidRedirectUri, "redirect_uris"),
            (json!({ "redirect_uris": [] }), ErrorCode::InvalidRedirectUri, "redirect_uris"),
            (json!({ "redirect_uris": ["javascript:1"] }), ErrorCode::InvalidRedirectUri, "redirect_uris[0]"),
            (
                json!({ "redirect_uris": ["https://a.example/"], "grant_types": ["client_credentials"] }),
                ErrorCode::InvalidClientMetadata,
                "grant_types",
            ),
            (
                json!({ "redirect_uris": ["https://a.example/"], "token_endpoint_auth_method": "magic" }),
                ErrorCode::InvalidClientMetadata,
                "token_endpoint_auth_method",
            ),
            (
                json!({ "redirect_uris": ["https://a.example/"], "token_endpoint_auth_method": "private_key_jwt" }),
                ErrorCode::InvalidClientMetadata,
                "jwks_uri",
            ),
            (
                json!({ "redirect_uris": ["https://a.example/"], "client_name": 7 }),
                ErrorCode::InvalidClientMetadata,
                "client_name",
            ),
        ] {
            let refused = parse_json(&metadata).unwrap_err();
            assert_eq!(refused.code, code, "{metadata}");
            assert!(refused.description.starts_with(field), "{metadata}: {refused}");
        }
    }

    #[test]
    fn accepted_keys_are_part_of_the_response() {
        let client = parse_json(&json!({
            "redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": "https://a.example/jwks.json", "token_endpoint_auth_signing_alg": "ES256",
        }));
        let response = response(&client.unwrap(), "id", None);
        assert_eq!(response["jwks_uri"], "https://a.example/jwks.json");
        assert_eq!(response["token_endpoint_auth_signing_alg"], "ES256");
        assert!(response.get("jwks").is_none());
    }

    #[test]
    fn a_public_client_gets_no_secret_and_no_empty_members() {
        let client = parse_json(&json!({
            "redirect_uris": ["http://localhost/cb"], "token_endpoint_auth_method": "none",
        }))
        .unwrap();
        let response = response(&client, "id", None);
        let members: Vec<&String> = response.as_object().unwrap().keys().collect();
        assert!(!members.iter().any(|member| member.contains("secret") || *member == "client_name"));
        assert_eq!(response["token_endpoint_auth_method"], "none");
    }
}
