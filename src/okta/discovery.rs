//! Cache of Okta's discovery metadata and signing keys.

use super::OktaError;
use super::http::Http;
use crate::base::cached_document::{CachedDocument, Fetched, IntervalStart, RefetchRules};
use crate::base::clock::Clock;
use crate::base::throttle::Throttle;
use crate::crypto::jose::KeySet;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Instruction for a gateway that cannot read Okta's metadata.
pub const METADATA_REMEDY: &str = "check OKTA_URL, okta.authorization_server and OKTA_CLIENT_ID, and that Okta can be \
                                   reached from here";
/// Time until a cached document is fetched again.
const CACHE_LIFETIME: Duration = Duration::from_hours(1);
/// Delay after a failed fetch, so that callers do not each wait for another failure.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// Shortest time between two fetches because of an unknown key: none. Only Okta's token endpoint can send such a key, to
/// a user who signs in, and the next try must find a key that Okta publishes a little later.
const MIN_KEY_REFETCH_INTERVAL: Duration = Duration::ZERO;
/// The last good copy is used as long as Okta is unavailable.
const REFETCH_RULES: RefetchRules = RefetchRules {
    retry_delay: RETRY_DELAY,
    max_stale: None,
    min_early_interval: MIN_KEY_REFETCH_INTERVAL,
    early_interval_start: IntervalStart::EarlyFetch,
};

/// Used members of the discovery metadata (`OpenID` Connect Discovery §3).
#[derive(Debug, Deserialize)]
pub struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) introspection_endpoint: Option<Url>,
    #[serde(default)]
    pub(super) scopes_supported: Vec<String>,
    #[serde(default)]
    pub(super) token_endpoint_auth_methods_supported: Vec<String>,
}

/// Cache of the documents of one issuer.
pub(super) struct Discovery {
    issuer: String,
    client_id: String,
    metadata: Arc<CachedDocument<Metadata, OktaError>>,
    keys: Arc<CachedDocument<KeySet, OktaError>>,
    refetch_log: RefetchLog,
}

impl Discovery {
    pub(super) fn new(issuer: &str, client_id: &str, clock: Clock) -> Self {
        Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            metadata: CachedDocument::new(clock.clone(), REFETCH_RULES),
            keys: CachedDocument::new(clock.clone(), REFETCH_RULES),
            refetch_log: RefetchLog { clock, throttle: Arc::default() },
        }
    }

    /// Returns the metadata.
    pub(super) async fn metadata(&self, http: &Http) -> Result<Arc<Metadata>, OktaError> {
        let log = self.log_of_copy(&self.metadata);
        let fetch = || {
            let (http, issuer, client_id) = (http.clone(), self.issuer.clone(), self.client_id.clone());
            async move { into_fetched(fetch_metadata(&http, &issuer, &client_id).await, log) }
        };
        self.metadata.get(|_| true, fetch).await
    }

    /// Returns the keys. An unknown key ID causes a new fetch, because Okta rotates keys without notice.
    pub(super) async fn keys(
        &self,
        http: &Http,
        metadata: &Metadata,
        key_id: Option<&str>,
    ) -> Result<Arc<KeySet>, OktaError> {
        let log = self.log_of_copy(&self.keys);
        let fetch = || {
            let (http, url) = (http.clone(), metadata.jwks_uri.clone());
            async move { into_fetched(fetch_keys(&http, &url).await, log) }
        };
        self.keys.get(|keys| key_id.is_none_or(|id| keys.has(id)), fetch).await
    }

    /// Returns the log of failed fetches if there is a copy of this document.
    fn log_of_copy<T: Send + Sync + 'static>(
        &self,
        document: &Arc<CachedDocument<T, OktaError>>,
    ) -> Option<RefetchLog> {
        (!document.is_empty()).then(|| self.refetch_log.clone())
    }
}

/// Fetches the metadata. Okta returns what applies to the app when its client ID is in the query, such as the issuer of a
/// custom domain.
async fn fetch_metadata(http: &Http, issuer: &str, client_id: &str) -> Result<Metadata, OktaError> {
    let url = format!("{issuer}/.well-known/openid-configuration");
    let mut url = Url::parse(&url).map_err(|error| OktaError::Invalid(error.to_string()))?;
    url.query_pairs_mut().append_pair("client_id", client_id);
    let document = http.get(&url, None).await?;
    let metadata: Metadata = serde_json::from_slice(&document)
        .map_err(|error| OktaError::Invalid(format!("invalid metadata: {error}")))?;
    if metadata.issuer != issuer {
        return Err(OktaError::other_issuer("the metadata", &metadata.issuer, issuer));
    }
    let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
    let optional = metadata.userinfo_endpoint.iter().chain(&metadata.introspection_endpoint);
    if !endpoints.into_iter().chain(optional).all(|url| http.allows(url)) {
        return Err(OktaError::Invalid("an endpoint in the metadata is not https".into()));
    }
    Ok(metadata)
}

async fn fetch_keys(http: &Http, url: &Url) -> Result<KeySet, OktaError> {
    let document = http.get(url, None).await?;
    KeySet::parse(&document).map_err(|error| OktaError::Invalid(error.to_string()))
}

/// Log of failed fetches while the last good copy is used: no request fails then, so that nothing else logs them. The first
/// is logged at once, then one a minute.
#[derive(Clone)]
struct RefetchLog {
    clock: Clock,
    throttle: Arc<Throttle>,
}

impl RefetchLog {
    fn write(&self, error: &OktaError) {
        let now = self.clock.now().seconds();
        if self.throttle.is_first(now) || self.throttle.take_count(now).is_some() {
            tracing::warn!(%error, "fetching Okta's metadata or keys again failed: the last good copy is used");
        }
    }
}

/// Converts the result of a fetch. `log` is present if there is a copy; otherwise the error fails a request, which logs it.
fn into_fetched<T>(result: Result<T, OktaError>, log: Option<RefetchLog>) -> Fetched<T, OktaError> {
    match result {
        Ok(value) => Fetched::Document { value, lifetime: CACHE_LIFETIME },
        Err(error) => {
            if let Some(log) = log {
                log.write(&error);
            }
            Fetched::Failed(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::captured_log::CapturedLog;
    use crate::base::clock::Timestamp;
    use rustls::RootCertStore;

    #[tokio::test]
    async fn a_failed_fetch_is_logged_only_while_a_copy_is_used_and_once_a_minute() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (log, _guard) = CapturedLog::start();
        let clock = Clock::manual(Timestamp::from_seconds(1_000));
        let discovery = Discovery::new("http://127.0.0.1:1", "0oa1", clock.clone());
        discovery.metadata(&Http::new(true, RootCertStore::empty(), None).unwrap()).await.unwrap_err();
        assert!(log.take().is_empty(), "the request that fails logs the error");
        let error = OktaError::Unavailable("HTTP status 503".into());
        for (seconds, count) in [(0, 1), (30, 0), (30, 1)] {
            clock.advance(Duration::from_secs(seconds));
            into_fetched::<Metadata>(Err(error.clone()), Some(discovery.refetch_log.clone()));
            assert_eq!(log.take().len(), count);
        }
    }
}
