//! JWS, JWK and JWT (RFC 7515, 7517, 7519). The only module that uses the `biscuit` crate.
//!
//! biscuit never processes unvalidated input: this module parses the header, selects key and algorithm, and checks every
//! claim. `tests` shows input that biscuit alone would accept or panic at.

mod claims;
mod keys;
mod public_jwk;
mod unverified;

pub use claims::{Check, Claims};
pub use keys::{KeySet, SigningKey};
pub use public_jwk::{has_private_part, verifying_part};
pub use unverified::{Expected, JwtWithKey, UnverifiedJwt};

use biscuit::jwa::SignatureAlgorithm;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use thiserror::Error;

/// Signature algorithms of tokens: only asymmetric ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

/// Type of key that an algorithm needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    P256,
    P384,
    Rsa,
}

impl Algorithm {
    /// Parses the `alg` of a header; `None` for `none`, `HS256` and unknown algorithms.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            _ => return None,
        })
    }

    const fn family(self) -> Family {
        match self {
            Self::Es256 => Family::P256,
            Self::Es384 => Family::P384,
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 => Family::Rsa,
        }
    }

    const fn as_biscuit(self) -> SignatureAlgorithm {
        match self {
            Self::Es256 => SignatureAlgorithm::ES256,
            Self::Es384 => SignatureAlgorithm::ES384,
            Self::Rs256 => SignatureAlgorithm::RS256,
            Self::Rs384 => SignatureAlgorithm::RS384,
            Self::Rs512 => SignatureAlgorithm::RS512,
            Self::Ps256 => SignatureAlgorithm::PS256,
        }
    }
}

/// Failed check of a token or a key set. Contains nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JoseError {
    /// The token is not three parts of canonical base64url, is too long, or contains invalid JSON.
    #[error("the token is malformed")]
    Malformed,
    /// `alg` is not allowed here.
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// `typ` is a different one.
    #[error("the token has a different typ")]
    Type,
    /// The header has `crit`, and no extension is supported (RFC 7515 §4.1.11).
    #[error("the token has a critical header that is not supported")]
    Critical,
    /// No key of the set matches.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// The signature is invalid.
    #[error("the token's signature is invalid")]
    Signature,
    /// `iss` is missing or a different one.
    #[error("the token has a different issuer")]
    Issuer,
    /// `aud` is missing or a different one.
    #[error("the token is for a different audience")]
    Audience,
    /// `exp` is missing, or `exp`, `iat`, `nbf` or `auth_time` is no valid `NumericDate`.
    #[error("exp is missing, or a time in the token is not a valid NumericDate")]
    Time,
    /// `exp` passed this long ago.
    #[error("the token expired {} s ago by this server's clock", whole_seconds(*.0))]
    Expired(Duration),
    /// `iat`, `nbf` or `auth_time` is this far in the future.
    #[error("the token becomes valid in {} s by this server's clock", whole_seconds(*.0))]
    Early(Duration),
    /// The key set is not a JSON object with `keys`, or is too large.
    #[error("the key set cannot be read")]
    KeySet,
    /// Signing failed.
    #[error("the token could not be signed")]
    Signing,
}

/// Seconds of a duration, rounded up.
const fn whole_seconds(duration: Duration) -> u128 {
    duration.as_millis().div_ceil(1000)
}

#[cfg(test)]
mod tests;
