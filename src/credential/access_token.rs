//! Access tokens: RFC 9068 JWTs, signed with ES256, verified only here.

use super::{Credentials, LastToken};
use crate::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::encoding;
use crate::jose::{Algorithm, Check, Claims, Expected, UnverifiedJwt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const TYPE: &str = "at+jwt";

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The user, by Okta's `sub`.
    pub subject: String,
    /// The resource that it is for.
    pub audience: Arc<str>,
    /// The client that it was issued to.
    pub client_id: String,
    /// The granted scopes.
    pub scopes: Arc<[String]>,
    /// The grant that it was made from.
    pub grant: [u8; 16],
    /// When it ends: its `exp`.
    pub expires_at: Timestamp,
}

impl AccessToken {
    /// Whether it counts by this replica's clock; the one that issued it may have another.
    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        now < self.expires_at.after(MAX_CLOCK_SKEW)
    }
}

/// What a token says that this gateway signed, whenever that was and whenever it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedToken {
    /// The grant that it was made from.
    pub grant: [u8; 16],
    /// The client that it was issued to.
    pub client_id: String,
}

/// Why a token does not count. The client is told only that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected(pub &'static str);

const ELSEWHERE: Rejected = Rejected("expired or for another server");

impl Credentials {
    /// How long an access token lives from now.
    pub fn access_ttl(&self) -> Duration {
        self.access_ttl
    }

    /// Signs a token (RFC 9068 §2); `None` when signing fails.
    pub fn sign_access_token(&self, token: &AccessToken) -> Option<String> {
        let now = self.clock.now();
        let claims = json!({
            "iss": &*self.issuer,
            "sub": token.subject,
            "aud": &*token.audience,
            "client_id": token.client_id,
            "scope": token.scopes.join(" "),
            "iat": now.seconds(),
            "exp": token.expires_at.seconds(),
            "jti": encoding::encode(self.entropy.bytes::<16>()),
            "grant": encoding::encode(token.grant),
        });
        self.signing.at(now).signing.sign(TYPE, &claims).ok()
    }

    /// What a token says that we signed for `audience` and that has not expired (RFC 9068 §4). The signature of a
    /// token is checked once.
    pub fn verify_access_token(&self, token: &str, audience: &str) -> Result<Arc<AccessToken>, Rejected> {
        self.verify(token, super::digest(token), audience)
    }

    /// The same for a token that came on this connection, as `credentials`: it remembers what comes twice in a row.
    pub fn verify_on_connection(
        &self,
        (token, credentials): (&str, &[u8]),
        audience: &str,
        last: &LastToken,
    ) -> Result<Arc<AccessToken>, Rejected> {
        let digest = super::digest(token);
        let token = self.verify(token, digest, audience)?;
        last.keep(credentials, digest, &token);
        Ok(token)
    }

    /// What credentials say that this connection remembers; for whichever resource they are.
    pub fn recall(&self, credentials: &[u8], last: &LastToken) -> Option<Arc<AccessToken>> {
        last.get(credentials, self.clock.now())
    }

    fn verify(&self, token: &str, digest: [u8; 32], audience: &str) -> Result<Arc<AccessToken>, Rejected> {
        let now = self.clock.now();
        if let Some(known) = self.verified.get(&digest, now) {
            return if *known.audience == *audience { Ok(known) } else { Err(ELSEWHERE) };
        }
        let token = Arc::new(self.verify_at_first_sight(token, audience)?);
        self.verified.keep(digest, &token, now);
        Ok(token)
    }

    fn verify_at_first_sight(&self, token: &str, audience: &str) -> Result<AccessToken, Rejected> {
        let now = self.clock.now();
        let claims = self.signed_claims(token).ok_or(Rejected("not a token of this gateway"))?;
        claims
            .check(&Check { issuer: &self.issuer, audience, now, leeway: MAX_CLOCK_SKEW })
            .map_err(|_| ELSEWHERE)?;
        let text = |name| claims.str(name).map(str::to_owned).ok_or(Rejected("a claim is missing"));
        Ok(AccessToken {
            subject: text("sub")?,
            audience: self.verified.shared_audience(audience),
            client_id: text("client_id")?,
            scopes: self.verified.shared_scopes(text("scope")?.split(' ').map(str::to_owned).collect()),
            grant: grant(&claims).ok_or(Rejected("a claim is missing"))?,
            expires_at: claims.timestamp("exp").ok_or(Rejected("a claim is missing"))?,
        })
    }

    /// What a token says that we signed, whichever resource it is for and whatever its times are: to end its grant, they
    /// do not count, since another replica's clock has set them.
    pub fn signed_access_token(&self, token: &str) -> Option<SignedToken> {
        let claims = self.signed_claims(token).filter(|claims| claims.str("iss") == Some(&self.issuer))?;
        Some(SignedToken { grant: grant(&claims)?, client_id: claims.str("client_id")?.to_owned() })
    }

