//! What travels through the browser around the consent page: the sealed request, and the remembered answer.

use super::Credentials;
use crate::clock::Timestamp;
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

/// A consent that a user gave before: by whom, to which scopes, when, until when. The cookie that carries it is
/// authenticated together with the client, the redirect URI and the route that it was given for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedConsent {
    /// The user, by Okta's `sub`.
    pub subject: String,
    /// The scopes that were granted.
    pub scopes: Vec<String>,
    /// When it was given.
    pub given_at: Timestamp,
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
        (self.now() < opened.expires_at).then_some(opened.value)
    }

    /// The cookie value that remembers a consent to `asked`: client id, stable redirect URI, route.
    pub fn remember_consent(&self, consent: &RememberedConsent, asked: &[&str; 3]) -> Option<String> {
        let json = serde_json::to_vec(consent).ok()?;
        let tag = self.remembered_consents.tag(&consent_parts(&json, asked));
        Some(encoding::encode([&tag[..], &json].concat()))
    }

    /// The consent that a cookie value remembers for `asked`, unless it was given for something else or ended.
    pub fn recall_consent(&self, cookie: &str, asked: &[&str; 3]) -> Option<RememberedConsent> {
        let bytes = encoding::decode(cookie)?;
        let (tag, json) = bytes.split_first_chunk::<32>()?;
        if !self.remembered_consents.verify(&consent_parts(json, asked), tag) {
            return None;
        }
        let consent: RememberedConsent = serde_json::from_slice(json).ok()?;
        (self.now() < consent.expires_at).then_some(consent)
    }
}

fn consent_parts<'a>(json: &'a [u8], asked: &[&'a str; 3]) -> [&'a [u8]; 4] {
    [json, asked[0].as_bytes(), asked[1].as_bytes(), asked[2].as_bytes()]
}
