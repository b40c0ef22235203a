//! Results of the checks of users at Okta. A result counts for all grants of the user, on all replicas.

use super::records::epoch;
use super::{Grant, GrantId, Grants, User};
use crate::base::clock::Timestamp;
use crate::store::{Key, Unavailable};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Lifetime of the lease of a check: longer than all its calls to Okta and its writes may take.
const LEASE_TTL: Duration = Duration::from_mins(1);
/// Lifetime of a stored result: longer than `okta_recheck` and `okta_grace` together may be.
const RESULT_TTL: Duration = Duration::from_hours(3 * 24);
/// Attempts of a change: only logins write without the lease.
const MAX_UPDATE_ATTEMPTS: usize = 5;

/// Last results of the checks of a user at Okta. Without a stored result, all times are the epoch.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserCheck {
    /// Time of the last login or successful check.
    pub checked_at: Timestamp,
    /// Grant of that login or check.
    pub checked_with: Option<GrantId>,
    /// E-mail address at that time.
    pub email: Option<String>,
    /// Groups at that time.
    pub groups: Vec<String>,
    /// Time of the last query that did not succeed and was no refusal.
    pub failed_at: Timestamp,
    /// `true` if that query failed in a way that a new login may avoid.
    #[serde(default)]
    pub needs_new_login: bool,
    /// Refusal of the user since then.
    pub refusal: Option<Refusal>,
    /// Refusal of one refresh token since then, which may be about that token alone.
    pub token_refusal: Option<TokenRefusal>,
    /// Grant whose refresh token the next check uses.
    pub next: Option<GrantId>,
}

/// Refusal of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Time of the query.
    pub at: Timestamp,
    /// Reason of the refusal.
    pub reason: RefusalReason,
}

/// Reason for which the grants of a user end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// Okta does not let the user in.
    Refused,
    /// Okta could not confirm the user for longer than `okta_grace`.
    Unconfirmed,
}

/// Refusal of a refresh token of Okta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRefusal {
    /// Time of the query.
    pub at: Timestamp,
    /// `true` if it was the token of the last login or successful check.
    pub was_newest: bool,
}

impl Default for UserCheck {
    fn default() -> Self {
        Self {
            checked_at: epoch(),
            checked_with: None,
            email: None,
            groups: Vec::new(),
            failed_at: epoch(),
            needs_new_login: false,
            refusal: None,
            token_refusal: None,
            next: None,
        }
    }
}

impl UserCheck {
    /// Records a login or successful check, unless a later one is known.
    pub fn confirm(&mut self, user: &User, id: GrantId, at: Timestamp) {
        if at < self.checked_at {
            return;
        }
        *self = Self {
            checked_at: at,
            checked_with: Some(id),
            email: user.email.clone(),
            groups: user.groups.clone(),
            failed_at: self.failed_at,
            needs_new_login: false,
            refusal: self.refusal.filter(|refusal| refusal.at > at),
            token_refusal: self.token_refusal.filter(|refusal| refusal.at > at),
            next: None,
        };
    }

    /// Records a query that did not succeed and was no refusal.
    pub fn fail(&mut self, at: Timestamp, needs_new_login: bool) {
        (self.failed_at, self.needs_new_login) = (at, needs_new_login);
    }

    /// Records that Okta refused the user, unless the user has signed in since.
    pub fn refuse(&mut self, refusal: Refusal) {
        if refusal.at >= self.checked_at {
            self.refusal = Some(refusal);
        }
    }

    /// Records that Okta refused the token of a grant. It is the user who is refused once two tokens were, one of them
    /// that of the last login or successful check: any other may have expired, or its successor been lost.
    pub fn refuse_token(&mut self, id: GrantId, at: Timestamp) {
        self.next = self.next.filter(|next| *next != id);
        if at < self.checked_at {
            return;
        }
        let is_newest = self.checked_with == Some(id);
        let before = self.token_refusal.replace(TokenRefusal { at, was_newest: is_newest });
        match before {
            Some(before) if is_newest || before.was_newest => {
                self.refuse(Refusal { at, reason: RefusalReason::Refused });
            }
            _ if !is_newest => self.next = self.checked_with,
            _ => {}
        }
    }

    /// Takes over the result into the grant if it is newer.
    pub fn apply_to(&self, grant: &mut Grant) {
        if self.checked_at > grant.checked_at {
            grant.checked_at = self.checked_at;
            let user = grant.subject.user_mut();
            user.email.clone_from(&self.email);
            user.groups.clone_from(&self.groups);
        }
    }

    /// Returns whether the result is newer than the grant's, with another e-mail address or other groups.
    pub fn changes_profile_of(&self, grant: &Grant) -> bool {
        let user = grant.subject.user();
        self.checked_at > grant.checked_at && (user.email != self.email || user.groups != self.groups)
    }
}

