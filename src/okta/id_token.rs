//! ID token verification (OIDC Core §3.1.3.7, §3.1.3.8).

use super::OktaError;
use super::http::MAX_RESPONSE_BYTES;
use crate::base::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::base::encoding;
use crate::crypto::jose::{Algorithm, Check, Claims, Expected as ExpectedJwt, KeySet, UnverifiedJwt};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const ALGORITHMS: &[Algorithm] =
    &[Algorithm::Rs256, Algorithm::Es256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Es384];
/// Longest subject identifier (OIDC Core §2).
const MAX_SUB_BYTES: usize = 255;

/// Expected values of an ID token.
pub struct Expected<'a> {
    /// `iss` of the authorization server.
    pub issuer: &'a str,
    /// Client ID of the gateway's application.
    pub client_id: &'a str,
    /// Current time.
    pub now: Timestamp,
    /// Binding to a login; `None` for a refresh.
    pub login: Option<LoginBinding<'a>>,
}

/// Binding of an ID token to the login that it belongs to.
#[derive(Clone, Copy)]
pub struct LoginBinding<'a> {
    /// `nonce` of the authorization request.
    pub nonce: &'a str,
    /// Access token of the same token response, for `at_hash`.
    pub access_token: &'a str,
}

/// Key ID of the token header, not verified.
pub(super) fn key_id(id_token: &str) -> Result<Option<String>, OktaError> {
    Ok(parse(id_token)?.key_id().map(str::to_owned))
}

/// Parses an ID token, which is as long as the user's groups make it.
fn parse(id_token: &str) -> Result<UnverifiedJwt<'_>, OktaError> {
    UnverifiedJwt::parse_up_to(MAX_RESPONSE_BYTES, id_token).map_err(OktaError::IdToken)
}

/// Verifies an ID token and returns its claims.
///
/// # Errors
/// [`OktaError::IdToken`] or [`OktaError::Invalid`], naming the check.
pub fn verify(id_token: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Claims, OktaError> {
    let jwt = parse(id_token)?;
    let accepted = ExpectedJwt { algorithms: ALGORITHMS, typ: None };
    let claims = jwt.verify(keys, accepted).map_err(OktaError::IdToken)?;
    let (now, leeway) = (expected.now, MAX_CLOCK_SKEW);
    if let Some(issuer) = claims.str("iss").filter(|issuer| *issuer != expected.issuer) {
        return Err(OktaError::other_issuer("the ID token", issuer, expected.issuer));
    }
    let check = Check { issuer: expected.issuer, audience: expected.client_id, now, leeway };
    claims.check(&check).map_err(OktaError::IdToken)?;
    claims.check_begun("auth_time", now, leeway).map_err(OktaError::IdToken)?;
    let fail = |why: &str| Err(OktaError::Invalid(format!("the ID token {why}")));
    if claims.timestamp("iat").is_none() {
        return fail("has no iat");
    }
    let several = claims.strings("aud").is_some_and(|audiences| audiences.len() > 1);
    match claims.get("azp") {
        None if several => return fail("has several audiences and no azp"),
        Some(azp) if azp.as_str() != Some(expected.client_id) => return fail("was issued to another client"),
        _ => {}
    }
    if !claims.str("sub").is_some_and(|sub| (1..=MAX_SUB_BYTES).contains(&sub.len())) {
        return fail("has no sub");
    }
    let Some(LoginBinding { nonce, access_token }) = expected.login else { return Ok(claims) };
    let same = |claim: &str, text: &str| {
        claims.str(claim).is_some_and(|c| c.as_bytes().ct_eq(text.as_bytes()).into())
    };
    if !same("nonce", nonce) {
        return fail("has another nonce");
    }
    let half = encoding::encode(&Sha256::digest(access_token)[..16]);
    // Okta signs with SHA-256 algorithms only; a token with another algorithm must not have at_hash.
    if claims.get("at_hash").is_some() && !same("at_hash", &half) {
        return fail("has the at_hash of another access token");
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::jose::SigningKey;
    use serde_json::{Value, json};

    const NOW: u64 = 1_800_000_000;

    /// Verifies an ID token with one changed claim.
    fn verified(claim: &str, value: Value) -> Result<(), String> {
        let key = SigningKey::from_seed(&[3; 32]);
        let mut claims = json!({
            "iss": "https://acme.okta.com", "aud": "0oa1", "sub": "00u1", "iat": NOW, "exp": NOW + 3600,
        });
        claims[claim] = value;
        let token = key.sign("JWT", &claims).unwrap();
        let expected = Expected {
            issuer: "https://acme.okta.com",
            client_id: "0oa1",
            now: Timestamp::from_seconds(NOW),
            login: None,
        };
        verify(&token, &KeySet::of(&[key]), &expected).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn clocks_may_differ_by_two_minutes_and_an_error_says_by_how_much_they_do() {
        for claim in ["iat", "nbf", "auth_time"] {
            assert_eq!(verified(claim, json!(NOW + 120)), Ok(()), "{claim}");
            let error = verified(claim, json!(NOW + 121)).unwrap_err();
            assert!(error.contains("becomes valid in 121 s by this server's clock"), "{claim}: {error}");
        }
        // A token is not valid at its `exp` any more.
        assert_eq!(verified("exp", json!(NOW - 119)), Ok(()));
        for age in [120, 121] {
            let error = verified("exp", json!(NOW - age)).unwrap_err();
            assert!(error.contains(&format!("expired {age} s ago by this server's clock")), "{error}");
        }
    }
}
