//! Credentials that the gateway issues: client ids and secrets, codes, access tokens and refresh tokens. Only this module
//! creates, verifies and digests them.

mod access_token;
mod claims_tag;
mod client_id;
mod code;
mod consent;
mod last_token;
mod refresh_token;
mod signing;
mod verified;

pub use access_token::{AccessToken, RouteAudience, SignedToken, TokenError};
pub use claims_tag::Tag;
pub use client_id::ClientIdTooLong;
pub use consent::Sealed;
pub use last_token::LastToken;
pub use refresh_token::RefreshToken;

use crate::base::clock::{Clock, Timestamp};
use crate::base::encoding;
use crate::base::entropy::Entropy;
use crate::base::ids::Key;
use crate::base::secret::Secret;
use crate::crypto::seal::{self, Keys, Mac, Purpose, Sealer};
use signing::SigningKeys;
use std::sync::Arc;
use std::time::Duration;
use verified::VerifiedTokens;

/// Issuer and verifier of credentials.
pub struct Credentials {
    issuer: Arc<str>,
    access_ttl: Duration,
    clock: Clock,
    entropy: Entropy,
    client_ids: Sealer,
    client_secrets: Mac,
    consent_requests: Sealer,
    refresh_tokens: Mac,
    codes: Mac,
    claims_tags: Mac,
    signing: SigningKeys,
    verified: VerifiedTokens,
}

impl Credentials {
    /// Derives the keys. The issuer is `base_url`; `access_ttl` is the lifetime of access tokens.
    pub fn new(keys: &Keys, issuer: &str, access_ttl: Duration, clock: Clock, entropy: Entropy) -> Self {
        Self {
            issuer: issuer.into(),
            access_ttl,
            clock,
            entropy,
            client_ids: keys.sealer(Purpose::ClientId),
            client_secrets: keys.mac(Purpose::ClientSecret),
            consent_requests: keys.sealer(Purpose::ConsentRequest),
            refresh_tokens: keys.mac(Purpose::RefreshToken),
            codes: keys.mac(Purpose::Code),
            claims_tags: keys.mac(Purpose::AccessTokenClaims),
            signing: SigningKeys::new(keys.clone()),
            verified: VerifiedTokens::default(),
        }
    }

    /// Current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Creates a random text of 256 bits, for a cookie or a state parameter.
    pub fn mint(&self) -> Secret {
        Secret::new(encoding::encode(self.entropy.bytes::<32>()))
    }

    /// Creates random bytes for an id.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        self.entropy.bytes()
    }
}

/// Digest of a random text, under which the store keeps its record.
pub fn digest(minted: &str) -> Key {
    Key(seal::digest(minted.as_bytes()))
}
