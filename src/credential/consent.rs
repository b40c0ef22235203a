//! Encrypted authorization request in the form of the consent page.

use super::Credentials;
use crate::base::clock::Timestamp;
use crate::base::encoding;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Value that is encrypted together with its expiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sealed<T> {
    /// Value.
    pub value: T,
    /// Expiry.
    pub expires_at: Timestamp,
}

impl Credentials {
    /// Encrypts a value for the consent page.
    ///
    /// # Errors
    /// The value cannot be serialized.
    pub fn seal_request<T: Serialize>(&self, value: T, ttl: Duration) -> serde_json::Result<String> {
        let sealed = Sealed { value, expires_at: self.now().after(ttl) };
        let json = serde_json::to_vec(&sealed)?;
        Ok(encoding::encode(self.consent_requests.seal(&self.entropy, &json, self.issuer.as_bytes())))
    }

    /// Decrypts the result of [`Credentials::seal_request`]; `None` when it is invalid or has expired. The caller chooses a
    /// `ttl` that allows for clock skew between replicas.
    pub fn open_request<T: DeserializeOwned>(&self, sealed: &str) -> Option<T> {
        let json = self.consent_requests.open(&encoding::decode(sealed)?, self.issuer.as_bytes())?;
        let opened: Sealed<T> = serde_json::from_slice(&json).ok()?;
        (self.now() < opened.expires_at).then_some(opened.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::entropy::Entropy;
    use crate::base::secret::SecretBytes;
    use crate::crypto::seal::Keys;

    #[test]
    fn a_consent_page_of_another_replica_is_valid_despite_clock_skew() {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let keys = Keys::new(vec![SecretBytes::new(vec![1; 32])]);
        let replica = |seconds: i64| {
            let (clock, ttl) = (clock.skewed(seconds * 1000), Duration::from_mins(10));
            Credentials::new(&keys, "https://mcp.example.com", ttl, clock, Entropy::seeded(1))
        };
        let (right, ahead) = (replica(0), replica(119));
        let opens = |replica: &Credentials, sealed: &str| replica.open_request::<String>(sealed).is_some();
        let sealed = [&right, &ahead].map(|replica| replica.seal_request("page", Duration::from_mins(10)));
        clock.advance(Duration::from_mins(8));
        for sealed in sealed.iter().flatten() {
            assert!(opens(&right, sealed) && opens(&ahead, sealed));
        }
        clock.advance(Duration::from_mins(4));
        for sealed in sealed.iter().flatten() {
            assert!(!opens(&right, sealed) && !opens(&ahead, sealed), "it has expired");
        }
    }
}
