//! The gateway as Okta's client: `OpenID` Connect's code flow with PKCE, state and nonce (OIDC Core §3.1), at the
//! org authorization server or a custom one.

mod discovery;
mod http;
mod id_token;
mod profile;
mod tokens;

pub use discovery::Metadata;
pub use id_token::{Expected as ExpectedIdToken, verify as verify_id_token};
pub use profile::Profile;

use crate::base::clock::Clock;
use crate::base::encoding;
use crate::base::entropy::Entropy;
use crate::base::secret::Secret;
use discovery::Discovery;
use gateway_routes::AuthorizationServer;
use http::Http;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// All that one call to Okta may take.
const CALL: Duration = Duration::from_secs(5);

/// Okta's issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    url: String,
    custom: bool,
}

impl Issuer {
    /// The issuer of an org's authorization server; a URL with a path is the issuer itself.
    pub fn of(url: &Url, server: AuthorizationServer) -> Self {
        let text = url.as_str().trim_end_matches('/');
        match server {
            _ if url.path() != "/" => Self { url: text.to_owned(), custom: true },
            AuthorizationServer::Org => Self { url: text.to_owned(), custom: false },
            AuthorizationServer::Custom(id) => Self { url: format!("{text}/oauth2/{id}"), custom: true },
        }
    }

    /// The issuer as it stands in metadata and tokens.
    pub fn as_str(&self) -> &str {
        &self.url
    }
}

/// The Okta app.
#[derive(Debug, Clone)]
pub struct OktaConfig {
    /// Its authorization server.
    pub issuer: Issuer,
    /// Its client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: Secret,
    /// Where Okta sends the browser back.
    pub redirect_uri: Url,
    /// The claim that lists the user's groups.
    pub groups_claim: String,
    /// Whether an e-mail address counts without `email_verified` too.
    pub trust_email: bool,
}

/// Why Okta did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OktaError {
    /// An outage: no answer in time, 429, 5xx, or our own credentials refused.
    Unavailable(String),
    /// Okta said no.
    Refused {
        /// Its error code.
        error: String,
        /// Its words.
        description: String,
    },
    /// Its answer failed a check.
    Untrustworthy(String),
}

impl fmt::Display for OktaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(cause) => write!(f, "Okta does not answer: {cause}"),
            Self::Refused { error, description } => write!(f, "Okta refused: {error}: {description}"),
            Self::Untrustworthy(reason) => write!(f, "Okta's answer is not to be trusted: {reason}"),
        }
    }
}

impl std::error::Error for OktaError {}

/// What is held against Okta's answer to a login.
#[derive(Serialize, Deserialize)]
pub struct PendingLogin {
    /// Comes back with the browser (RFC 6749 §10.12).
    pub state: String,
    /// Comes back in the ID token (OIDC Core §3.1.2.1).
    pub nonce: String,
    /// Redeems the code (RFC 7636).
    pub pkce_verifier: String,
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingLogin")
    }
}

/// Who signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// Okta's name for the user.
    pub sub: String,
    /// What Okta tells of them.
    pub profile: Profile,
    /// Okta's refresh token, when the app has them.
    pub refresh_token: Option<Secret>,
}

/// A user who may still use the app.
#[derive(Debug)]
pub struct Revalidated {
    /// The refresh token that counts from now on, when Okta rotates them; to be kept whatever became of the profile.
    pub refresh_token: Option<Secret>,
    /// What Okta tells of them now.
    pub profile: Result<Profile, OktaError>,
}

/// We as Okta's client; clones share what was discovered.
#[derive(Clone)]
pub struct Okta(Arc<Inner>);

struct Inner {
    config: OktaConfig,
    clock: Clock,
    entropy: Entropy,
    http: Http,
    discovery: Discovery,
}

impl Okta {
    /// Does not connect: Okta may be down now.
    ///
    /// # Errors
    /// The HTTP client cannot be built, for want of TLS roots.
    pub fn new(config: OktaConfig, clock: Clock, entropy: Entropy) -> Result<Self, OktaError> {
        let http = Http::new(config.issuer.as_str().starts_with("http:"))?;
        let discovery = Discovery::new(config.issuer.as_str(), clock.clone());
        Ok(Self(Arc::new(Inner { config, clock, entropy, http, discovery })))
    }

    /// The secrets of a new login, whose state begins with `id`. Okta is not asked.
    pub fn new_login(&self, id: &[u8]) -> PendingLogin {
        let secret = || self.0.entropy.bytes::<32>();
        PendingLogin {
            state: encoding::encode([id, &secret()].concat()),
            nonce: encoding::encode(secret()),
            pkce_verifier: encoding::encode(secret()),
        }
    }

