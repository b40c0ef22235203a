//! Access tokens: RFC 9068 JWTs, signed with ES256, verified only here.

use super::claims_tag::Author;
use super::{Credentials, LastToken, Tag};
use crate::base::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::base::encoding;
use crate::crypto::jose::{Algorithm, Check, Claims, Expected, UnverifiedJwt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const TYPE: &str = "at+jwt";
const EXPECTED: Expected<'static> = Expected { algorithms: &[Algorithm::Es256], typ: Some(TYPE) };

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
pub enum Rejected {
    /// It is none that this gateway signs: malformed, or of another type, algorithm or key.
    NotOurs,
    /// It has expired, or is for another server or issuer.
    Elsewhere,
    /// Somebody else made it look like ours. Holds the tag of its claims, if those are ours and only the signature is
    /// not.
    Forged(Option<Tag>),
    /// The caller does not let the signature be verified.
    NotVerified,
}

impl Rejected {
    /// The reason, for the log.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotOurs | Self::Forged(_) => "not a token of this gateway",
            Self::Elsewhere => "expired or for another server",
            Self::NotVerified => "too many tokens with a wrong signature",
        }
    }
}

impl Credentials {
    /// How long an access token lives from now.
    pub fn access_ttl(&self) -> Duration {
        self.access_ttl
    }

    /// Signs a token (RFC 9068 §2); `None` when signing fails.
    pub fn sign_access_token(&self, token: &AccessToken) -> Option<String> {
        let now = self.clock.now();
        let mut claims = json!({
            "iss": &*self.issuer,
            "sub": token.subject,
            "aud": &*token.audience,
            "client_id": token.client_id,
            "scope": token.scopes.join(" "),
            "iat": now.seconds(),
            "exp": token.expires_at.seconds(),
            "grant": encoding::encode(token.grant),
        });
        claims["jti"] = self.token_id(claims.as_object()?).into();
        self.signing.at(now).signing.sign(TYPE, &claims).ok()
    }

    /// What a token says that we signed for `audience` and that has not expired (RFC 9068 §4). The signature of a
    /// token is checked once.
    pub fn verify_access_token(&self, token: &str, audience: &str) -> Result<Arc<AccessToken>, Rejected> {
        self.verify(token, super::digest(token), audience, |_| true)
    }

    /// The same for a token that came on this connection, as `credentials`: it remembers what comes twice in a row. A
    /// signature is verified if `may_verify` says so, which is told the tag of claims that are ours.
    pub fn verify_on_connection(
        &self,
        (token, credentials): (&str, &[u8]),
        audience: &str,
        last: &LastToken,
        may_verify: impl FnOnce(Option<&Tag>) -> bool,
    ) -> Result<Arc<AccessToken>, Rejected> {
        let digest = super::digest(token);
        let token = self.verify(token, digest, audience, may_verify)?;
        last.keep(credentials, digest, &token);
        Ok(token)
    }

    /// What credentials say that this connection remembers; for whichever resource they are.
    pub fn recall(&self, credentials: &[u8], last: &LastToken) -> Option<Arc<AccessToken>> {
        last.get(credentials, self.clock.now())
    }

    fn verify(
        &self,
        token: &str,
        digest: [u8; 32],
        audience: &str,
        may_verify: impl FnOnce(Option<&Tag>) -> bool,
    ) -> Result<Arc<AccessToken>, Rejected> {
        let now = self.clock.now();
        if let Some(known) = self.verified.get(&digest, now) {
            return if *known.audience == *audience { Ok(known) } else { Err(Rejected::Elsewhere) };
        }
        let token = Arc::new(self.verify_at_first_sight(token, audience, may_verify)?);
        self.verified.keep(digest, &token, now);
        Ok(token)
    }

    fn verify_at_first_sight(
        &self,
        token: &str,
        audience: &str,
        may_verify: impl FnOnce(Option<&Tag>) -> bool,
    ) -> Result<AccessToken, Rejected> {
        let now = self.clock.now();
        let keys = self.signing.at(now);
        let against = Check { issuer: &self.issuer, audience, now, leeway: MAX_CLOCK_SKEW };
        let unsigned = UnverifiedJwt::parse(token)
            .and_then(|jwt| jwt.unsigned(&keys.verifying, EXPECTED))
            .map_err(|_| Rejected::NotOurs)?;
        unsigned.unverified_claims().check(&against).map_err(|_| Rejected::Elsewhere)?;
        let author = self.author(unsigned.unverified_claims().all());
        let tag = if let Author::Us(tag) = author { Some(tag) } else { None };
        if !may_verify(tag.as_ref()) {
            return Err(Rejected::NotVerified);
        }
        if author == Author::Another {
            return Err(Rejected::Forged(None));
        }
        let claims = unsigned.verify().map_err(|_| Rejected::Forged(tag))?;
        self.said(&claims, audience).ok_or(Rejected::NotOurs)
    }

    /// What verified claims say.
    fn said(&self, claims: &Claims, audience: &str) -> Option<AccessToken> {
        let text = |name| claims.str(name).map(str::to_owned);
        Some(AccessToken {
            subject: text("sub")?,
            audience: self.verified.shared_audience(audience),
            client_id: text("client_id")?,
            scopes: self.verified.shared_scopes(text("scope")?.split(' ').map(str::to_owned).collect()),
            grant: grant(claims)?,
            expires_at: claims.timestamp("exp")?,
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
        let keys = self.signing.at(self.clock.now());
        let unsigned =
            UnverifiedJwt::parse(token).and_then(|jwt| jwt.unsigned(&keys.verifying, EXPECTED)).ok()?;
        let is_forged = self.author(unsigned.unverified_claims().all()) == Author::Another;
        if is_forged { None } else { unsigned.verify().ok() }
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
mod tests;
