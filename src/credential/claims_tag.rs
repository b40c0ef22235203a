//! MAC of an access token's claims, stored in its `jti`.
//!
//! Anyone can write a token that looks genuine until its signature is verified, which takes 0.1 ms. The MAC is verified
//! within a microsecond, so that a flood of forged tokens costs little. A token is accepted only if its signature is
//! valid, too.

use super::Credentials;
use crate::base::encoding;
use serde_json::{Map, Value};

/// Random bytes of the `jti`, which the tag follows.
const RANDOM_BYTES: usize = 16;
const JTI: &str = "jti";

/// Tag of the claims of one token: half of their HMAC-SHA-256.
pub type Tag = [u8; 16];

/// Origin of the claims of a token, by their tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimsOrigin {
    /// The tag is valid: this gateway, or another replica.
    Gateway(Tag),
    /// There is no tag, as in tokens of older releases.
    Untagged,
    /// The tag is invalid.
    Foreign,
}

impl Credentials {
    /// Creates the `jti` for these claims, which have none yet.
    pub(super) fn token_id(&self, claims: &Map<String, Value>) -> String {
        let random: [u8; RANDOM_BYTES] = self.random();
        let tag = with_parts(claims, &random, |parts| self.claims_tags.tag(parts));
        encoding::encode([&random[..], &tag[..size_of::<Tag>()]].concat())
    }

    /// Verifies the tag of these claims.
    pub(super) fn claims_origin(&self, claims: &Map<String, Value>) -> ClaimsOrigin {
        let id = claims.get(JTI).and_then(Value::as_str).and_then(encoding::decode).unwrap_or_default();
        let Some((random, tag)) = id.split_first_chunk::<RANDOM_BYTES>() else {
            return ClaimsOrigin::Foreign;
        };
        if tag.is_empty() {
            return ClaimsOrigin::Untagged;
        }
        let Ok(tag) = Tag::try_from(tag) else { return ClaimsOrigin::Foreign };
        let is_valid = with_parts(claims, random, |parts| self.claims_tags.verify_half(parts, &tag));
        if is_valid { ClaimsOrigin::Gateway(tag) } else { ClaimsOrigin::Foreign }
    }
}

/// Calls `f` with the input of the MAC: the random bytes, then the names and JSON values of all claims but `jti`.
fn with_parts<T>(claims: &Map<String, Value>, random: &[u8], f: impl FnOnce(&[&[u8]]) -> T) -> T {
    let claims = claims.iter().filter(|(name, _)| *name != JTI);
    let texts: Vec<String> = claims.flat_map(|(name, value)| [name.clone(), value.to_string()]).collect();
    let parts: Vec<&[u8]> = std::iter::once(random).chain(texts.iter().map(String::as_bytes)).collect();
    f(&parts)
}
