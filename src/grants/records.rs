//! Encryption of records in the store. A record begins with the number of its format, and is bound to its key.

use crate::base::clock::Timestamp;
use crate::base::entropy::Entropy;
use crate::crypto::seal::Sealer;
use crate::store::{Store, Unavailable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Content of a grant.
#[derive(Clone, Serialize, Deserialize)]
pub struct Grant {
    /// User who approved the client.
    pub subject: Subject,
    /// Approved client.
    pub client_id: String,
    /// Name of the client at that time.
    pub client_name: String,
    /// Pattern of the route that it is valid for.
    pub route: String,
    /// Path of the resource that was asked for, below the route; `None` for the route itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Granted scopes.
    pub scopes: Vec<String>,
    /// Okta's refresh token, stored only here; without one, the gateway issues none either.
    pub okta_refresh_token: Option<String>,
    /// Time of the last successful validation at Okta: the login, then each revalidation.
    #[serde(default = "epoch")]
    pub checked_at: Timestamp,
    /// Time of the last request to Okta, whatever its result.
    #[serde(default = "epoch")]
    pub asked_at: Timestamp,
}

/// Default of times that older records do not contain.
pub(super) const fn epoch() -> Timestamp {
    Timestamp::from_millis(0)
}

/// Subject of a grant.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// User who signed in with Okta.
    User(User),
}

/// User profile from Okta.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    /// Okta's `sub`.
    pub sub: String,
    /// E-mail address, if Okta provided it.
    pub email: Option<String>,
    /// Groups in Okta.
    pub groups: Vec<String>,
}

impl Subject {
    /// Returns the user.
    pub fn user(&self) -> &User {
        let Self::User(user) = self;
        user
    }

    /// Returns the user, mutably.
    pub fn user_mut(&mut self) -> &mut User {
        let Self::User(user) = self;
        user
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("route", &self.route).finish_non_exhaustive()
    }
}

/// Encryption of records, bound to their keys.
pub(super) struct Records {
    sealer: Sealer,
    entropy: Entropy,
    store: Arc<Store>,
}

impl Records {
    pub(super) fn new(sealer: Sealer, entropy: Entropy, store: Arc<Store>) -> Self {
        Self { sealer, entropy, store }
    }

    /// Encrypts a record with the associated data `aad`, such as `code/<key>`.
    pub(super) fn seal<T: Serialize>(&self, aad: &str, record: &T) -> Vec<u8> {
        let json = serde_json::to_vec(record).expect("records are plain structs of text");
        let format = self.store.writes();
        let mut sealed = vec![format];
        sealed.extend(self.sealer.seal(&self.entropy, &json, &associated_data(format, aad)));
        sealed
    }

    /// Returns whether a record is encrypted with the first secret, in the current format or a newer one.
    pub(super) fn is_current(&self, aad: &str, sealed: &[u8]) -> bool {
        sealed.split_first().is_some_and(|(format, sealed)| {
            *format >= self.store.writes() && self.sealer.is_current(sealed, &associated_data(*format, aad))
        })
    }

    /// Decrypts a record; `None` when its secret was removed or it was altered.
    ///
    /// # Errors
    /// Another release wrote it in an unknown format. Treating it as absent would log a user out.
    pub(super) fn open<T: DeserializeOwned>(
        &self,
        aad: &str,
        sealed: &[u8],
    ) -> Result<Option<T>, Unavailable> {
        let Some((format, sealed)) = sealed.split_first() else { return Ok(None) };
        self.store.reads(*format)?;
        let Some(json) = self.sealer.open(sealed, &associated_data(*format, aad)) else { return Ok(None) };
        serde_json::from_slice(&json).map(Some).map_err(|error| Unavailable::RecordContent(Arc::new(error)))
    }
}

/// Associated data: the format and `aad`.
fn associated_data(format: u8, aad: &str) -> Vec<u8> {
    [&[format], aad.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::secret::SecretBytes;
    use crate::crypto::seal::{Keys, Purpose};
    use crate::store::Format;
    use serde_json::{Value, json};

    fn records() -> (tempfile::TempDir, Records) {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Store::embedded(folder.path(), Clock::system(), &Entropy::system(), Format::default()).unwrap();
        let sealer = Keys::new(vec![SecretBytes::new(vec![7; 32])]).sealer(Purpose::Record);
        (folder, Records::new(sealer, Entropy::seeded(1), Arc::new(store)))
    }

    fn grant() -> Value {
        json!({
            "subject": { "user": { "sub": "00u1", "email": null, "groups": [], "added": 1 } },
            "client_id": "client",
            "client_name": "Client",
            "route": "/mcp/dice/",
            "scopes": [],
            "okta_refresh_token": null,
            "added": { "later": true },
        })
    }

    #[test]
    fn members_that_a_later_release_adds_within_a_format_are_ignored() {
        let (_folder, records) = records();
        let sealed = records.seal("grant/1", &grant());
        let opened: Grant = records.open("grant/1", &sealed).unwrap().unwrap();
        assert_eq!(opened.subject.user().sub, "00u1");
        assert_eq!(opened.resource, None, "an earlier release wrote it");
    }

    #[test]
    fn an_unreadable_record_is_an_error_and_not_absent() {
        let (_folder, records) = records();
        let mut newer = records.seal("grant/1", &grant());
        newer[0] = 2;
        assert!(records.open::<Grant>("grant/1", &newer).is_err());
        let mut other = grant();
        other["subject"] = json!({ "machine": {} });
        let other = records.seal("grant/1", &other);
        assert!(records.open::<Grant>("grant/1", &other).is_err());
        assert!(records.open::<Grant>("grant/2", &other).unwrap().is_none(), "bound to another key");
    }
}
