//! The ID token, checked in full (OIDC Core §3.1.3.7, §3.1.3.8).

use super::OktaError;
use crate::base::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::base::encoding;
use crate::crypto::jose::{Algorithm, Check, Claims, Expected as ExpectedJwt, KeySet, UnverifiedJwt};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const ALGORITHMS: &[Algorithm] =
    &[Algorithm::Rs256, Algorithm::Es256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Es384];
/// OIDC Core §2.
const MAX_SUB_BYTES: usize = 255;

/// What an ID token is held against.
pub struct Expected<'a> {
    /// The authorization server's `iss`.
    pub issuer: &'a str,
    /// Our app.
    pub client_id: &'a str,
    /// The time.
    pub now: Timestamp,
    /// Of a login: its nonce and the access token that came with it. A refresh has neither.
    pub login: Option<(&'a str, &'a str)>,
}

/// The key that the token says it was signed with.
pub(super) fn key_id(id_token: &str) -> Result<Option<String>, OktaError> {
    Ok(UnverifiedJwt::parse(id_token).map_err(untrustworthy)?.key_id().map(str::to_owned))
}

/// The claims of a token that passes every check.
///
/// # Errors
/// [`OktaError::Untrustworthy`], naming the check.
pub fn verify(id_token: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Claims, OktaError> {
    let jwt = UnverifiedJwt::parse(id_token).map_err(untrustworthy)?;
    let accepted = ExpectedJwt { algorithms: ALGORITHMS, typ: None };
    let claims = jwt.verify(keys, accepted).map_err(untrustworthy)?;
    let (now, leeway) = (expected.now, MAX_CLOCK_SKEW);
    let check = Check { issuer: expected.issuer, audience: expected.client_id, now, leeway };
    claims.check(&check).map_err(untrustworthy)?;
    claims.check_begun("auth_time", now, leeway).map_err(untrustworthy)?;
    let fail = |why: &str| Err(OktaError::Untrustworthy(format!("the ID token {why}")));
    if claims.timestamp("iat").is_none() {
        return fail("has no iat");
    }
    let several = claims.strings("aud").is_some_and(|audiences| audiences.len() > 1);
    match claims.get("azp") {
        None if several => return fail("is for several audiences and has no azp"),
        Some(azp) if azp.as_str() != Some(expected.client_id) => return fail("was issued to another client"),
        _ => {}
    }
    if !claims.str("sub").is_some_and(|sub| (1..=MAX_SUB_BYTES).contains(&sub.len())) {
        return fail("has no sub");
    }
    let Some((nonce, access_token)) = expected.login else { return Ok(claims) };
    let same = |claim: &str, text: &str| {
        claims.str(claim).is_some_and(|c| c.as_bytes().ct_eq(text.as_bytes()).into())
    };
    if !same("nonce", nonce) {
        return fail("has another nonce");
    }
    let half = encoding::encode(&Sha256::digest(access_token)[..16]);
    // Of the algorithms with another hash, Okta uses none; such a token must come without at_hash.
    if claims.get("at_hash").is_some() && !same("at_hash", &half) {
        return fail("has the at_hash of another access token");
    }
    Ok(claims)
}

fn untrustworthy(error: crate::crypto::jose::JoseError) -> OktaError {
    OktaError::Untrustworthy(format!("the ID token: {error}"))
}
