//! JWT before and during verification.

use super::claims::Claims;
use super::keys::PublicKey;
use super::{Algorithm, JoseError, KeySet};
use crate::base::encoding;
use biscuit::Empty;
use biscuit::jws::Compact;
use serde_json::{Map, Value};

/// Largest token that a client may send.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// JWT whose signature has not been verified.
pub struct UnverifiedJwt<'a> {
    compact: &'a str,
    algorithm: Option<Algorithm>,
    key_id: Option<String>,
    typ: Option<String>,
}

/// Accepted header values.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Accepted `alg` values.
    pub algorithms: &'a [Algorithm],
    /// Accepted `typ`, compared case-insensitively and without `application/` (RFC 9068 §4, RFC 7515 §4.1.9); `None`
    /// accepts any.
    pub typ: Option<&'a str>,
}

impl<'a> UnverifiedJwt<'a> {
    /// Parses the header.
    ///
    /// # Errors
    /// [`JoseError::Malformed`], or [`JoseError::Critical`] for any `crit`.
    pub fn parse(compact: &'a str) -> Result<Self, JoseError> {
        Self::parse_up_to(MAX_TOKEN_BYTES, compact)
    }

    /// Parses the header of a token from a trusted sender, which may be longer than those of clients.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn parse_up_to(max_bytes: usize, compact: &'a str) -> Result<Self, JoseError> {
        if compact.len() > max_bytes {
            return Err(JoseError::Malformed);
        }
        let mut parts = compact.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JoseError::Malformed);
        };
        if encoding::decode(payload).is_none() || encoding::decode(signature).is_none() {
            return Err(JoseError::Malformed);
        }
        let header = encoding::decode(header).ok_or(JoseError::Malformed)?;
        let header: Map<String, Value> = serde_json::from_slice(&header).map_err(|_| JoseError::Malformed)?;
        if header.contains_key("crit") {
            return Err(JoseError::Critical);
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(JoseError::Malformed),
        };
        let algorithm = text("alg")?.ok_or(JoseError::Malformed)?;
        Ok(Self { compact, algorithm: Algorithm::parse(&algorithm), key_id: text("kid")?, typ: text("typ")? })
    }

    /// Returns the `kid`, to select keys by.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Returns the `typ` without `application/`, to reject other types of tokens.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref().map(without_prefix)
    }

    /// Returns the unverified `sub`, only to find the keys that the token must be verified with.
    pub fn claimed_subject(&self) -> Option<String> {
        let payload = encoding::decode(self.compact.split('.').nth(1)?)?;
        let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
        claims.get("sub")?.as_str().map(str::to_owned)
    }

    /// Verifies the signature with the matching key of the set; returns the claims.
    ///
    /// # Errors
    /// The failed check. The claims themselves are checked by [`Claims::check`].
    pub fn verify(self, keys: &KeySet, expected: Expected<'_>) -> Result<Claims, JoseError> {
        let (key, algorithm) = self.key(keys, expected)?;
        Claims::parse(&self.verified_payload(key, algorithm)?)
    }

    /// Selects the key, and parses the claims, without verifying the signature, which takes fifty times as long.
    ///
    /// # Errors
    /// The failed check.
    pub fn select_key<'k>(
        self,
        keys: &'k KeySet,
        expected: Expected<'_>,
    ) -> Result<JwtWithKey<'a, 'k>, JoseError> {
        let (key, algorithm) = self.key(keys, expected)?;
        let payload = self.compact.split('.').nth(1).and_then(encoding::decode);
        let claims = Claims::parse(&payload.ok_or(JoseError::Malformed)?)?;
        Ok(JwtWithKey { jwt: self, key, algorithm, claims })
    }

    /// Selects the key to verify the token with.
    fn key<'k>(
        &self,
        keys: &'k KeySet,
        expected: Expected<'_>,
    ) -> Result<(&'k PublicKey, Algorithm), JoseError> {
        let algorithm =
            self.algorithm.filter(|a| expected.algorithms.contains(a)).ok_or(JoseError::Algorithm)?;
        if let Some(typ) = expected.typ
            && !self.typ.as_deref().is_some_and(|given| without_prefix(given).eq_ignore_ascii_case(typ))
        {
            return Err(JoseError::Type);
        }
        let key = keys.select(self.key_id.as_deref(), algorithm).ok_or(JoseError::UnknownKey)?;
        Ok((key, algorithm))
    }

    fn verified_payload(&self, key: &PublicKey, algorithm: Algorithm) -> Result<Vec<u8>, JoseError> {
        let jws: Compact<Vec<u8>, Empty> = Compact::new_encoded(self.compact);
        let verified =
            jws.into_decoded(&key.secret, algorithm.as_biscuit()).map_err(|_| JoseError::Signature)?;
        verified.payload().cloned().map_err(|_| JoseError::Malformed)
    }
}

/// JWT with the key that it must be verified with.
pub struct JwtWithKey<'a, 'k> {
    jwt: UnverifiedJwt<'a>,
    key: &'k PublicKey,
    algorithm: Algorithm,
    claims: Claims,
}

impl JwtWithKey<'_, '_> {
    /// Returns the unverified claims: a reason to reject the token, never to accept it.
    pub const fn unverified_claims(&self) -> &Claims {
        &self.claims
    }

    /// Verifies the signature; returns the claims.
    ///
    /// # Errors
    /// [`JoseError::Signature`].
    pub fn verify(self) -> Result<Claims, JoseError> {
        self.jwt.verified_payload(self.key, self.algorithm)?;
        Ok(self.claims)
    }
}

/// Removes the prefix `application/` of a media type.
fn without_prefix(typ: &str) -> &str {
    const PREFIX: usize = "application/".len();
    match typ.get(..PREFIX) {
        Some(prefix) if prefix.eq_ignore_ascii_case("application/") => &typ[PREFIX..],
        _ => typ,
    }
}
