//! `OpenID` Connect client for Okta: authorization code flow with PKCE, state and nonce (OIDC Core §3.1), at the org
//! authorization server or a custom one.

mod discovery;
mod error;
mod group_limit;
mod http;
mod id_token;
mod issuer;
mod profile;
mod refusal;
mod tokens;

pub use discovery::{METADATA_REMEDY, Metadata};
pub use error::OktaError;
pub use id_token::{Expected as ExpectedIdToken, LoginBinding, verify as verify_id_token};
pub use issuer::Issuer;
pub use profile::Profile;

use crate::base::clock::Clock;
use crate::base::encoding;
use crate::base::entropy::Entropy;
use crate::base::secret::Secret;
use crate::settings::EgressProxy;
use discovery::Discovery;
use group_limit::GroupLimit;
use http::Http;
use rustls::RootCertStore;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Timeout of one step at Okta, including its requests.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout of the discovery: longer than that of its request, whose error has the cause.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(6);

/// Configuration of the Okta application.
#[derive(Debug, Clone)]
pub struct OktaConfig {
    /// Issuer of the authorization server.
    pub issuer: Issuer,
    /// Client ID.
    pub client_id: String,
    /// Client secret.
    pub client_secret: Secret,
    /// Redirect URI registered at Okta.
    pub redirect_uri: Url,
    /// Claim that lists the user's groups.
    pub groups_claim: String,
    /// Groups that routes name, which are kept of a user who is in too many.
    pub named_groups: BTreeSet<&'static str>,
    /// Accepts an e-mail address without `email_verified`.
    pub trust_email: bool,
    /// Trusted certificate authorities.
    pub authorities: RootCertStore,
    /// Proxy of its requests.
    pub egress_proxy: Option<EgressProxy>,
}

/// Secrets of a login in progress, which Okta's response is checked against.
#[derive(Serialize, Deserialize)]
pub struct PendingLogin {
    /// `state` of the redirect (RFC 6749 §10.12).
    pub state: String,
    /// `nonce` of the ID token (OIDC Core §3.1.2.1).
    pub nonce: String,
    /// PKCE verifier of the code (RFC 7636).
    pub pkce_verifier: String,
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingLogin")
    }
}

/// Result of a successful login.
#[derive(Debug)]
pub struct SignedIn {
    /// Subject identifier of the user.
    pub sub: String,
    /// Profile of the user.
    pub profile: Profile,
    /// Refresh token, if the application is allowed to use them.
    pub refresh_token: Option<Secret>,
}

/// Result of a successful revalidation.
#[derive(Debug)]
pub struct Revalidated {
    /// New refresh token, when Okta rotates them; must be stored even if reading the profile failed.
    pub refresh_token: Option<Secret>,
    /// Current profile of the user.
    pub profile: Result<Profile, OktaError>,
}

/// Client of Okta; clones share the discovery cache.
#[derive(Clone)]
pub struct Okta(Arc<Inner>);

struct Inner {
    config: OktaConfig,
    clock: Clock,
    entropy: Entropy,
    http: Http,
    discovery: Discovery,
    group_limit: GroupLimit,
}