    /// The URL at Okta where this login begins.
    pub async fn begin(&self, login: &PendingLogin, login_hint: Option<&str>) -> Result<Url, OktaError> {
        let metadata = self.metadata().await?;
        let mut url = metadata.authorization_endpoint.clone();
        let config = &self.0.config;
        let challenge = encoding::encode(Sha256::digest(&login.pkce_verifier));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &config.client_id)
            .append_pair("redirect_uri", config.redirect_uri.as_str())
            .append_pair("scope", self.scope())
            .append_pair("state", &login.state)
            .append_pair("nonce", &login.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(hint) = login_hint {
            url.query_pairs_mut().append_pair("login_hint", hint);
        }
        Ok(url)
    }

    /// Ends a login with the code that the browser brought back.
    pub async fn complete(&self, code: &str, login: &PendingLogin) -> Result<SignedIn, OktaError> {
        within(CALL, self.redeem(code, login)).await
    }

    /// Asks Okta whether this user may still use the app, by using the refresh token. Takes three calls at the most,
    /// each bounded; who cannot wait for that goes on without the answer, which must be kept all the same.
    ///
    /// # Errors
    /// Okta did not answer, or said no: it has not rotated the token.
    pub async fn revalidate(&self, refresh_token: &Secret, sub: &str) -> Result<Revalidated, OktaError> {
        let metadata = self.metadata().await?;
        let tokens = tokens::refresh(&self.0.config, &metadata, &self.0.http, refresh_token).await?;
        let profile = within(CALL, self.profile_now(&metadata, &tokens, sub)).await;
        Ok(Revalidated { refresh_token: tokens.refresh_token, profile })
    }

    /// The profile, told as at a login; the ID token must be about the same user (OIDC Core §12.2).
    async fn profile_now(
        &self,
        metadata: &Metadata,
        tokens: &tokens::Tokens,
        sub: &str,
    ) -> Result<Profile, OktaError> {
        let claims = match &tokens.id_token {
            Some(id_token) => Some(self.verify(metadata, id_token, None).await?),
            None => None,
        };
        if claims.as_ref().is_some_and(|claims| claims.str("sub") != Some(sub)) {
            return Err(OktaError::Untrustworthy("the ID token of the refresh is about another user".into()));
        }
        let subject = profile::Subject { claims: claims.as_ref(), sub, access_token: &tokens.access_token };
        profile::read(&self.0.config, metadata, &self.0.http, subject).await
    }

    /// What the gateway's app is called at Okta.
    pub fn client_id(&self) -> &str {
        &self.0.config.client_id
    }

    /// Whether Okta can be reached and says what it must.
    pub async fn probe(&self) -> Result<(), OktaError> {
        self.metadata().await.map(drop)
    }

    async fn redeem(&self, code: &str, login: &PendingLogin) -> Result<SignedIn, OktaError> {
        let metadata = self.metadata().await?;
        let tokens =
            tokens::redeem(&self.0.config, &metadata, &self.0.http, (code, &login.pkce_verifier)).await?;
        let id_token =
            tokens.id_token.as_deref().ok_or_else(|| OktaError::Untrustworthy("no ID token came".into()))?;
        let checked = Some((login.nonce.as_str(), tokens.access_token.expose()));
        let claims = self.verify(&metadata, id_token, checked).await?;
        let sub = claims.str("sub").unwrap_or_default();
        let subject = profile::Subject { claims: Some(&claims), sub, access_token: &tokens.access_token };
        let profile = profile::read(&self.0.config, &metadata, &self.0.http, subject).await?;
        Ok(SignedIn { sub: sub.to_owned(), profile, refresh_token: tokens.refresh_token })
    }

    async fn verify(
        &self,
        metadata: &Metadata,
        id_token: &str,
        login: Option<(&str, &str)>,
    ) -> Result<crate::crypto::jose::Claims, OktaError> {
        let inner = &self.0;
        let key_id = id_token::key_id(id_token)?;
        let keys = inner.discovery.keys(&inner.http, metadata, key_id.as_deref()).await?;
        let expected = id_token::Expected {
            issuer: &metadata.issuer,
            client_id: &inner.config.client_id,
            now: inner.clock.now(),
            login,
        };
        id_token::verify(id_token, &keys, &expected)
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, OktaError> {
        within(CALL, self.0.discovery.metadata(&self.0.http)).await
    }

    /// Custom authorization servers refuse scopes that they do not define.
    fn scope(&self) -> &'static str {
        if self.0.config.issuer.custom {
            "openid profile email offline_access"
        } else {
            "openid profile email offline_access groups"
        }
    }
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, OktaError>>,
) -> Result<T, OktaError> {
    let timed_out = || OktaError::Unavailable(format!("no answer within {} s", limit.as_secs()));
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(timed_out()))
}

#[cfg(test)]
mod tests;
