//! Access tokens: JWTs by RFC 9068, signed with ES256.

use super::claims_tag::ClaimsOrigin;
use super::{Credentials, LastToken, Tag};
use crate::base::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::base::encoding;
use crate::base::ids::{GrantId, Key};
use crate::crypto::jose::{Algorithm, Check, Claims, Expected, JoseError, UnverifiedJwt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

const TYPE: &str = "at+jwt";
const EXPECTED: Expected<'static> = Expected { algorithms: &[Algorithm::Es256], typ: Some(TYPE) };

/// Content of a verified access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// User: Okta's `sub`.
    pub subject: String,
    /// Resource that it is issued for (`aud`); of a verified token, that of its route.
    pub audience: Arc<str>,
    /// Client that it was issued to.
    pub client_id: String,
    /// Granted scopes.
    pub scopes: Arc<[String]>,
    /// Grant that it belongs to.
    pub grant: GrantId,
    /// Expiry (`exp`).
    pub expires_at: Timestamp,
}

impl AccessToken {
    /// Returns whether it has not expired; tolerates the clock skew of the replica that issued it.
    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        now < self.expires_at.after(MAX_CLOCK_SKEW)
    }
}

/// Audience of a route, which tokens are verified for.
#[derive(Clone, Copy)]
pub struct RouteAudience<'a> {
    /// Resource of the route.
    pub resource: &'a str,
    /// Returns `true` for the `aud` of a token that the route accepts: its resource, or one below it.
    pub includes: &'a dyn Fn(&str) -> bool,
}

/// Content of a token that this gateway signed, which may have expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedToken {
    /// Grant that it belongs to.
    pub grant: GrantId,
    /// Client that it was issued to.
    pub client_id: String,
}

/// Reason to reject an access token. The client learns only `invalid_token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It is malformed, or has a different type, algorithm or key than the tokens of this gateway.
    #[error("not a token of this gateway")]
    Unrecognized,
    /// It has expired, or has a different audience or issuer.
    #[error("expired, or for another audience or issuer")]
    InvalidClaims,
    /// Its signature or its tag is invalid. Holds the tag of its claims, if that is valid and only the signature is not.
    #[error("not a token of this gateway")]
    Forged(Option<Tag>),
    /// The caller did not permit the verification of the signature.
    #[error("too many tokens with an invalid signature")]
    RateLimited,
}

impl Credentials {
    /// Lifetime of an access token.
    pub fn access_ttl(&self) -> Duration {
        self.access_ttl
    }

    /// Signs an access token (RFC 9068 §2).
    ///
    /// # Errors
    /// [`JoseError::Signing`]
    pub fn sign_access_token(&self, token: &AccessToken) -> Result<String, JoseError> {
        let now = self.clock.now();
        let mut claims = json!({
            "iss": &*self.issuer,
            "sub": token.subject,
            "aud": &*token.audience,
            "client_id": token.client_id,
            "scope": token.scopes.join(" "),
            "iat": now.seconds(),
            "exp": token.expires_at.seconds(),
            "grant": encoding::encode(token.grant.0),
        });
        claims["jti"] = self.token_id(claims.as_object().ok_or(JoseError::Signing)?).into();
        self.signing.at(now).signing.sign(TYPE, &claims)
    }

    /// Verifies a token for this audience (RFC 9068 §4). The signature of a token is verified once; the result is cached.
    ///
    /// # Errors
    /// The failed check.
    pub fn verify_access_token(&self, token: &str, audience: &str) -> Result<Arc<AccessToken>, TokenError> {
        let audience = RouteAudience { resource: audience, includes: &|aud| aud == audience };
        self.verify(token, super::digest(token), audience, |_| true)
    }

    /// Verifies a token of a connection, which caches its last token under `credentials`, the value of the
    /// `Authorization` header. `may_verify` decides whether the signature is verified; it gets the tag of the claims, if
    /// that is valid.
    ///
    /// # Errors
    /// The failed check.
    pub fn verify_on_connection(
        &self,
        token: &str,
        credentials: &[u8],
        audience: RouteAudience<'_>,
        last: &LastToken,
        may_verify: impl FnOnce(Option<&Tag>) -> bool,
    ) -> Result<Arc<AccessToken>, TokenError> {
        let digest = super::digest(token);
        let token = self.verify(token, digest, audience, may_verify)?;
        last.insert(credentials, digest, &token);
        Ok(token)
    }

