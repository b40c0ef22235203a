//! Dynamic client registration (RFC 7591): from what a client sends to what we accept.

use super::client::{AuthMethod, Client};
use super::client_keys::{ClientKeys, KeySource};
use super::error::{ErrorCode, OAuthError};
use super::redirect::RedirectUri;
use crate::base::clock::Timestamp;
use serde_json::{Map, Value, json};

const MAX_REDIRECT_URIS: usize = 12;
const MAX_NAME_CHARS: usize = 120;

/// What a registration request means, before the client has an id.
///
/// # Errors
/// `invalid_redirect_uri` or `invalid_client_metadata`, naming the field. Unknown members and scopes are no
/// error.
pub fn accept(body: &[u8], schemes: &[&str], now: Timestamp, nonce: String) -> Result<Client, OAuthError> {
    let Ok(Value::Object(metadata)) = serde_json::from_slice(body) else {
        return Err(refuse("the body is not a JSON object"));
    };
    must_include(&metadata, "grant_types", "authorization_code")?;
    must_include(&metadata, "response_types", "code")?;
    let auth_method = auth_method(&metadata)?;
    Ok(Client {
        name: name(&metadata)?,
        redirect_uris: redirect_uris(&metadata, schemes)?,
        auth_method,
        keys: (auth_method == AuthMethod::PrivateKeyJwt).then(|| ClientKeys::read(&metadata)).transpose()?,
        registered_at: now,
        nonce,
    })
}

/// The answer (RFC 7591 §3.2.1): all that was accepted, nothing empty, a secret only where one is used.
pub fn response(client: &Client, client_id: &str, client_secret: Option<&str>) -> Value {
    let mut answer = json!({
        "client_id": client_id,
        "client_id_issued_at": client.registered_at.seconds(),
        "redirect_uris": client.redirect_uris,
        "token_endpoint_auth_method": client.auth_method,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    if !client.name.is_empty() {
        answer["client_name"] = json!(client.name);
    }
    if let Some(ClientKeys { source, algorithm }) = &client.keys {
        match source {
            KeySource::Inline(keys) => answer["jwks"] = json!({ "keys": keys }),
            KeySource::At(url) => answer["jwks_uri"] = json!(url),
        }
        if let Some(algorithm) = algorithm {
            answer["token_endpoint_auth_signing_alg"] = json!(algorithm);
        }
    }
    if let Some(secret) = client_secret {
        answer["client_secret"] = json!(secret);
        answer["client_secret_expires_at"] = json!(0);
    }
    answer
}

pub(super) fn name(metadata: &Map<String, Value>) -> Result<String, OAuthError> {
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

pub(super) fn redirect_uris(
    metadata: &Map<String, Value>,
    schemes: &[&str],
) -> Result<Vec<RedirectUri>, OAuthError> {
    let refuse = |what: String| OAuthError::new(ErrorCode::InvalidRedirectUri, what);
    let Some(Value::Array(uris)) = metadata.get("redirect_uris") else {
        return Err(refuse("redirect_uris is missing or not an array".into()));
    };
    if uris.is_empty() || uris.len() > MAX_REDIRECT_URIS {
        return Err(refuse(format!("redirect_uris must hold 1 to {MAX_REDIRECT_URIS} URIs")));
    }
    let parse = |(place, uri): (usize, &Value)| {
        let uri = uri.as_str().ok_or_else(|| refuse(format!("redirect_uris[{place}] is not a string")))?;
        RedirectUri::parse(uri, schemes).map_err(|why| refuse(format!("redirect_uris[{place}]: {why}")))
    };
    uris.iter().enumerate().map(parse).collect()
}

pub(super) fn must_include(
    metadata: &Map<String, Value>,
    field: &'static str,
    needed: &str,
) -> Result<(), OAuthError> {
    match metadata.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(values)) if values.is_empty() || values.iter().any(|value| value == needed) => {
            Ok(())
        }
        Some(_) => Err(refuse(format!("{field} must be an array that includes {needed}"))),
    }
}

fn refuse(description: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept_json(metadata: &Value) -> Result<Client, OAuthError> {
        accept(metadata.to_string().as_bytes(), &[], Timestamp::from_seconds(1), "nonce".into())
    }

    #[test]
    fn cursors_three_callbacks_are_one_registration() {
        let client = accept_json(&json!({
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
    fn a_client_that_names_no_method_uses_basic() {
        let client = accept_json(&json!({ "redirect_uris": ["https://example.com/cb"] })).unwrap();
        assert_eq!(client.auth_method, AuthMethod::SecretBasic);
    }

    #[test]
    fn bad_metadata_names_the_field() {
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
            let refused = accept_json(&metadata).unwrap_err();
            assert_eq!(refused.code, code, "{metadata}");
            assert!(refused.description.starts_with(field), "{metadata}: {refused}");
        }
    }

    #[test]
    fn the_keys_that_were_accepted_are_echoed() {
        let client = accept_json(&json!({
            "redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": "https://a.example/jwks.json", "token_endpoint_auth_signing_alg": "ES256",
        }));
        let answer = response(&client.unwrap(), "id", None);
        assert_eq!(answer["jwks_uri"], "https://a.example/jwks.json");
        assert_eq!(answer["token_endpoint_auth_signing_alg"], "ES256");
        assert!(answer.get("jwks").is_none());
    }

    #[test]
    fn a_public_client_never_gets_a_secret_and_nothing_empty_is_sent() {
        let client = accept_json(&json!({
            "redirect_uris": ["http://localhost/cb"], "token_endpoint_auth_method": "none",
        }))
        .unwrap();
        let answer = response(&client, "id", None);
        let members: Vec<&String> = answer.as_object().unwrap().keys().collect();
        assert!(!members.iter().any(|member| member.contains("secret") || *member == "client_name"));
        assert_eq!(answer["token_endpoint_auth_method"], "none");
    }
}
