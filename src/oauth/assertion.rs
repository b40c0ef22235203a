//! Client assertions: `private_key_jwt` (RFC 7523 §2.2 and §3, `OpenID` Connect Core §9).

use crate::base::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::crypto::jose::{Algorithm, Claims, Expected as ExpectedJwt, JoseError, KeySet, UnverifiedJwt};
use std::fmt;
use std::time::Duration;

/// `client_assertion_type` (RFC 7523 §2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What an assertion may be signed with, in the order in which it is advertised.
pub const ALGORITHMS: &[Algorithm] =
    &[Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256, Algorithm::Ps256];
/// How far ahead `exp` may be: for as long each `jti` must be remembered.
const MAX_LIFETIME: Duration = Duration::from_mins(10);
const MAX_ID_BYTES: usize = 255;
/// The types that an assertion may have; another one is of a token that was signed for something else (RFC 8725
/// §3.11).
const TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];

/// What an assertion is held against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who it must be of.
    pub client_id: &'a str,
    /// For whom it must be, one of these alone. Our issuer: whatever a client was told, no other server can have been
    /// given such an assertion. At the token endpoint also its URL (RFC 7523 §3), since `ChatGPT` says that.
    pub audiences: &'a [&'a str],
    /// The only algorithm that the client signs with, if it named one.
    pub algorithm: Option<Algorithm>,
    /// The time.
    pub now: Timestamp,
}

/// An assertion that passed, but for its being used once.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its `jti`.
    pub id: String,
    /// When it stops to count, by the clock that it was checked by: until then its use must be remembered.
    pub ends_at: Timestamp,
}

/// Which check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// One that every token must pass.
    Jose(JoseError),
    /// `iss` and `sub` are not both the client.
    Client,
    /// It is not for us, or not for us alone.
    Audience,
    /// It would count for too long.
    Life,
    /// It has no `jti`, or a long one.
    Id,
}

impl Rejected {
    /// Whether another key of the client might verify it.
    pub const fn may_need_a_newer_key(self) -> bool {
        matches!(self, Self::Jose(JoseError::UnknownKey | JoseError::Signature))
    }
}

impl From<JoseError> for Rejected {
    fn from(error: JoseError) -> Self {
        Self::Jose(error)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jose(error) => error.fmt(f),
            Self::Client => f.write_str("iss and sub must both be the client_id"),
            Self::Audience => f.write_str(
                "aud must be the issuer of this server, or at the token endpoint its URL, and nothing else",
            ),
            Self::Life => f.write_str("exp must be at most 10 minutes ahead"),
            Self::Id => f.write_str("jti must be there, of at most 255 characters"),
        }
    }
}

/// Checks an assertion with the client's keys. Whether it was used before is not asked here.
///
/// # Errors
/// Which check failed.
pub fn verify(assertion: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Verified, Rejected> {
    let jwt = UnverifiedJwt::parse(assertion)?;
    if jwt.typ().is_some_and(|typ| !TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ))) {
        return Err(JoseError::Type.into());
    }
    let only = expected.algorithm.as_ref().map_or(ALGORITHMS, std::slice::from_ref);
    let claims = jwt.verify(keys, ExpectedJwt { algorithms: only, typ: None })?;
    check(&claims, expected)
}

