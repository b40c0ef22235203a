//! Keys of a client for `private_key_jwt`: `jwks`, `jwks_uri` and `token_endpoint_auth_signing_alg` (RFC 7591 §2,
//! `OpenID` Connect Registration §2).

use super::assertion::ALGORITHMS;
use super::document_url::DocumentUrl;
use crate::crypto::jose::{Algorithm, has_private_part, verifying_part};
use crate::oauth::error::{ErrorCode, OAuthError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most keys in an inline `jwks`, which becomes part of the `client_id` of a registration.
const MAX_INLINE_KEYS: usize = 8;
/// Longest accepted key set at a `jwks_uri`, in bytes.
pub const MAX_KEY_SET_BYTES: usize = 32 * 1024;

/// Registered keys of a client. The short JSON names keep its `client_id` short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientKeys {
    /// Location of the keys.
    #[serde(rename = "s")]
    pub source: KeySource,
    /// Only algorithm of its assertions, if registered.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
}

/// Location of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeySource {
    /// Public keys in the metadata itself, reduced to the members that verification needs.
    #[serde(rename = "j")]
    Inline(Vec<Value>),
    /// Key set at a URL (`jwks_uri`).
    #[serde(rename = "u")]
    At(DocumentUrl),
}

impl ClientKeys {
    /// Parses client metadata.
    ///
    /// # Errors
    /// `invalid_client_metadata`, naming the member.
    pub fn parse(metadata: &Map<String, Value>) -> Result<Self, OAuthError> {
        let member = |name: &str| metadata.get(name).filter(|value| !value.is_null());
        let source = match (member("jwks"), member("jwks_uri")) {
            (Some(_), Some(_)) => return Err(refuse("jwks and jwks_uri stand there both: leave one out")),
            (Some(jwks), None) => KeySource::Inline(parse_inline(jwks)?),
            (None, Some(Value::String(url))) => {
                KeySource::At(DocumentUrl::parse(url).map_err(|why| refuse(format!("jwks_uri: {why}")))?)
            }
            (None, _) => return Err(refuse("jwks_uri or jwks is needed for private_key_jwt")),
        };
        let algorithm = match member("token_endpoint_auth_signing_alg") {
            None => None,
            Some(name) => Some(parse_algorithm(name)?),
        };
        Ok(Self { source, algorithm })
    }
}

fn parse_inline(jwks: &Value) -> Result<Vec<Value>, OAuthError> {
    let Some(keys) = jwks.get("keys").and_then(Value::as_array) else {
        return Err(refuse("jwks is not a JSON object with keys"));
    };
    if keys.len() > MAX_INLINE_KEYS {
        return Err(refuse(format!("jwks has over {MAX_INLINE_KEYS} keys: use jwks_uri")));
    }
    if keys.iter().any(has_private_part) {
        return Err(refuse("jwks has a private key: it is no secret any more, make another one"));
    }
    let usable: Vec<Value> = keys.iter().filter_map(verifying_part).collect();
    if usable.is_empty() {
        return Err(refuse("jwks has no key for signatures of P-256, P-384 or RSA of 2048 bits and more"));
    }
    Ok(usable)
}

fn parse_algorithm(name: &Value) -> Result<Algorithm, OAuthError> {
    let algorithm = name.as_str().and_then(Algorithm::parse).filter(|it| ALGORITHMS.contains(it));
    algorithm.ok_or_else(|| {
        refuse(
            "token_endpoint_auth_signing_alg is not one of token_endpoint_auth_signing_alg_values_supported",
        )
    })
}

fn refuse(description: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::jose::SigningKey;
    use serde_json::json;

    fn read(metadata: &Value) -> Result<ClientKeys, OAuthError> {
        ClientKeys::parse(metadata.as_object().unwrap())
    }

    #[test]
    fn only_the_members_that_verification_needs_are_kept() {
        let mut key = SigningKey::from_seed(&[1; 32]).public_jwk();
        let slim = key.clone();
        key["x5c"] = json!(["a".repeat(5_000)]);
        let keys = read(&json!({ "jwks": { "keys": [{ "kty": "OKP" }, key] } })).unwrap();
        assert_eq!(keys.source, KeySource::Inline(vec![slim]));
    }

    #[test]
    fn an_error_names_the_invalid_member() {
        let public = SigningKey::from_seed(&[1; 32]).public_jwk();
        let mut private = public.clone();
        private["d"] = json!("secret");
        let uri = "https://client.example.com/jwks.json";
        for (metadata, member) in [
            (json!({}), "jwks_uri"),
            (json!({ "jwks_uri": 7 }), "jwks_uri"),
            (json!({ "jwks_uri": "https://10.0.0.1/jwks.json" }), "jwks_uri"),
            (json!({ "jwks_uri": uri, "jwks": { "keys": [public] } }), "jwks and jwks_uri"),
            (json!({ "jwks": [] }), "jwks is not"),
            (json!({ "jwks": { "keys": [] } }), "jwks has no key"),
            (json!({ "jwks": { "keys": [{ "kty": "oct" }] } }), "jwks has no key"),
            (json!({ "jwks": { "keys": [private] } }), "jwks has a private key"),
            (json!({ "jwks": { "keys": vec![public.clone(); 9] } }), "jwks has over"),
            (
                json!({ "jwks_uri": uri, "token_endpoint_auth_signing_alg": "HS256" }),
                "token_endpoint_auth_signing_alg",
            ),
            (
                json!({ "jwks_uri": uri, "token_endpoint_auth_signing_alg": "none" }),
                "token_endpoint_auth_signing_alg",
            ),
        ] {
            let refused = read(&metadata).unwrap_err();
            assert!(refused.description.starts_with(member), "{metadata}: {refused}");
        }
    }

    #[test]
    fn keys_survive_serialization_in_a_client_id() {
        let inline = json!({ "jwks": { "keys": [SigningKey::from_seed(&[1; 32]).public_jwk()] } });
        let at = json!({ "jwks_uri": "https://client.example.com/jwks.json", "token_endpoint_auth_signing_alg": "PS256" });
        for metadata in [inline, at] {
            let keys = read(&metadata).unwrap();
            let serialized = serde_json::to_vec(&keys).unwrap();
            assert_eq!(serde_json::from_slice::<ClientKeys>(&serialized).unwrap(), keys);
        }
    }
}
