//! The keys that a client's assertions are verified with: `jwks`, `jwks_uri` and `token_endpoint_auth_signing_alg`
//! (RFC 7591 §2, `OpenID` Connect Registration §2).

use super::assertion::ALGORITHMS;
use super::client_metadata::DocumentUrl;
use super::error::{ErrorCode, OAuthError};
use crate::crypto::jose::{Algorithm, has_private_part, verifying_part};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Keys that stand in the metadata itself travel in a registration's `client_id`.
const MAX_INLINE_KEYS: usize = 8;
/// The longest key set at a `jwks_uri` that is read, in bytes.
pub const MAX_KEY_SET_BYTES: usize = 32 * 1024;

/// What a client registered for `private_key_jwt`. The short names keep its `client_id` short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientKeys {
    /// Where the keys are.
    #[serde(rename = "s")]
    pub source: KeySource,
    /// The only algorithm that its assertions are signed with, if it named one.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeySource {
    /// Here: public keys, no more of each than verifying needs.
    #[serde(rename = "j")]
    Inline(Vec<Value>),
    /// At a URL.
    #[serde(rename = "u")]
    At(DocumentUrl),
}

impl ClientKeys {
    /// From client metadata.
    ///
    /// # Errors
    /// `invalid_client_metadata`, naming the member.
    pub fn read(metadata: &Map<String, Value>) -> Result<Self, OAuthError> {
        let member = |name: &str| metadata.get(name).filter(|value| !value.is_null());
        let source = match (member("jwks"), member("jwks_uri")) {
            (Some(_), Some(_)) => return Err(refuse("jwks and jwks_uri stand there both: leave one out")),
            (Some(jwks), None) => KeySource::Inline(inline(jwks)?),
            (None, Some(Value::String(url))) => {
                KeySource::At(DocumentUrl::parse(url).map_err(|why| refuse(format!("jwks_uri: {why}")))?)
            }
            (None, _) => return Err(refuse("jwks_uri or jwks is needed for private_key_jwt")),
        };
        let algorithm = match member("token_endpoint_auth_signing_alg") {
            None => None,
            Some(name) => Some(algorithm(name)?),
        };
        Ok(Self { source, algorithm })
    }
}

fn inline(jwks: &Value) -> Result<Vec<Value>, OAuthError> {
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

fn algorithm(name: &Value) -> Result<Algorithm, OAuthError> {
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
        ClientKeys::read(metadata.as_object().unwrap())
    }

    #[test]
    fn of_a_key_no_more_is_kept_than_verifying_needs() {
        let mut key = SigningKey::from_seed(&[1; 32]).public_jwk();
        let slim = key.clone();
        key["x5c"] = json!(["a".repeat(5_000)]);
        let keys = read(&json!({ "jwks": { "keys": [{ "kty": "OKP" }, key] } })).unwrap();
        assert_eq!(keys.source, KeySource::Inline(vec![slim]));
    }

    #[test]
    fn what_is_wrong_with_the_keys_is_named() {
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
    fn keys_travel_in_a_client_id_and_come_back() {
        let inline = json!({ "jwks": { "keys": [SigningKey::from_seed(&[1; 32]).public_jwk()] } });
        let at = json!({ "jwks_uri": "https://client.example.com/jwks.json", "token_endpoint_auth_signing_alg": "PS256" });
        for metadata in [inline, at] {
            let keys = read(&metadata).unwrap();
            let travelled = serde_json::to_vec(&keys).unwrap();
            assert_eq!(serde_json::from_slice::<ClientKeys>(&travelled).unwrap(), keys);
        }
    }
}