fn check(claims: &Claims, expected: &Expected<'_>) -> Result<Verified, Rejected> {
    let is_client = |claim| claims.str(claim) == Some(expected.client_id);
    if !is_client("iss") || !is_client("sub") {
        return Err(Rejected::Client);
    }
    let is_ours = |aud: Vec<&str>| matches!(*aud, [sole] if expected.audiences.contains(&sole));
    if !claims.strings("aud").is_some_and(is_ours) {
        return Err(Rejected::Audience);
    }
    let (now, leeway) = (expected.now, MAX_CLOCK_SKEW);
    let expires_at = claims.check_expiry(now, leeway)?;
    claims.check_begun("nbf", now, leeway)?;
    claims.check_begun("iat", now, leeway)?;
    if expires_at > now.after(MAX_LIFETIME + leeway) {
        return Err(Rejected::Life);
    }
    let id = claims.str("jti").filter(|id| (1..=MAX_ID_BYTES).contains(&id.len())).ok_or(Rejected::Id)?;
    Ok(Verified { id: id.to_owned(), ends_at: expires_at.after(leeway) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::jose::SigningKey;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn key() -> SigningKey {
        SigningKey::from_seed(&[3; 32])
    }

    fn checked(change: impl FnOnce(&mut Value)) -> Result<Verified, Rejected> {
        let mut claims = json!({
            "iss": "client", "sub": "client", "aud": "https://mcp.example.com", "jti": "1", "exp": 1_000_300, "iat": 1_000_000,
        });
        change(&mut claims);
        verified(&key().sign("JWT", &claims).unwrap(), None)
    }

    fn verified(assertion: &str, algorithm: Option<Algorithm>) -> Result<Verified, Rejected> {
        let expected =
            Expected { client_id: "client", audiences: &["https://mcp.example.com"], algorithm, now: NOW };
        verify(assertion, &KeySet::of(&[key()]), &expected)
    }

    fn without(claim: &str) -> Result<Verified, Rejected> {
        checked(|claims| drop(claims.as_object_mut().unwrap().remove(claim)))
    }

    #[test]
    fn an_assertion_of_the_client_for_us_alone_passes() {
        let good = Verified { id: "1".into(), ends_at: Timestamp::from_seconds(1_000_420) };
        assert_eq!(checked(|_| {}), Ok(good));
        assert!(checked(|claims| claims["aud"] = json!(["https://mcp.example.com"])).is_ok());
        assert!(checked(|claims| claims["exp"] = json!(999_881)).is_ok(), "clocks differ");
        assert!(checked(|claims| claims["iat"] = json!(1_000_120)).is_ok(), "clocks differ");
        assert!(without("iat").is_ok());
    }

    #[test]
    fn an_assertion_of_another_or_for_another_is_refused() {
        for claim in ["iss", "sub"] {
            assert_eq!(checked(|claims| claims[claim] = json!("other")), Err(Rejected::Client));
            assert_eq!(without(claim), Err(Rejected::Client));
        }
        for audience in [
            json!("https://other.example.com"),
            json!("https://mcp.example.com/"),
            json!(["https://mcp.example.com", "https://other.example.com"]),
            json!(["https://mcp.example.com", "https://mcp.example.com"]),
            json!([]),
            json!(null),
        ] {
            assert_eq!(
                checked(|claims| claims["aud"] = audience.clone()),
                Err(Rejected::Audience),
                "{audience}"
            );
        }
        assert_eq!(without("aud"), Err(Rejected::Audience));
    }

    #[test]
    fn an_assertion_counts_for_minutes_and_says_which_one_it_is() {
        for exp in [json!(-1), json!("1000300"), json!(null), json!(u64::MAX)] {
            assert_eq!(checked(|claims| claims["exp"] = exp.clone()), Err(JoseError::Time.into()), "{exp}");
        }
        assert_eq!(without("exp"), Err(JoseError::Time.into()));
        assert_eq!(checked(|claims| claims["exp"] = json!(1_000_800)), Err(Rejected::Life));
        let (expired, early) = (Duration::from_mins(2), Duration::from_secs(121));
        assert_eq!(checked(|claims| claims["exp"] = json!(999_880)), Err(JoseError::Expired(expired).into()));
        for claim in ["iat", "nbf"] {
            let refused = checked(|claims| claims[claim] = json!(1_000_121)).unwrap_err();
            assert_eq!(refused, JoseError::Early(early).into());
            assert!(refused.to_string().contains("121 s"), "{refused}");
            assert_eq!(checked(|claims| claims[claim] = json!("x")), Err(JoseError::Time.into()));
        }
        assert_eq!(without("jti"), Err(Rejected::Id));
        for id in [json!(""), json!(7), json!("j".repeat(256))] {
            assert_eq!(checked(|claims| claims["jti"] = id.clone()), Err(Rejected::Id), "{id}");
        }
    }

    #[test]
    fn a_token_of_another_type_or_algorithm_is_no_assertion() {
        let claims = json!({
            "iss": "client", "sub": "client", "aud": "https://mcp.example.com", "jti": "1", "exp": 1_000_300,
        });
        let signed = |typ: &str| key().sign(typ, &claims).unwrap();
        for typ in ["JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt"] {
            assert!(verified(&signed(typ), Some(Algorithm::Es256)).is_ok(), "{typ}");
        }
        for typ in ["at+jwt", "dpop+jwt", "logout+jwt", ""] {
            assert_eq!(verified(&signed(typ), None), Err(JoseError::Type.into()), "{typ}");
        }
        assert_eq!(verified(&signed("JWT"), Some(Algorithm::Rs256)), Err(JoseError::Algorithm.into()));
    }
}
