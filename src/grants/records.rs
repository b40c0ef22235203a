//! What stands in the store: sealed, versioned, and bound to its place there.

use crate::entropy::Entropy;
use crate::seal::Sealer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The only format so far; it stands in front of the seal.
const VERSION: u8 = 1;

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
    /// Okta's refresh token; without one, we issue none either.
    pub okta_refresh_token: Option<String>,
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
}

impl Records {
    pub(super) fn new(sealer: Sealer, entropy: Entropy) -> Self {
        Self { sealer, entropy }
    }

    /// Seals `record` for `place`, such as `code/<key>`.
    pub(super) fn seal<T: Serialize>(&self, place: &str, record: &T) -> Vec<u8> {
        let json = serde_json::to_vec(record).expect("records are plain structs of text");
        let mut sealed = vec![VERSION];
        sealed.extend(self.sealer.seal(&self.entropy, &json, &context(place)));
        sealed
    }

    /// Whether the first secret sealed this for `place`.
    pub(super) fn is_current(&self, place: &str, sealed: &[u8]) -> bool {
        sealed.split_first().is_some_and(|(_, sealed)| self.sealer.is_current(sealed, &context(place)))
    }

    /// Opens what was sealed for `place`; `None` for another version, a lost secret or an altered record.
    pub(super) fn open<T: DeserializeOwned>(&self, place: &str, sealed: &[u8]) -> Option<T> {
        let (version, sealed) = sealed.split_first()?;
        if *version != VERSION {
            tracing::error!(
                version,
                place,
                "a record of another version: this binary is older than what wrote it"
            );
            return None;
        }
        let json = self.sealer.open(sealed, &context(place))?;
        serde_json::from_slice(&json).ok()
    }
}

fn context(place: &str) -> Vec<u8> {
    [&[VERSION], place.as_bytes()].concat()
}
