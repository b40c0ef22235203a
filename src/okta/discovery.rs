//! Cache of Okta's discovery metadata and signing keys.

use super::OktaError;
use super::http::Http;
use crate::base::clock::{Clock, Monotonic};
use crate::crypto::jose::KeySet;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use url::Url;

/// Time until a cached document is fetched again.
const CACHE_LIFETIME: Duration = Duration::from_hours(1);
/// Delay after a failed fetch.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// Shortest time between two fetches because of an unknown key.
const MIN_KEY_REFETCH_INTERVAL: Duration = Duration::from_secs(10);

/// Used members of the discovery metadata (`OpenID` Connect Discovery §3).
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

/// Cache of the documents of one issuer.
pub(super) struct Discovery {
    issuer: String,
    clock: Clock,
    metadata: Mutex<Cached<Metadata>>,
    keys: Mutex<Cached<KeySet>>,
}

struct Cached<T> {
    value: Option<Arc<T>>,
    fetched_at: Monotonic,
    failed: Option<(Monotonic, OktaError)>,
    key_refetched_at: Option<Monotonic>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { value: None, fetched_at: Monotonic::default(), failed: None, key_refetched_at: None }
    }
}

impl<T> Cached<T> {
    fn fresh(&self, now: Monotonic) -> Option<Arc<T>> {
        self.value.clone().filter(|_| now.since(self.fetched_at) < CACHE_LIFETIME)
    }

    /// Failure within [`RETRY_DELAY`], so that concurrent callers do not each wait for another one.
    fn recent_failure(&self, now: Monotonic) -> Option<&OktaError> {
        let (at, error) = self.failed.as_ref()?;
        (now.since(*at) < RETRY_DELAY).then_some(error)
    }

    /// Caches a fetched value, or falls back to the last good one.
    fn update(&mut self, now: Monotonic, fetched: Result<T, OktaError>) -> Result<Arc<T>, OktaError> {
        match fetched {
            Ok(value) => {
                self.fetched_at = now;
                self.failed = None;
                Ok(Arc::clone(self.value.insert(Arc::new(value))))
            }
            Err(error) => {
                tracing::warn!(%error, "fetching Okta's metadata or keys failed");
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

    /// Returns the metadata; concurrent callers share one fetch.
    pub(super) async fn metadata(&self, http: &Http) -> Result<Arc<Metadata>, OktaError> {
        let mut cached = self.metadata.lock().await;
        let now = self.clock.monotonic();
        if let Some(metadata) = cached.fresh(now) {
            return Ok(metadata);
        }
        if let Some(error) = cached.recent_failure(now) {
            return cached.value.clone().ok_or_else(|| error.clone());
        }
        let fetched = self.fetch_metadata(http).await;
        cached.update(now, fetched)
    }

    async fn fetch_metadata(&self, http: &Http) -> Result<Metadata, OktaError> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer);
        let url = Url::parse(&url).map_err(|error| OktaError::Invalid(error.to_string()))?;
        let document = http.get(&url, None).await?;
        let metadata: Metadata = serde_json::from_slice(&document)
            .map_err(|error| OktaError::Invalid(format!("invalid metadata: {error}")))?;
        if metadata.issuer != self.issuer {
            return Err(OktaError::Invalid(format!("the metadata is of the issuer {}", metadata.issuer)));
        }
        let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
        if !endpoints.into_iter().chain(&metadata.userinfo_endpoint).all(|url| http.allows(url)) {
            return Err(OktaError::Invalid("an endpoint in the metadata is not https".into()));
        }
        Ok(metadata)
    }

    /// Returns the keys. An unknown key ID causes a new fetch, because Okta rotates keys without notice, but at most
    /// every [`MIN_KEY_REFETCH_INTERVAL`].
    pub(super) async fn keys(
        &self,
        http: &Http,
        metadata: &Metadata,
        key_id: Option<&str>,
    ) -> Result<Arc<KeySet>, OktaError> {
        let mut cached = self.keys.lock().await;
        let now = self.clock.monotonic();
        if let Some(keys) = cached.fresh(now) {
            let known = key_id.is_none_or(|id| keys.has(id));
            let refetched =
                cached.key_refetched_at.is_some_and(|at| now.since(at) < MIN_KEY_REFETCH_INTERVAL);
            if known || refetched {
                return Ok(keys);
            }
            cached.key_refetched_at = Some(now);
        }
        if let Some(error) = cached.recent_failure(now) {
            return cached.value.clone().ok_or_else(|| error.clone());
        }
        let fetched = match http.get(&metadata.jwks_uri, None).await {
            Ok(document) => KeySet::parse(&document).map_err(|error| OktaError::Invalid(error.to_string())),
            Err(outage) => Err(outage.into()),
        };
        cached.update(now, fetched)
    }
}
