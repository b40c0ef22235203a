//! Pending logins at Okta, and authorization codes. Both are single-use.

use super::records::epoch;
use super::{Grants, Subject};
use crate::base::clock::Timestamp;
use crate::base::encoding;
use crate::oauth::authorization::AuthorizationRequest;
use crate::okta::PendingLogin;
use crate::store::{CodeUse, GrantId, Key, Unavailable};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Lifetime of a pending login, and of the record of a submitted consent form.
pub const LOGIN_TTL: Duration = Duration::from_mins(10);
/// Lifetime of a consent form: two minutes of clock skew shorter than [`LOGIN_TTL`], so that on no replica a form outlives
/// the record of its submission.
pub const FORM_TTL: Duration = Duration::from_mins(8);

/// Pending login at Okta, stored under its `state`.
#[derive(Serialize, Deserialize)]
pub struct Login {
    /// Authorization request of the client.
    pub request: AuthorizationRequest,
    /// Values that Okta's response is verified against.
    pub pending: PendingLogin,
    /// Digest of the cookie that binds it to the browser.
    pub browser: Key,
    /// Form of the consent.
    pub consented: Consented,
}

/// Form of the consent to a request. Format 1 of the store contains it; its other, historic value is rejected.
#[derive(Serialize, Deserialize)]
pub enum Consented {
    /// The user submitted the consent form in this browser session.
    Now,
}

/// State of a consent form before a submission.
#[derive(Debug, PartialEq, Eq)]
pub enum FormState {
    /// It was not submitted before.
    Fresh,
    /// It was allowed for this route, and its login is pending.
    Allowed {
        /// Pattern of the route.
        route: Option<String>,
    },
    /// It was denied.
    Denied,
    /// It was allowed, and its login is complete.
    Ended,
}

/// Authorization code, stored under its digest.
#[derive(Serialize, Deserialize)]
pub struct Code {
    /// Authorization request of the client, with the selected route.
    pub request: AuthorizationRequest,
    /// Scopes that the user consented to.
    pub scopes: Vec<String>,
    /// User who consented.
    pub subject: Subject,
    /// Time of the login.
    #[serde(default = "epoch")]
    pub signed_in_at: Timestamp,
    /// Okta's refresh token.
    pub okta_refresh_token: Option<String>,
    /// Id of the future grant.
    pub grant: GrantId,
}

impl Grants {
    /// Stores the login of a consent form that the user allowed, unless the form was submitted before.
    pub async fn allow(&self, key: Key, login: &Login) -> Result<FormState, Unavailable> {
        self.submit(key, self.records.seal(&aad("login", key), login)).await
    }

    /// Stores that the user denied a consent form. Ends the pending login of an earlier submission.
    pub async fn deny(&self, key: Key) -> Result<FormState, Unavailable> {
        let before = self.submit(key, self.records.seal(&aad("denied", key), &())).await?;
        let is_complete =
            matches!(before, FormState::Allowed { .. }) && self.take_login(key).await?.is_none();
        Ok(if is_complete { FormState::Ended } else { before })
    }

    /// Stores the submission of a consent form, unless there was one; returns the state before.
    async fn submit(&self, key: Key, sealed: Vec<u8>) -> Result<FormState, Unavailable> {
        let existing = self.store.put_login(key, sealed, self.store.clock().now().after(LOGIN_TTL)).await?;
        let Some(existing) = existing else { return Ok(FormState::Fresh) };
        if self.records.open::<()>(&aad("denied", key), &existing)?.is_some() {
            return Ok(FormState::Denied);
        }
        let login: Option<Login> = self.records.open(&aad("login", key), &existing)?;
        Ok(login.map_or(FormState::Ended, |login| FormState::Allowed { route: login.request.route }))
    }

    /// Takes the login that [`Grants::allow`] stored, at most once.
    pub async fn take_login(&self, key: Key) -> Result<Option<Login>, Unavailable> {
        let sealed = self.store.take_login(key).await?;
        sealed.map_or(Ok(None), |sealed| self.records.open(&aad("login", key), &sealed))
    }

    /// Stores a code.
    pub async fn put_code(&self, key: Key, code: &Code, ttl: Duration) -> Result<(), Unavailable> {
        let sealed = self.records.seal(&aad("code", key), code);
        self.store.put_code(key, sealed, self.store.clock().now().after(ttl)).await
    }

    /// Reads a code without using it: validate the request, then call [`Grants::use_code`].
    pub async fn code(&self, key: Key) -> Result<Option<Code>, Unavailable> {
        let sealed = self.store.code(key).await?;
        sealed.map_or(Ok(None), |sealed| self.records.open(&aad("code", key), &sealed))
    }

    /// Marks a code as used: exactly one caller gets [`CodeUse::First`]. A call that returns an error does not count.
    pub async fn use_code(&self, key: Key) -> Result<Option<CodeUse>, Unavailable> {
        self.store.use_code(key).await
    }
}

/// Associated data that binds an encrypted record to its key.
fn aad(kind: &str, key: Key) -> String {
    format!("{kind}/{}", encoding::encode(key.0))
}
