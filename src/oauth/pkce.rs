//! PKCE with the method `S256` only (RFC 7636; OAuth 2.1 §7.5.2).

use super::error::OAuthError;
use crate::base::encoding;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// `code_challenge` of an authorization request: a base64url-encoded SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Challenge(String);

impl Challenge {
    /// Parses `code_challenge` and `code_challenge_method`.
    ///
    /// # Errors
    /// `invalid_request` when the challenge is missing or the method is not `S256`. With `plain` (the default of RFC
    /// 7636 §4.3), an attacker who reads the request could redeem the code.
    pub fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Self, OAuthError> {
        let challenge = challenge
            .ok_or_else(|| OAuthError::invalid_request("PKCE is required: send code_challenge (S256)"))?;
        if method != Some("S256") {
            return Err(OAuthError::invalid_request("code_challenge_method must be S256"));
        }
        if encoding::decode(challenge).is_none_or(|digest| digest.len() != 32) {
            return Err(OAuthError::invalid_request("code_challenge is not the base64url of a SHA-256"));
        }
        Ok(Self(challenge.to_owned()))
    }

    /// Verifies a `code_verifier` (RFC 7636 §4.6); one that violates the grammar of §4.1 never matches.
    pub fn matches(&self, verifier: &str) -> bool {
        let grammar = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        (43..=128).contains(&verifier.len())
            && verifier.bytes().all(grammar)
            && encoding::encode(Sha256::digest(verifier)).as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_vector_of_rfc_7636_appendix_b_matches() {
        assert!(Challenge::parse(Some(CHALLENGE), Some("S256")).unwrap().matches(VERIFIER));
    }

    #[test]
    fn another_verifier_does_not_match() {
        let challenge = Challenge::parse(Some(CHALLENGE), Some("S256")).unwrap();
        for verifier in ["", CHALLENGE, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", "short"] {
            assert!(!challenge.matches(verifier), "{verifier}");
        }
    }

    #[test]
    fn the_method_plain_is_rejected_also_as_default() {
        assert!(Challenge::parse(Some(CHALLENGE), Some("plain")).is_err());
        assert!(Challenge::parse(Some(CHALLENGE), None).is_err());
        assert!(Challenge::parse(None, Some("S256")).is_err());
        assert!(Challenge::parse(Some("too-short"), Some("S256")).is_err());
    }
}
