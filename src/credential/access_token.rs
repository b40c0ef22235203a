//! Access tokens: RFC 9068 JWTs, signed with ES256, verified only here.

use super::Credentials;
use crate::clock::Timestamp;
use crate::encoding;
use crate::jose::{Algorithm, Check, Expected, UnverifiedJwt};
use serde_json::{Value, json};
use std::time::Duration;

const TYPE: &str = "at+jwt";
/// Replicas' clocks differ by less; a token that we issued has no other clock in it.
const LEEWAY: Duration = Duration::from_secs(5);

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The user, by Okta's `sub`.
    pub subject: String,
    /// The resource that it is for.
    pub audience: String,
    /// The client that it was issued to.
    pub client_id: String,
    /// The granted scopes.
    pub scopes: Vec<String>,
    /// The grant that it was made from.
    pub grant: [u8; 16],
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Why a token does not count. The client is told only that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected(pub &'static str);

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
            "aud": token.audience,
            "client_id": token.client_id,
            "scope": token.scopes.join(" "),
            "iat": now.seconds(),
            "exp": token.expires_at.seconds(),
            "jti": encoding::encode(self.entropy.bytes::<16>()),
            "grant": encoding::encode(token.grant),
        });
        self.signing.at(now).signing.sign(TYPE, &claims).ok()
    }

    /// What a token says that we signed for `audience` and that has not expired (RFC 9068 §4).
    pub fn verify_access_token(&self, token: &str, audience: &str) -> Result<AccessToken, Rejected> {
        let now = self.clock.now();
        let expected = Expected { algorithms: &[Algorithm::Es256], typ: Some(TYPE) };
        let claims = UnverifiedJwt::parse(token)
            .and_then(|jwt| jwt.verify(&self.signing.at(now).verifying, expected))
            .map_err(|_| Rejected("not a token of this gateway"))?;
        claims
            .check(&Check { issuer: &self.issuer, audience, now, leeway: LEEWAY })
            .map_err(|_| Rejected("expired or for another server"))?;
        let text = |name| claims.str(name).map(str::to_owned).ok_or(Rejected("a claim is missing"));
        let grant = encoding::decode(&text("grant")?).and_then(|id| id.try_into().ok());
        Ok(AccessToken {
            subject: text("sub")?,
            audience: audience.to_owned(),
            client_id: text("client_id")?,
            scopes: text("scope")?.split(' ').map(str::to_owned).collect(),
            grant: grant.ok_or(Rejected("a claim is missing"))?,
            expires_at: claims.timestamp("exp").ok_or(Rejected("a claim is missing"))?,
        })
    }

    /// The public keys that verify our tokens (RFC 7517 §5).
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.signing.at(self.clock.now()).jwks })
    }
}
