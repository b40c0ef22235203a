//! Authentication of the app at the token endpoint.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256};
use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value;

use super::org::{Memory, Org};
use super::responses::{INVALID_ASSERTION, INVALID_CLIENT, OAuthError, TWO_CREDENTIALS};
use crate::params::Params;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Okta rejects assertions that are valid for more than an hour.
const MAX_ASSERTION_SECONDS: u64 = 3600;

/// Credentials of a request to a protected endpoint.
pub(super) struct Presented<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) form: &'a Params,
    /// Requested URL.
    pub(super) endpoint: String,
}

/// `private_key_jwt` if the app has keys, else `client_secret_basic` or `client_secret_post`; never two of them.
pub(super) fn authenticate(
    org: &Org,
    memory: &mut Memory,
    presented: &Presented<'_>,
) -> Result<(), OAuthError> {
    let form = presented.form;
    let authorization = presented.headers.get(header::AUTHORIZATION);
    let methods = [
        authorization.is_some(),
        form.get("client_secret").is_some(),
        form.get("client_assertion").is_some(),
    ];
    if methods.iter().filter(|&&used| used).count() > 1 {
        return Err(TWO_CREDENTIALS);
    }
    if !org.options.client_jwks.is_empty() {
        return by_assertion(org, memory, presented).ok_or(INVALID_ASSERTION);
    }
    let (id, secret) = if let Some(value) = authorization {
        basic(value.to_str().unwrap_or_default()).ok_or(INVALID_CLIENT)?
    } else {
        let text = |name| form.get(name).unwrap_or_default().to_owned();
        (text("client_id"), text("client_secret"))
    };
    if id == org.options.client_id && secret == memory.client_secret { Ok(()) } else { Err(INVALID_CLIENT) }
}

/// RFC 6749 §2.3.1: both parts are form-encoded first.
fn basic(value: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |half: &str| Params::parse(format!("v={half}").as_bytes()).get("v").map(str::to_owned);
    Some((decode(id)?, decode(secret)?))
}

/// RFC 7523 §3 with Okta's limits: `aud` is the endpoint, `jti` is used once, valid for an hour at most.
fn by_assertion(org: &Org, memory: &mut Memory, presented: &Presented<'_>) -> Option<()> {
    let form = presented.form;
    if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
        return None;
    }
    let claims = verified(form.get("client_assertion")?, &org.options.client_jwks)?;
    let now = org.now();
    let ours = claims["iss"] == org.options.client_id && claims["sub"] == org.options.client_id;
    let at_us = claims["aud"] == *presented.endpoint;
    let expires_at = claims["exp"].as_u64()?;
    let timely = expires_at > now && expires_at <= now + MAX_ASSERTION_SECONDS;
    let jti = claims["jti"].as_str()?;
    let fresh = memory.assertions.get(jti).is_none();
    memory.assertions.insert(jti.to_owned(), ());
    (ours && at_us && timely && fresh).then_some(())
}

fn verified(assertion: &str, jwks: &[Value]) -> Option<Value> {
    let (input, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = input.split_once('.')?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
    let signature = decode(signature)?;
    let matches = |key: &&Value| header["kid"].is_null() || key["kid"] == header["kid"];
    let held = jwks.iter().filter(matches).any(|key| {
        let part = |name: &str| key[name].as_str().and_then(decode);
        holds(&header["alg"], input.as_bytes(), &signature, part).is_some()
    });
    held.then(|| serde_json::from_slice(&decode(claims)?).ok())?
}

/// Verifies the signature with the key whose members `part` returns.
fn holds(alg: &Value, input: &[u8], signature: &[u8], part: impl Fn(&str) -> Option<Vec<u8>>) -> Option<()> {
    match alg.as_str()? {
        "RS256" => {
            let key = RsaPublicKeyComponents { n: part("n")?, e: part("e")? };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, input, signature).ok()
        }
        "ES256" => {
            let point = [vec![4], part("x")?, part("y")?].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(input, signature).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::basic;

    #[test]
    fn basic_credentials_are_form_decoded() {
        // base64("a%3Ab:c%2Bd")
        assert_eq!(basic("Basic YSUzQWI6YyUyQmQ="), Some(("a:b".to_owned(), "c+d".to_owned())));
        assert_eq!(basic("Bearer x"), None);
    }
}