impl Okta {
    /// Creates a client without connecting: Okta may be unavailable at startup.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(config: OktaConfig, clock: Clock, entropy: Entropy) -> Result<Self, OktaError> {
        let plain_allowed = config.issuer.as_str().starts_with("http:");
        let http = Http::new(plain_allowed, config.authorities.clone(), config.egress_proxy.as_ref())?;
        let discovery = Discovery::new(config.issuer.as_str(), &config.client_id, clock.clone());
        let group_limit = GroupLimit::new(clock.clone());
        Ok(Self(Arc::new(Inner { config, clock, entropy, http, discovery, group_limit })))
    }

    /// Generates the secrets of a new login, whose `state` begins with `id`.
    pub fn new_login(&self, id: &[u8]) -> PendingLogin {
        let secret = || self.0.entropy.bytes::<32>();
        PendingLogin {
            state: encoding::encode([id, &secret()].concat()),
            nonce: encoding::encode(secret()),
            pkce_verifier: encoding::encode(secret()),
        }
    }

    /// Builds the authorization URL of a login.
    pub async fn begin(&self, login: &PendingLogin, login_hint: Option<&str>) -> Result<Url, OktaError> {
        let metadata = self.metadata().await?;
        let mut url = metadata.authorization_endpoint.clone();
        let config = &self.0.config;
        let challenge = encoding::encode(Sha256::digest(&login.pkce_verifier));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &config.client_id)
            .append_pair("redirect_uri", config.redirect_uri.as_str())
            .append_pair("scope", self.scope(&metadata))
            .append_pair("state", &login.state)
            .append_pair("nonce", &login.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(hint) = login_hint {
            url.query_pairs_mut().append_pair("login_hint", hint);
        }
        Ok(url)
    }

    /// Redeems the authorization code of a login and verifies the ID token.
    pub async fn complete(&self, code: &str, login: &PendingLogin) -> Result<SignedIn, OktaError> {
        with_timeout(CALL_TIMEOUT, self.redeem(code, login)).await
    }

    /// Checks with the refresh token whether the user may still use the application.
    ///
    /// It makes at most three requests, each with a timeout. A caller that stops waiting must still store the result,
    /// because the refresh token may have been rotated.
    ///
    /// # Errors
    /// Okta is unavailable, or returned an error: the refresh token was not rotated.
    pub async fn revalidate(&self, refresh_token: &Secret, sub: &str) -> Result<Revalidated, OktaError> {
        let metadata = self.metadata().await?;
        let tokens = tokens::refresh(&self.0.config, &metadata, &self.0.http, refresh_token).await?;
        let profile = with_timeout(CALL_TIMEOUT, self.current_profile(&metadata, &tokens, sub)).await;
        Ok(Revalidated { refresh_token: tokens.refresh_token, profile })
    }

    /// Reads the profile after a refresh; an ID token must be for the same user (OIDC Core §12.2).
    async fn current_profile(
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
            return Err(OktaError::Invalid("the ID token of the refresh is for another user".into()));
        }
        let subject = profile::Subject { claims: claims.as_ref(), sub, access_token: &tokens.access_token };
        let profile = profile::read(&self.0.config, metadata, &self.0.http, subject).await?;
        Ok(self.0.group_limit.apply(profile, sub, &self.0.config.named_groups))
    }

    /// Client ID of the application.
    pub fn client_id(&self) -> &str {
        &self.0.config.client_id
    }

    /// Checks that Okta is available, serves valid metadata and accepts the gateway's credentials. A failure is logged
    /// once.
    pub async fn probe(&self) -> Result<(), OktaError> {
        let metadata = self.metadata().await.inspect_err(|error| {
            tracing::warn!(%error, remedy = METADATA_REMEDY, "Okta's metadata cannot be read: logins will fail");
        })?;
        let check = tokens::check_credentials(&self.0.config, &metadata, &self.0.http);
        with_timeout(CALL_TIMEOUT, check).await.inspect_err(|error| {
            if matches!(error, OktaError::Credentials { .. }) {
                tracing::warn!(%error, "Okta does not accept the gateway: logins will fail");
            } else {
                tracing::warn!(
                    %error,
                    "the gateway's credentials could not be checked: check that Okta can be reached from here"
                );
            }
        })
    }

    async fn redeem(&self, code: &str, login: &PendingLogin) -> Result<SignedIn, OktaError> {
        let metadata = self.metadata().await?;
        let tokens =
            tokens::redeem(&self.0.config, &metadata, &self.0.http, code, &login.pkce_verifier).await?;
        let id_token = tokens
            .id_token
            .as_deref()
            .ok_or_else(|| OktaError::Invalid("the response has no ID token".into()))?;
        let binding = LoginBinding { nonce: &login.nonce, access_token: tokens.access_token.expose() };
        let claims = self.verify(&metadata, id_token, Some(binding)).await?;
        let sub = claims.str("sub").unwrap_or_default();
        let subject = profile::Subject { claims: Some(&claims), sub, access_token: &tokens.access_token };
        let profile = profile::read(&self.0.config, &metadata, &self.0.http, subject).await?;
        let profile = self.0.group_limit.apply(profile, sub, &self.0.config.named_groups);
        Ok(SignedIn { sub: sub.to_owned(), profile, refresh_token: tokens.refresh_token })
    }

    async fn verify(
        &self,
        metadata: &Metadata,
        id_token: &str,
        login: Option<LoginBinding<'_>>,
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
        with_timeout(DISCOVERY_TIMEOUT, self.0.discovery.metadata(&self.0.http)).await
    }

    /// Requested scopes. Custom authorization servers reject scopes that they do not define: `groups` is requested from
    /// those that list it.
    fn scope(&self, metadata: &Metadata) -> &'static str {
        let lists_groups = || metadata.scopes_supported.iter().any(|scope| scope == "groups");
        if self.0.config.issuer.is_custom() && !lists_groups() {
            "openid profile email offline_access"
        } else {
            "openid profile email offline_access groups"
        }
    }
}

async fn with_timeout<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, OktaError>>,
) -> Result<T, OktaError> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(OktaError::no_response(limit)))
}

#[cfg(test)]
mod tests;
