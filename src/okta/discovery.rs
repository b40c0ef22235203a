//! What Okta publishes: its metadata and its keys, kept and refreshed.

use super::OktaError;
use super::http::Http;
use crate::base::clock::{Clock, Monotonic};
use crate::crypto::jose::KeySet;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use url::Url;

/// How long a copy counts before it is fetched anew.
const COUNTS: Duration = Duration::from_hours(1);
/// After a failure, and between two searches for an unknown key.
const RETRY_DELAY: Duration = Duration::from_millis(500);
const MIN_KEY_REFETCH_INTERVAL: Duration = Duration::from_secs(10);

/// OIDC discovery's members that we need (`OpenID` Connect Discovery §3).
#[derive(Debug, Deserialize)]
pub struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    #[serde(default)]
    pub(super) token_endpoint_auth_methods_supported: Vec<String>,
}

/// What was fetched last, and when.
pub(super) struct Discovery {
    issuer: String,
    clock: Clock,
    metadata: Mutex<Kept<Metadata>>,
    keys: Mutex<Kept<KeySet>>,
}

struct Kept<T> {
    value: Option<Arc<T>>,
    fetched_at: Monotonic,
    failed: Option<(Monotonic, OktaError)>,
    searched_at: Option<Monotonic>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { value: None, fetched_at: Monotonic::default(), failed: None, searched_at: None }
    }
}

impl<T> Kept<T> {
    fn fresh(&self, now: Monotonic) -> Option<Arc<T>> {
        self.value.clone().filter(|_| now.since(self.fetched_at) < COUNTS)
    }

    /// The failure of a moment ago, so that many callers do not each wait for the next.
    fn just_failed(&self, now: Monotonic) -> Option<&OktaError> {
        let (at, error) = self.failed.as_ref()?;
        (now.since(*at) < RETRY_DELAY).then_some(error)
    }

    /// Keeps a fetched value, or falls back to the last good one.
    fn keep(&mut self, now: Monotonic, fetched: Result<T, OktaError>) -> Result<Arc<T>, OktaError> {
        match fetched {
            Ok(value) => {
                self.fetched_at = now;
                self.failed = None;
                Ok(Arc::clone(self.value.insert(Arc::new(value))))
            }
            Err(error) => {
                tracing::warn!(%error, "what Okta publishes could not be fetched");
                self.failed = Some((now, error.clone()));
                self.value.clone().ok_or(error)
            }
        }
    }
}

impl Discovery {
    pub(super) fn new(issuer: &str, clock: Clock) -> Self {
        Self { issuer: issuer.to_owned(), clock, metadata: Mutex::default(), keys: Mutex::default() }
    }

    /// The metadata; callers that come at the same time share one fetch.
    pub(super) async fn metadata(&self, http: &Http) -> Result<Arc<Metadata>, OktaError> {
        let mut kept = self.metadata.lock().await;
        let now = self.clock.monotonic();
        if let Some(metadata) = kept.fresh(now) {
            return Ok(metadata);
        }
        if let Some(error) = kept.just_failed(now) {
            return kept.value.clone().ok_or_else(|| error.clone());
        }
        let fetched = self.fetch_metadata(http).await;
        kept.keep(now, fetched)
    }

    async fn fetch_metadata(&self, http: &Http) -> Result<Metadata, OktaError> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer);
        let url = Url::parse(&url).map_err(|error| OktaError::Untrustworthy(error.to_string()))?;
        let document = http.get(&url, None).await?;
        let metadata: Metadata = serde_json::from_slice(&document)
            .map_err(|error| OktaError::Untrustworthy(format!("its metadata cannot be read: {error}")))?;
        if metadata.issuer != self.issuer {
            return Err(OktaError::Untrustworthy(format!(
                "its metadata names the issuer {}",
                metadata.issuer
            )));
        }
        let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
        if !endpoints.into_iter().chain(&metadata.userinfo_endpoint).all(|url| http.allows(url)) {
            return Err(OktaError::Untrustworthy("an endpoint in its metadata is not https".into()));
        }
        Ok(metadata)
    }

    /// The keys; fetched anew when the asked one is not among them (Okta rotates without notice), though not more
    /// often than every ten seconds, whatever tokens are sent.
    pub(super) async fn keys(
        &self,
        http: &Http,
        metadata: &Metadata,
        key_id: Option<&str>,
    ) -> Result<Arc<KeySet>, OktaError> {
        let mut kept = self.keys.lock().await;
        let now = self.clock.monotonic();
        if let Some(keys) = kept.fresh(now) {
            let known = key_id.is_none_or(|id| keys.has(id));
            let searched = kept.searched_at.is_some_and(|at| now.since(at) < MIN_KEY_REFETCH_INTERVAL);
            if known || searched {
                return Ok(keys);
            }
            kept.searched_at = Some(now);
        }
        if let Some(error) = kept.just_failed(now) {
            return kept.value.clone().ok_or_else(|| error.clone());
        }
        let fetched = match http.get(&metadata.jwks_uri, None).await {
            Ok(document) => {
                KeySet::parse(&document).map_err(|error| OktaError::Untrustworthy(error.to_string()))
            }
            Err(outage) => Err(outage.into()),
        };
        kept.keep(now, fetched)
    }
}