    /// Returns the token that this connection has cached for these credentials, whatever its audience.
    pub fn recall(&self, credentials: &[u8], last: &LastToken) -> Option<Arc<AccessToken>> {
        last.get(credentials, self.clock.now())
    }

    fn verify(
        &self,
        token: &str,
        digest: Key,
        audience: RouteAudience<'_>,
        may_verify: impl FnOnce(Option<&Tag>) -> bool,
    ) -> Result<Arc<AccessToken>, TokenError> {
        let now = self.clock.now();
        if let Some(cached) = self.verified.get(&digest, now) {
            return if *cached.audience == *audience.resource {
                Ok(cached)
            } else {
                Err(TokenError::InvalidClaims)
            };
        }
        let token = Arc::new(self.verify_uncached(token, audience, may_verify)?);
        self.verified.insert(digest, &token);
        Ok(token)
    }

    fn verify_uncached(
        &self,
        token: &str,
        audience: RouteAudience<'_>,
        may_verify: impl FnOnce(Option<&Tag>) -> bool,
    ) -> Result<AccessToken, TokenError> {
        let now = self.clock.now();
        let keys = self.signing.at(now);
        let jwt = UnverifiedJwt::parse(token)
            .and_then(|jwt| jwt.select_key(&keys.verifying, EXPECTED))
            .map_err(|_| TokenError::Unrecognized)?;
        let claimed = jwt.unverified_claims();
        let named = claimed.strings("aud").unwrap_or_default();
        let named =
            named.into_iter().find(|aud| (audience.includes)(aud)).ok_or(TokenError::InvalidClaims)?;
        let expected = Check { issuer: &self.issuer, audience: named, now, leeway: MAX_CLOCK_SKEW };
        claimed.check(&expected).map_err(|_| TokenError::InvalidClaims)?;
        let origin = self.claims_origin(jwt.unverified_claims().all());
        let tag = if let ClaimsOrigin::Gateway(tag) = origin { Some(tag) } else { None };
        if !may_verify(tag.as_ref()) {
            return Err(TokenError::RateLimited);
        }
        if origin == ClaimsOrigin::Foreign {
            return Err(TokenError::Forged(None));
        }
        let claims = jwt.verify().map_err(|_| TokenError::Forged(tag))?;
        self.access_token(&claims, audience.resource).ok_or(TokenError::Unrecognized)
    }

    /// Converts verified claims.
    fn access_token(&self, claims: &Claims, audience: &str) -> Option<AccessToken> {
        let text = |name| claims.str(name).map(str::to_owned);
        Some(AccessToken {
            subject: text("sub")?,
            audience: self.verified.shared_audience(audience),
            client_id: text("client_id")?,
            scopes: self.verified.shared_scopes(text("scope")?.split(' ').map(str::to_owned).collect()),
            grant: grant_id(claims)?,
            expires_at: claims.timestamp("exp")?,
        })
    }

    /// Verifies a token's signature and issuer, but neither audience nor times, in order to revoke its grant: an expired
    /// token may be revoked, and another replica's clock may have set its times.
    pub fn signed_access_token(&self, token: &str) -> Option<SignedToken> {
        let claims = self.signed_claims(token).filter(|claims| claims.str("iss") == Some(&self.issuer))?;
        Some(SignedToken { grant: grant_id(&claims)?, client_id: claims.str("client_id")?.to_owned() })
    }

    /// Returns the claims of a token if its signature is valid.
    fn signed_claims(&self, token: &str) -> Option<Claims> {
        let keys = self.signing.at(self.clock.now());
        let jwt =
            UnverifiedJwt::parse(token).and_then(|jwt| jwt.select_key(&keys.verifying, EXPECTED)).ok()?;
        let is_forged = self.claims_origin(jwt.unverified_claims().all()) == ClaimsOrigin::Foreign;
        if is_forged { None } else { jwt.verify().ok() }
    }

    /// Returns the JWKS of the gateway (RFC 7517 §5).
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.signing.at(self.clock.now()).jwks })
    }
}

fn grant_id(claims: &Claims) -> Option<GrantId> {
    encoding::decode(claims.str("grant")?)?.try_into().ok().map(GrantId)
}

#[cfg(test)]
mod tests;