/// Lease of a check.
#[derive(Debug, Clone, Copy)]
pub enum Lease<'a> {
    /// Of a user, by `sub`: one check at a time.
    User(&'a str),
    /// Of a grant: releases that check each grant on its own know this one only.
    Grant(GrantId),
}

impl Grants {
    /// Reads the last result of a user.
    pub async fn user_check(&self, sub: &str) -> Result<UserCheck, Unavailable> {
        let key = self.user_check_key(sub);
        Ok(self.open_user_check(key, self.store.user_check(key).await?.as_deref())?.unwrap_or_default())
    }

    /// Changes the result of a user atomically (compare-and-swap with retries); returns the new one.
    ///
    /// # Errors
    /// The store is unavailable, or other changes won every attempt.
    pub async fn update_user_check(
        &self,
        sub: &str,
        change: impl Fn(&mut UserCheck),
    ) -> Result<UserCheck, Unavailable> {
        let key = self.user_check_key(sub);
        for _ in 0..MAX_UPDATE_ATTEMPTS {
            let old = self.store.user_check(key).await?;
            let mut changed = self.open_user_check(key, old.as_deref())?.unwrap_or_default();
            change(&mut changed);
            let sealed = self.records.seal(&aad(key), &changed);
            let expires_at = self.store.clock().now().after(RESULT_TTL);
            if self.store.replace_user_check(key, old, sealed, expires_at).await? {
                return Ok(changed);
            }
        }
        Err(Unavailable::Contended)
    }

    /// Acquires the lease of a check, across replicas; returns `false` while another holder has it.
    pub async fn begin_check(&self, lease: Lease<'_>, holder: Key) -> Result<bool, Unavailable> {
        let expires_at = self.store.clock().now().after(LEASE_TTL);
        self.store.lease(self.lease_key(lease), holder, expires_at).await
    }

    /// Releases that lease.
    pub async fn end_check(&self, lease: Lease<'_>, holder: Key) -> Result<(), Unavailable> {
        self.store.release(self.lease_key(lease), holder).await
    }

    fn lease_key(&self, lease: Lease<'_>) -> Key {
        match lease {
            Lease::User(sub) => self.key(b"okta-user-check", sub),
            Lease::Grant(id) => self.key(b"okta-check", &id.to_string()),
        }
    }

    fn user_check_key(&self, sub: &str) -> Key {
        self.key(b"user-check", sub)
    }

    fn open_user_check(&self, key: Key, sealed: Option<&[u8]>) -> Result<Option<UserCheck>, Unavailable> {
        sealed.map_or(Ok(None), |sealed| self.records.open(&aad(key), sealed))
    }
}

/// Associated data that binds an encrypted result to its key.
fn aad(key: Key) -> String {
    format!("user-check/{}", crate::base::encoding::encode(key.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: GrantId = GrantId([1; 16]);
    const B: GrantId = GrantId([2; 16]);
    const C: GrantId = GrantId([3; 16]);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn confirmed_with(id: GrantId) -> UserCheck {
        let user = User { sub: "00u1".into(), email: None, groups: vec!["Engineering".into()] };
        let mut check = UserCheck::default();
        check.confirm(&user, id, at(100));
        check
    }

    #[test]
    fn one_refused_token_is_not_the_user() {
        for id in [A, B] {
            let mut check = confirmed_with(A);
            check.refuse_token(id, at(200));
            assert_eq!(check.refusal, None);
            assert!(check.token_refusal.is_some(), "all grants of the user are due");
        }
    }

    #[test]
    fn the_token_of_the_last_check_and_another_one_are_the_user() {
        for (first, second) in [(A, B), (B, A)] {
            let mut check = confirmed_with(A);
            check.refuse_token(first, at(200));
            assert_eq!(check.next, (first == B).then_some(A), "the token that is most likely valid is next");
            check.refuse_token(second, at(201));
            assert_eq!(check.refusal, Some(Refusal { at: at(201), reason: RefusalReason::Refused }));
        }
    }

    #[test]
    fn tokens_that_expired_unused_are_never_the_user() {
        let mut check = confirmed_with(A);
        check.refuse_token(B, at(200));
        check.refuse_token(C, at(201));
        assert_eq!((check.refusal, check.next), (None, Some(A)));
    }

    #[test]
    fn a_login_removes_refusals_and_a_late_refusal_does_not_outlive_it() {
        let mut check = confirmed_with(A);
        let refusal = |seconds| Refusal { at: at(seconds), reason: RefusalReason::Refused };
        check.refuse(refusal(200));
        let user = User { sub: "00u1".into(), email: Some("a@example.com".into()), groups: vec![] };
        check.confirm(&user, B, at(300));
        assert_eq!((check.refusal, check.checked_with), (None, Some(B)));
        check.refuse(refusal(299));
        check.refuse_token(A, at(299));
        assert_eq!((check.refusal, check.token_refusal), (None, None), "the query was made before the login");
        check.confirm(&user, A, at(250));
        assert_eq!(check.checked_at, at(300), "an earlier result changes nothing");
    }
}
