//! Tags of the claims of an access token, which stand in its `jti`.
//!
//! The key of the signature is public, so anybody can make a token that looks like one of ours until its signature is
//! verified, which takes a tenth of a millisecond. The key of the tag is ours alone, and a tag is checked in a
//! microsecond: claims that somebody else has written are known before the signature is looked at. The signature is what
//! counts all the same.

use super::Credentials;
use crate::base::encoding;
use serde_json::{Map, Value};

/// The `jti`: random bytes, then the tag.
const RANDOM: usize = 16;
const ID: &str = "jti";

/// The tag of the claims of one token; other claims have another one.
pub type Tag = [u8; 16];

/// Who has written the claims of a token, by their tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    /// This gateway, or another replica.
    Us(Tag),
    /// Anybody: there is no tag. Older releases made none.
    Unknown,
    /// Somebody else.
    Another,
}

impl Credentials {
    /// A new `jti` for these claims, which have none yet.
    pub(super) fn token_id(&self, claims: &Map<String, Value>) -> String {
        let random: [u8; RANDOM] = self.random();
        let tag = with_parts(claims, &random, |parts| self.claims_tags.tag(parts));
        encoding::encode([&random[..], &tag[..size_of::<Tag>()]].concat())
    }

    /// Who has written these claims.
    pub(super) fn author(&self, claims: &Map<String, Value>) -> Author {
        let id = claims.get(ID).and_then(Value::as_str).and_then(encoding::decode).unwrap_or_default();
        let Some((random, tag)) = id.split_first_chunk::<RANDOM>() else { return Author::Another };
        if tag.is_empty() {
            return Author::Unknown;
        }
        let Ok(tag) = Tag::try_from(tag) else { return Author::Another };
        let is_ours = with_parts(claims, random, |parts| self.claims_tags.verify_half(parts, &tag));
        if is_ours { Author::Us(tag) } else { Author::Another }
    }
}

/// All claims but the `jti`, as JSON: their order is the one in the token, or that of their names.
fn with_parts<T>(claims: &Map<String, Value>, random: &[u8], f: impl FnOnce(&[&[u8]]) -> T) -> T {
    let claims = claims.iter().filter(|(name, _)| *name != ID);
    let texts: Vec<String> = claims.flat_map(|(name, value)| [name.clone(), value.to_string()]).collect();
    let parts: Vec<&[u8]> = std::iter::once(random).chain(texts.iter().map(String::as_bytes)).collect();
    f(&parts)
}
