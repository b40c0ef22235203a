//! A token before it is believed.

use super::claims::Claims;
use super::keys::PublicKey;
use super::{Algorithm, JoseError, KeySet};
use crate::base::encoding;
use biscuit::Empty;
use biscuit::jws::Compact;
use serde_json::{Map, Value};

const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A JWT whose signature has not been looked at.
pub struct UnverifiedJwt<'a> {
    compact: &'a str,
    algorithm: Option<Algorithm>,
    key_id: Option<String>,
    typ: Option<String>,
}

/// What a caller accepts.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The algorithms.
    pub algorithms: &'a [Algorithm],
    /// The `typ`, compared without case and without `application/` (RFC 9068 §4, RFC 7515 §4.1.9); `None` takes
    /// any.
    pub typ: Option<&'a str>,
}

impl<'a> UnverifiedJwt<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`JoseError::Malformed`], or [`JoseError::Critical`] for any `crit`.
    pub fn parse(compact: &'a str) -> Result<Self, JoseError> {
        if compact.len() > MAX_TOKEN_BYTES {
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

    /// The `kid`, to fetch keys by.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The `typ` without `application/`, to refuse what is another kind of token.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref().map(bare)
    }

    /// Who the token says it is of, to find out whose keys it must be signed with. A claim, and no more: nothing else
    /// of an unverified token is to be acted on.
    pub fn claimed_subject(&self) -> Option<String> {
        let payload = encoding::decode(self.compact.split('.').nth(1)?)?;
        let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
        claims.get("sub")?.as_str().map(str::to_owned)
    }

    /// The claims, when the signature is by the fitting key of the set.
    ///
    /// # Errors
    /// Which check failed. The claims themselves are not checked here: [`Claims::check`].
    pub fn verify(self, keys: &KeySet, expected: Expected<'_>) -> Result<Claims, JoseError> {
        Claims::parse(&self.verified_payload(self.key(keys, expected)?)?)
    }

    /// The token after all checks but those of its claims and of its signature, which costs fifty times what they cost
    /// together.
    ///
    /// # Errors
    /// Which check failed.
    pub fn unsigned<'k>(
        self,
        keys: &'k KeySet,
        expected: Expected<'_>,
    ) -> Result<Unsigned<'a, 'k>, JoseError> {
        let key = self.key(keys, expected)?;
        let payload = self.compact.split('.').nth(1).and_then(encoding::decode);
        let claims = Claims::parse(&payload.ok_or(JoseError::Malformed)?)?;
        Ok(Unsigned { jwt: self, key, claims })
    }

    /// The one key that the token must have been signed with.
    fn key<'k>(
        &self,
        keys: &'k KeySet,
        expected: Expected<'_>,
    ) -> Result<(&'k PublicKey, Algorithm), JoseError> {
        let algorithm =
            self.algorithm.filter(|a| expected.algorithms.contains(a)).ok_or(JoseError::Algorithm)?;
        if let Some(typ) = expected.typ
            && !self.typ.as_deref().is_some_and(|given| bare(given).eq_ignore_ascii_case(typ))
        {
            return Err(JoseError::Type);
        }
        let key = keys.select(self.key_id.as_deref(), algorithm).ok_or(JoseError::UnknownKey)?;
        Ok((key, algorithm))
    }

    fn verified_payload(&self, (key, algorithm): (&PublicKey, Algorithm)) -> Result<Vec<u8>, JoseError> {
        let jws: Compact<Vec<u8>, Empty> = Compact::new_encoded(self.compact);
        let verified =
            jws.into_decoded(&key.secret, algorithm.of_biscuit()).map_err(|_| JoseError::Signature)?;
        verified.payload().cloned().map_err(|_| JoseError::Malformed)
    }
}

/// A token that is signed with a key of ours, if its signature is good.
pub struct Unsigned<'a, 'k> {
    jwt: UnverifiedJwt<'a>,
    key: (&'k PublicKey, Algorithm),
    claims: Claims,
}

impl Unsigned<'_, '_> {
    /// The claims, which anybody may have written: good to refuse the token by, and for nothing else.
    pub const fn unverified_claims(&self) -> &Claims {
        &self.claims
    }

    /// The claims, when the signature is good.
    ///
    /// # Errors
    /// [`JoseError::Signature`].
    pub fn verify(self) -> Result<Claims, JoseError> {
        self.jwt.verified_payload(self.key)?;
        Ok(self.claims)
    }
}

fn bare(typ: &str) -> &str {
    const PREFIX: usize = "application/".len();
    match typ.get(..PREFIX) {
        Some(prefix) if prefix.eq_ignore_ascii_case("application/") => &typ[PREFIX..],
        _ => typ,
    }
}
