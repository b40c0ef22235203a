//! The sealed authorization request that travels through the browser in the consent page.

use super::Credentials;
use crate::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::encoding;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A value sealed with its expiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sealed<T> {
    /// The value.
    pub value: T,
    /// When it stops to count.
    pub expires_at: Timestamp,
}

impl Credentials {
    /// Seals a value for the consent page; `None` when it cannot be written as JSON.
    pub fn seal_request<T: Serialize>(&self, value: T, lives: Duration) -> Option<String> {
        let sealed = Sealed { value, expires_at: self.now().after(lives) };
        let json = serde_json::to_vec(&sealed).ok()?;
        Some(encoding::encode(self.consent_requests.seal(&self.entropy, &json, self.issuer.as_bytes())))
    }

    /// Opens what [`Credentials::seal_request`] sealed; `None` when it is another text or has expired.
    pub fn open_request<T: DeserializeOwned>(&self, sealed: &str) -> Option<T> {
        let json = self.consent_requests.open(&encoding::decode(sealed)?, self.issuer.as_bytes())?;
        let opened: Sealed<T> = serde_json::from_slice(&json).ok()?;
        // Another replica may have sealed it.
        (self.now() < opened.expires_at.after(MAX_CLOCK_SKEW)).then_some(opened.value)
    }
}
