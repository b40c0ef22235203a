//! Client assertions: `private_key_jwt` (RFC 7523 §2.2 and §3, `OpenID` Connect Core §9).

use crate::base::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::crypto::jose::{Algorithm, Claims, Expected as ExpectedJwt, JoseError, KeySet, UnverifiedJwt};
use std::time::Duration;
use thiserror::Error;

/// `client_assertion_type` (RFC 7523 §2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Supported signature algorithms, in the order in which the metadata advertises them.
pub const ALGORITHMS: &[Algorithm] =
    &[Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256, Algorithm::Ps256];
/// Longest time that `exp` may lie in the future. Every `jti` is remembered for as long.
const MAX_LIFETIME: Duration = Duration::from_mins(10);
const MAX_JTI_BYTES: usize = 255;
/// Accepted `typ` headers. A token with another type was signed for another purpose (RFC 8725 §3.11).
const TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];

/// Expected values of an assertion.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Client that must be `iss` and `sub`.
    pub client_id: &'a str,
    /// Accepted audiences; `aud` must be exactly one of them. The issuer is always accepted, because no other server
    /// can have received such an assertion. The token endpoint also accepts its own URL (RFC 7523 §3), which `ChatGPT`
    /// sends.
    pub audiences: &'a [&'a str],
    /// Only algorithm that the client registered, if any.
    pub algorithm: Option<Algorithm>,
    /// Current time.
    pub now: Timestamp,
}

/// Verified assertion. The caller must still check that its `jti` was not used before.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    /// `jti` claim.
    pub id: String,
    /// Expiry including the accepted clock skew; the `jti` must be remembered until then.
    pub expires_at: Timestamp,
}

/// Reason why an assertion was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Rejected {
    /// A check of the JWT itself: syntax, signature, type or time.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// `iss` or `sub` is not the client.
    #[error("iss and sub must both be the client_id")]
    Client,
    /// `aud` is not exactly one of the accepted audiences.
    #[error("aud must be the issuer of this server, or at the token endpoint its URL, and nothing else")]
    Audience,
    /// `exp` lies too far in the future.
    #[error("exp must be at most 10 minutes ahead")]
    Lifetime,
    /// `jti` is missing or too long.
    #[error("jti must be there, of at most 255 characters")]
    Jti,
}

impl Rejected {
    /// Returns `true` when the client may have rotated its keys, so that newer keys may verify the assertion.
    pub const fn may_need_newer_keys(self) -> bool {
        matches!(self, Self::Jose(JoseError::UnknownKey | JoseError::Signature))
    }
}

/// Verifies an assertion with the client's keys. Replay of the `jti` is not checked here.
///
/// # Errors
/// The check that failed.
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
    let exp = claims.check_expiry(now, leeway)?;
    claims.check_begun("nbf", now, leeway)?;
    claims.check_begun("iat", now, leeway)?;
    if exp > now.after(MAX_LIFETIME + leeway) {
        return Err(Rejected::Lifetime);
    }
    let id = claims.str("jti").filter(|id| (1..=MAX_JTI_BYTES).contains(&id.len())).ok_or(Rejected::Jti)?;
    Ok(Verified { id: id.to_owned(), expires_at: exp.after(leeway) })
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
    fn an_assertion_of_the_client_for_this_issuer_is_accepted() {
        let good = Verified { id: "1".into(), expires_at: Timestamp::from_seconds(1_000_420) };
        assert_eq!(checked(|_| {}), Ok(good));
        assert!(checked(|claims| claims["aud"] = json!(["https://mcp.example.com"])).is_ok());
        assert!(checked(|claims| claims["exp"] = json!(999_881)).is_ok(), "clocks differ");
        assert!(checked(|claims| claims["iat"] = json!(1_000_120)).is_ok(), "clocks differ");
        assert!(without("iat").is_ok());
    }

    #[test]
    fn an_assertion_with_another_issuer_subject_or_audience_is_rejected() {
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
    fn an_assertion_needs_a_short_lifetime_and_a_jti() {
        for exp in [json!(-1), json!("1000300"), json!(null), json!(u64::MAX)] {
            assert_eq!(checked(|claims| claims["exp"] = exp.clone()), Err(JoseError::Time.into()), "{exp}");
        }
        assert_eq!(without("exp"), Err(JoseError::Time.into()));
        assert_eq!(checked(|claims| claims["exp"] = json!(1_000_800)), Err(Rejected::Lifetime));
        let (expired, early) = (Duration::from_mins(2), Duration::from_secs(121));
        assert_eq!(checked(|claims| claims["exp"] = json!(999_880)), Err(JoseError::Expired(expired).into()));
        for claim in ["iat", "nbf"] {
            let refused = checked(|claims| claims[claim] = json!(1_000_121)).unwrap_err();
            assert_eq!(refused, JoseError::Early(early).into());
            assert!(refused.to_string().contains("121 s"), "{refused}");
            assert_eq!(checked(|claims| claims[claim] = json!("x")), Err(JoseError::Time.into()));
        }
        assert_eq!(without("jti"), Err(Rejected::Jti));
        for id in [json!(""), json!(7), json!("j".repeat(256))] {
            assert_eq!(checked(|claims| claims["jti"] = id.clone()), Err(Rejected::Jti), "{id}");
        }
    }

    #[test]
    fn a_token_with_another_type_or_algorithm_is_rejected() {
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
