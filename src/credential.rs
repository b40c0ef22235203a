//! What the gateway hands out: sealed client ids, codes, access and refresh tokens. Minted, opened and digested
//! here alone.

mod access_token;
mod claims_tag;
mod client_id;
mod consent;
mod last_token;
mod refresh_token;
mod signing;
mod verified;

pub use access_token::{AccessToken, Rejected, SignedToken};
pub use claims_tag::Tag;
pub use consent::Sealed;
pub use last_token::LastToken;
pub use refresh_token::RefreshToken;

use crate::base::clock::{Clock, Timestamp};
use crate::base::encoding;
use crate::base::entropy::Entropy;
use crate::base::secret::Secret;
use crate::crypto::seal::{self, Keys, Mac, Purpose, Sealer};
use signing::SigningKeys;
use std::sync::Arc;
use std::time::Duration;
use verified::VerifiedTokens;

/// Mints and opens credentials for one issuer.
pub struct Credentials {
    issuer: Arc<str>,
    access_ttl: Duration,
    clock: Clock,
    entropy: Entropy,
    client_ids: Sealer,
    client_secrets: Mac,
    consent_requests: Sealer,
    refresh_tokens: Mac,
    claims_tags: Mac,
    signing: SigningKeys,
    verified: VerifiedTokens,
}

impl Credentials {
    /// Derives every key that is needed; the issuer is `base_url`.
    pub fn new(keys: &Keys, issuer: &str, access_ttl: Duration, clock_and_rng: (Clock, Entropy)) -> Self {
        let (clock, entropy) = clock_and_rng;
        Self {
            issuer: issuer.into(),
            access_ttl,
            clock,
            entropy,
            client_ids: keys.sealer(Purpose::ClientId),
            client_secrets: keys.mac(Purpose::ClientSecret),
            consent_requests: keys.sealer(Purpose::ConsentRequest),
            refresh_tokens: keys.mac(Purpose::RefreshToken),
            claims_tags: keys.mac(Purpose::AccessTokenClaims),
            signing: SigningKeys::new(keys.clone()),
            verified: VerifiedTokens::default(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// 256 random bits as text: a code, a nonce of a cookie, the id of a token.
    pub fn mint(&self) -> Secret {
        Secret::new(encoding::encode(self.entropy.bytes::<32>()))
    }

    /// Random bytes for an id.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        self.entropy.bytes()
    }
}

/// What the store may see of a minted text.
pub fn digest(minted: &str) -> [u8; 32] {
    seal::digest(minted.as_bytes())
}