    /// The claims of a token that we signed, for whatever and whenever.
    fn signed_claims(&self, token: &str) -> Option<Claims> {
        let expected = Expected { algorithms: &[Algorithm::Es256], typ: Some(TYPE) };
        let keys = self.signing.at(self.clock.now());
        UnverifiedJwt::parse(token).and_then(|jwt| jwt.verify(&keys.verifying, expected)).ok()
    }

    /// The public keys that verify our tokens (RFC 7517 §5).
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.signing.at(self.clock.now()).jwks })
    }
}

fn grant(claims: &Claims) -> Option<[u8; 16]> {
    encoding::decode(claims.str("grant")?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::entropy::Entropy;
    use crate::seal::Keys;
    use crate::secret::SecretBytes;

    const DICE: &str = "https://mcp.example.com/mcp/dice";

    /// Credentials, a token for [`DICE`] that they have seen, and their clock.
    fn seen() -> (Credentials, String, Clock) {
        let keys = Keys::new(vec![SecretBytes::new(vec![1; 32])]);
        let (clock, ttl) = (Clock::manual(Timestamp::from_seconds(1_800_000_000)), Duration::from_mins(10));
        let ambient = (clock.clone(), Entropy::seeded(1));
        let credentials = Credentials::new(&keys, "https://mcp.example.com", ttl, ambient);
        let token = credentials.sign_access_token(&AccessToken {
            subject: "00u1".into(),
            audience: DICE.into(),
            client_id: "client".into(),
            scopes: ["mcp:dice".to_owned()].into(),
            grant: [7; 16],
            expires_at: clock.now().after(ttl),
        });
        let token = token.unwrap();
        credentials.verify_access_token(&token, DICE).unwrap();
        (credentials, token, clock)
    }

    #[test]
    fn a_token_seen_before_says_the_same_again() {
        let (credentials, token, _) = seen();
        let again = credentials.verify_access_token(&token, DICE).unwrap();
        assert_eq!((&*again.subject, again.grant), ("00u1", [7; 16]));
    }

    #[test]
    fn a_token_seen_before_still_counts_for_its_own_server_alone() {
        let (credentials, token, _) = seen();
        let elsewhere = credentials.verify_access_token(&token, "https://mcp.example.com/mcp/uuid");
        assert_eq!(elsewhere.unwrap_err(), ELSEWHERE);
    }

    #[test]
    fn a_token_seen_before_still_expires() {
        let (credentials, token, clock) = seen();
        clock.advance(Duration::from_mins(12).checked_sub(Duration::from_millis(1)).unwrap());
        assert!(credentials.verify_access_token(&token, DICE).is_ok(), "another replica may be behind");
        clock.advance(Duration::from_millis(1));
        assert_eq!(credentials.verify_access_token(&token, DICE).unwrap_err(), ELSEWHERE);
    }

    #[test]
    fn a_token_is_known_for_ours_whatever_its_times_say_with_every_secret_and_until_its_key_is_gone() {
        let (_, token, clock) = seen();
        let ttl = Duration::from_mins(10);
        let with = |secrets: &[u8], days: i64| {
            let secrets = secrets.iter().map(|fill| SecretBytes::new(vec![*fill; 32])).collect();
            let ambient = (clock.skewed(days * 24 * 60 * 60 * 1000), Entropy::seeded(1));
            let credentials = Credentials::new(&Keys::new(secrets), "https://mcp.example.com", ttl, ambient);
            credentials.signed_access_token(&token).map(|token| (token.grant, token.client_id))
        };
        let known = Some(([7; 16], "client".to_owned()));
        // Its key counts in the period before its own, in its own and in the next one.
        for days in [-30, -1, 0, 1, 30] {
            assert_eq!(with(&[1], days), known, "{days} days");
            assert_eq!(with(&[2, 1], days), known, "{days} days, by an older secret");
        }
        assert_eq!((with(&[1], 61), with(&[1], -61), with(&[2], 0)), (None, None, None));
    }

    #[test]
    fn a_connection_remembers_a_token_that_came_twice_in_a_row_and_no_other() {
        let (credentials, token, clock) = seen();
        let last = LastToken::default();
        let other = credentials.sign_access_token(&credentials.verify_access_token(&token, DICE).unwrap());
        let other = other.unwrap();
        let remembered = |token: &str| {
            let recalled = credentials.recall(token.as_bytes(), &last).is_some();
            credentials.verify_on_connection((token, token.as_bytes()), DICE, &last).unwrap();
            recalled
        };
        let order = [&token, &other, &token, &token, &token, &other, &token];
        let recalled = order.map(|token| remembered(token));
        assert_eq!(recalled, [false, false, false, false, true, false, false]);
        remembered(&token);
        assert!(credentials.recall(&token.as_bytes()[..token.len() - 1], &last).is_none());
        clock.advance(Duration::from_mins(12));
        assert!(credentials.recall(token.as_bytes(), &last).is_none(), "it has expired");
    }

    #[test]
    fn an_altered_token_is_not_the_one_that_was_seen() {
        let (credentials, token, _) = seen();
        for at in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(credentials.verify_access_token(&altered, DICE).is_err(), "character {at}");
        }
    }
}
