//! Claims of a token.

use super::JoseError;
use crate::base::clock::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;

/// The last second that a `NumericDate` may name here: the year 9999.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// A JWT claims set (RFC 7519 §4).
#[derive(Debug, Clone)]
pub struct Claims(Map<String, Value>);

/// What every set of claims is held against.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// What `iss` must be.
    pub issuer: &'a str,
    /// What `aud` must be or contain.
    pub audience: &'a str,
    /// The time.
    pub now: Timestamp,
    /// How far `exp` may be past, and `iat` and `nbf` in the future, for clocks that differ.
    pub leeway: Duration,
}

impl Claims {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, JoseError> {
        serde_json::from_slice(payload).map(Self).map_err(|_| JoseError::Malformed)
    }

    /// A claim as it is.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All claims by name.
    pub const fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A claim that is text.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A claim that is one text or a list of them; `None` when it is absent or anything else.
    pub fn strings(&self, name: &str) -> Option<Vec<&str>> {
        match self.0.get(name)? {
            Value::String(text) => Some(vec![text]),
            Value::Array(values) => values.iter().map(Value::as_str).collect(),
            _ => None,
        }
    }

    /// A `NumericDate` (RFC 7519 §2), which may have a fraction; `None` when it is absent, negative or absurd.
    pub fn timestamp(&self, name: &str) -> Option<Timestamp> {
        let seconds = self.0.get(name)?.as_f64()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        (0.0..=LAST_SECOND).contains(&seconds).then(|| Timestamp::from_millis((seconds * 1000.0) as u64))
    }

    /// Checks `iss`, `aud`, `exp`, `nbf` and `iat`. All but `nbf` and `iat` must be there.
    ///
    /// # Errors
    /// Which one failed.
    pub fn check(&self, against: &Check<'_>) -> Result<(), JoseError> {
        if self.str("iss") != Some(against.issuer) {
            return Err(JoseError::Issuer);
        }
        if !self.strings("aud").is_some_and(|audiences| audiences.contains(&against.audience)) {
            return Err(JoseError::Audience);
        }
        self.check_expiry(against.now, against.leeway)?;
        ["nbf", "iat"].into_iter().try_for_each(|name| self.check_begun(name, against.now, against.leeway))
    }

    /// Checks that `exp` is there and not further in the past than the leeway; returns it.
    ///
    /// # Errors
    /// It is not; by how much.
    pub fn check_expiry(&self, now: Timestamp, leeway: Duration) -> Result<Timestamp, JoseError> {
        let expires_at = self.timestamp("exp").ok_or(JoseError::Time)?;
        if expires_at.after(leeway) <= now {
            Err(JoseError::Expired(now.since(expires_at)))
        } else {
            Ok(expires_at)
        }
    }

    /// Checks that a time, if it is there, is not further in the future than the leeway.
    ///
    /// # Errors
    /// It is, and by how much; or it is no time.
    pub fn check_begun(&self, name: &str, now: Timestamp, leeway: Duration) -> Result<(), JoseError> {
        if self.get(name).is_none() {
            return Ok(());
        }
        let begins_at = self.timestamp(name).ok_or(JoseError::Time)?;
        if begins_at > now.after(leeway) { Err(JoseError::Early(begins_at.since(now))) } else { Ok(()) }
    }
}
