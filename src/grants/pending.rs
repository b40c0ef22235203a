//! What leads to a grant: logins under way at Okta, and codes. Both count once.

use super::records::long_ago;
use super::{Grants, Subject};
use crate::base::clock::Timestamp;
use crate::base::encoding;
use crate::oauth::authorization::AuthorizationRequest;
use crate::okta::PendingLogin;
use crate::store::{CodeUse, Key, Unavailable};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a person may take at Okta, and how long it is known that a consent form was answered.
pub const LOGIN_TTL: Duration = Duration::from_mins(10);
/// How long a consent form can be answered. The clocks of two replicas may differ by two minutes, and on none of them
/// may a form outlive the record that it was answered.
pub const FORM_TTL: Duration = Duration::from_mins(8);

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

/// Who consented to a request. Format 1 of the store names it; the other value that it once had is refused.
#[derive(Serialize, Deserialize)]
pub enum Consented {
    /// Whoever sits at the browser, just now.
    Now,
}

/// State of a consent form when it is answered, before that answer.
#[derive(Debug, PartialEq, Eq)]
pub enum FormState {
    /// It was not answered before.
    Fresh,
    /// It was allowed, for this route, and its login is still under way.
    Allowed {
        /// The pattern of the route.
        route: Option<String>,
    },
    /// It was denied.
    Denied,
    /// It was allowed, and its login has ended.
    Ended,
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
    /// Stores the login of a consent form that was allowed, for ten minutes, unless the form was answered before.
    pub async fn allow(&self, key: [u8; 32], login: &Login) -> Result<FormState, Unavailable> {
        self.answer(key, self.records.seal(&aad("login", key), login)).await
    }

    /// Stores that a consent form was denied, for ten minutes. A login that it was allowed before ends.
    pub async fn deny(&self, key: [u8; 32]) -> Result<FormState, Unavailable> {
        let before = self.answer(key, self.records.seal(&aad("denied", key), &())).await?;
        let too_late = matches!(before, FormState::Allowed { .. }) && self.take_login(key).await?.is_none();
        Ok(if too_late { FormState::Ended } else { before })
    }

    async fn answer(&self, key: [u8; 32], sealed: Vec<u8>) -> Result<FormState, Unavailable> {
        let kept = self.store.put_login(Key(key), sealed, self.store.clock().now().after(LOGIN_TTL)).await?;
        let Some(kept) = kept else { return Ok(FormState::Fresh) };
        if self.records.open::<()>(&aad("denied", key), &kept)?.is_some() {
            return Ok(FormState::Denied);
        }
        let login: Option<Login> = self.records.open(&aad("login", key), &kept)?;
        Ok(login.map_or(FormState::Ended, |login| FormState::Allowed { route: login.request.route }))
    }

    /// Gives out the login that [`Grants::allow`] stored, once.
    pub async fn take_login(&self, key: [u8; 32]) -> Result<Option<Login>, Unavailable> {
        let sealed = self.store.take_login(Key(key)).await?;
        sealed.map_or(Ok(None), |sealed| self.records.open(&aad("login", key), &sealed))
    }

    /// Keeps a code.
    pub async fn put_code(&self, key: [u8; 32], code: &Code, ttl: Duration) -> Result<(), Unavailable> {
        let sealed = self.records.seal(&aad("code", key), code);
        self.store.put_code(Key(key), sealed, self.store.clock().now().after(ttl)).await
    }

    /// The code, not used up: check who asks, then [`Grants::use_code`].
    pub async fn code(&self, key: [u8; 32]) -> Result<Option<Code>, Unavailable> {
        let sealed = self.store.code(Key(key)).await?;
        sealed.map_or(Ok(None), |sealed| self.records.open(&aad("code", key), &sealed))
    }

    /// Uses the code: exactly one caller ever is the first.
    pub async fn use_code(&self, key: [u8; 32]) -> Result<Option<CodeUse>, Unavailable> {
        self.store.use_code(Key(key)).await
    }
}

fn aad(kind: &str, key: [u8; 32]) -> String {
    format!("{kind}/{}", encoding::encode(key))
}
