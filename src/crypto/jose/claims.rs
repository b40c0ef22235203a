//! Claims of a token, and their checks.

use super::JoseError;
use crate::base::clock::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;

/// Largest accepted `NumericDate`: the end of the year 9999.
const MAX_NUMERIC_DATE: f64 = 253_402_300_799.0;

/// JWT claims set (RFC 7519 §4).
#[derive(Debug, Clone)]
pub struct Claims(Map<String, Value>);

/// Expected values of the registered claims.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// Expected `iss`.
    pub issuer: &'a str,
    /// Value that `aud` must be or contain.
    pub audience: &'a str,
    /// Current time.
    pub now: Timestamp,
    /// Tolerated clock skew: `exp` may be this far in the past, `iat` and `nbf` this far in the future.
    pub leeway: Duration,
}

impl Claims {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, JoseError> {
        serde_json::from_slice(payload).map(Self).map_err(|_| JoseError::Malformed)
    }

    /// Returns a claim as JSON.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Returns all claims by name.
    pub const fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns a claim that is a string.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Returns a claim that is a string or an array of strings; `None` when it is absent or of another type.
    pub fn strings(&self, name: &str) -> Option<Vec<&str>> {
        match self.0.get(name)? {
            Value::String(text) => Some(vec![text]),
            Value::Array(values) => values.iter().map(Value::as_str).collect(),
            _ => None,
        }
    }

    /// Returns a `NumericDate` (RFC 7519 §2), which may have a fraction; `None` when it is absent or out of range.
    pub fn timestamp(&self, name: &str) -> Option<Timestamp> {
        let seconds = self.0.get(name)?.as_f64()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        (0.0..=MAX_NUMERIC_DATE).contains(&seconds).then(|| Timestamp::from_millis((seconds * 1000.0) as u64))
    }

    /// Checks `iss`, `aud`, `exp`, `nbf` and `iat`; `nbf` and `iat` are optional.
    ///
    /// # Errors
    /// The first failed check.
    pub fn check(&self, expected: &Check<'_>) -> Result<(), JoseError> {
        if self.str("iss") != Some(expected.issuer) {
            return Err(JoseError::Issuer);
        }
        if !self.strings("aud").is_some_and(|audiences| audiences.contains(&expected.audience)) {
            return Err(JoseError::Audience);
        }
        self.check_expiry(expected.now, expected.leeway)?;
        ["nbf", "iat"].into_iter().try_for_each(|name| self.check_begun(name, expected.now, expected.leeway))
    }

    /// Checks that `exp` is present and not further in the past than the leeway; returns it.
    ///
    /// # Errors
    /// `exp` is missing, or has passed; then by how much.
    pub fn check_expiry(&self, now: Timestamp, leeway: Duration) -> Result<Timestamp, JoseError> {
        let expires_at = self.timestamp("exp").ok_or(JoseError::Time)?;
        if expires_at.after(leeway) <= now {
            Err(JoseError::Expired(now.since(expires_at)))
        } else {
            Ok(expires_at)
        }
    }

    /// Checks that a time, if present, is not further in the future than the leeway.
    ///
    /// # Errors
    /// It is, then by how much; or it is no valid time.
    pub fn check_begun(&self, name: &str, now: Timestamp, leeway: Duration) -> Result<(), JoseError> {
        if self.get(name).is_none() {
            return Ok(());
        }
        let begins_at = self.timestamp(name).ok_or(JoseError::Time)?;
        if begins_at > now.after(leeway) { Err(JoseError::Early(begins_at.since(now))) } else { Ok(()) }
    }
}
