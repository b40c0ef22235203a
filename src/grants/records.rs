//! What stands in the store: sealed, with the number of its format in front, and bound to its place there.

use crate::base::clock::Timestamp;
use crate::base::entropy::Entropy;
use crate::crypto::seal::Sealer;
use crate::store::{Store, Unavailable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A grant, as it is sealed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Grant {
    /// Who approved.
    pub subject: Subject,
    /// What was approved to ask.
    pub client_id: String,
    /// The client's name at that time.
    pub client_name: String,
    /// The pattern of the one route that it is for.
    pub route: String,
    /// The granted scopes.
    pub scopes: Vec<String>,
    /// Okta's refresh token, the one copy of it; without one, we issue none either.
    pub okta_refresh_token: Option<String>,
    /// When Okta last let the user in: at the login, then at each re-check.
    #[serde(default = "long_ago")]
    pub checked_at: Timestamp,
    /// When Okta was last asked, whatever came of it.
    #[serde(default = "long_ago")]
    pub asked_at: Timestamp,
}

/// What a record says that is older than the question.
pub(super) const fn long_ago() -> Timestamp {
    Timestamp::from_millis(0)
}

/// Who a grant acts for.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A person who signed in with Okta.
    User(User),
}

/// A person, as Okta named them.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    /// Okta's `sub`.
    pub sub: String,
    /// The e-mail address, when Okta told it.
    pub email: Option<String>,
    /// Okta groups.
    pub groups: Vec<String>,
}

impl Subject {
    /// The person.
    pub fn user(&self) -> &User {
        let Self::User(user) = self;
        user
    }

    /// The person, to be changed.
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

/// Seals records, and opens them in the same place alone.
pub(super) struct Records {
    sealer: Sealer,
    entropy: Entropy,
    store: Arc<Store>,
}

impl Records {
    pub(super) fn new(sealer: Sealer, entropy: Entropy, store: Arc<Store>) -> Self {
        Self { sealer, entropy, store }
    }

    /// Seals `record` for `aad`, such as `code/<key>`.
    pub(super) fn seal<T: Serialize>(&self, aad: &str, record: &T) -> Vec<u8> {
        let json = serde_json::to_vec(record).expect("records are plain structs of text");
        let format = self.store.writes();
        let mut sealed = vec![format];
        sealed.extend(self.sealer.seal(&self.entropy, &json, &context(format, aad)));
        sealed
    }

    /// Whether the first secret sealed this for `aad`, in the format that is written now or a newer one.
    pub(super) fn is_current(&self, aad: &str, sealed: &[u8]) -> bool {
        sealed.split_first().is_some_and(|(format, sealed)| {
            *format >= self.store.writes() && self.sealer.is_current(sealed, &context(*format, aad))
        })
    }

    /// Opens what was sealed for `aad`; `None` for a lost secret or an altered record.
    ///
    /// # Errors
    /// It was sealed by a release that says it in another way. Taken for absent, it would log somebody out.
    pub(super) fn open<T: DeserializeOwned>(
        &self,
        aad: &str,
        sealed: &[u8],
    ) -> Result<Option<T>, Unavailable> {
        let Some((format, sealed)) = sealed.split_first() else { return Ok(None) };
        self.store.reads(*format)?;
        let Some(json) = self.sealer.open(sealed, &context(*format, aad)) else { return Ok(None) };
        let record = serde_json::from_slice(&json);
        record.map(Some).map_err(|_| Unavailable("a record holds what this release does not know".into()))
    }
}

fn context(format: u8, aad: &str) -> Vec<u8> {
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
    }

    #[test]
    fn what_this_release_cannot_read_is_not_taken_for_absent() {
        let (_folder, records) = records();
        let mut newer = records.seal("grant/1", &grant());
        newer[0] = 2;
        assert!(records.open::<Grant>("grant/1", &newer).is_err());
        let mut other = grant();
        other["subject"] = json!({ "machine": {} });
        let other = records.seal("grant/1", &other);
        assert!(records.open::<Grant>("grant/1", &other).is_err());
        assert!(records.open::<Grant>("grant/2", &other).unwrap().is_none(), "of another place");
    }
}
