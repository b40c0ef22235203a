//! What leads to a grant: logins under way at Okta, and codes. Both count once.

use super::records::long_ago;
use super::{Grants, Subject};
use crate::clock::Timestamp;
use crate::encoding;
use crate::oauth::authorization::AuthorizationRequest;
use crate::okta::PendingLogin;
use crate::store::{CodeUse, Key, Unavailable};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a person may take at Okta.
pub const LOGIN_TTL: Duration = Duration::from_mins(10);

/// A login under way at Okta, found again by its state.
#[derive(Serialize, Deserialize)]
pub struct Login {
    /// What the client asked for.
    pub request: AuthorizationRequest,
    /// What we hold against Okta's answer.
    pub pending: PendingLogin,
    /// The digest of the cookie that binds it to the browser.
    pub browser: [u8; 32],
    /// Who consented.
    pub consented: Consented,
}

/// Who consented to a request.
#[derive(Serialize, Deserialize)]
pub enum Consented {
    /// Whoever sits at the browser, just now.
    Now,
    /// This user, earlier: it counts when Okta names the same one.
    Before(String),
}

/// A person who signed in, but has not consented yet: an earlier consent was another user's.
#[derive(Serialize, Deserialize)]
pub struct Waiting {
    /// Who signed in.
    pub subject: Subject,
    /// When.
    #[serde(default = "long_ago")]
    pub signed_in_at: Timestamp,
    /// Okta's refresh token.
    pub okta_refresh_token: Option<String>,
}

/// An authorization code, found again by its digest.
#[derive(Serialize, Deserialize)]
pub struct Code {
    /// What the client asked for, with the route picked.
    pub request: AuthorizationRequest,
    /// The scopes that were consented to.
    pub scopes: Vec<String>,
    /// Who consented.
    pub subject: Subject,
    /// When they signed in.
    #[serde(default = "long_ago")]
    pub signed_in_at: Timestamp,
    /// Okta's refresh token.
    pub okta_refresh_token: Option<String>,
    /// The id that the grant will have.
    pub grant: [u8; 16],
}

impl Grants {
    /// Keeps a login or a waiting person for ten minutes.
    pub async fn put_login<T: Serialize>(&self, key: [u8; 32], login: &T) -> Result<(), Unavailable> {
        let sealed = self.records.seal(&place("login", key), login);
        self.store.put_login(Key(key), sealed, self.clock.now().after(LOGIN_TTL)).await
    }

    /// Gives what [`Grants::put_login`] kept, once.
    pub async fn take_login<T: serde::de::DeserializeOwned>(
        &self,
        key: [u8; 32],
    ) -> Result<Option<T>, Unavailable> {
        let sealed = self.store.take_login(Key(key)).await?;
        sealed.map_or(Ok(None), |sealed| self.records.open(&place("login", key), &sealed))
    }

    /// Keeps a code.
    pub async fn put_code(&self, key: [u8; 32], code: &Code, ttl: Duration) -> Result<(), Unavailable> {
        let sealed = self.records.seal(&place("code", key), code);
        self.store.put_code(Key(key), sealed, self.clock.now().after(ttl)).await
    }

    /// The code, not used up: check who asks, then [`Grants::use_code`].
    pub async fn code(&self, key: [u8; 32]) -> Result<Option<Code>, Unavailable> {
        let sealed = self.store.code(Key(key)).await?;
        sealed.map_or(Ok(None), |sealed| self.records.open(&place("code", key), &sealed))
    }

    /// Uses the code: exactly one caller ever is the first.
    pub async fn use_code(&self, key: [u8; 32]) -> Result<Option<CodeUse>, Unavailable> {
        self.store.use_code(Key(key)).await
    }
}

fn place(kind: &str, key: [u8; 32]) -> String {
    format!("{kind}/{}", encoding::encode(key))
}
