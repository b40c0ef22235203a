//! Client metadata documents and key sets, fetched from client-supplied URLs within the rate limits.

use super::{Freshness, KnownClient};
use crate::app::failure::{Failure, Outage};
use crate::app::rate_limit::{Kind, TooMany};
use crate::app::request::Request;
use crate::app::state::Gateway;
use crate::base::subnets::Subnets;
use crate::crypto::jose::KeySet;
use crate::fetch::{Documents, FetchError};
use crate::oauth::client::Client;
use crate::oauth::client::keys::{ClientKeys, KeySource};
use crate::oauth::client::metadata_document::{self, DocumentError};
use crate::oauth::client::{self, DocumentUrl};
use crate::oauth::error::OAuthError;
use std::sync::Arc;
use std::time::Duration;

/// The one error for every response that is not a metadata document, so that nobody can use the gateway to probe other
/// servers.
const NOT_A_DOCUMENT: &str = "what is at client_id is not its metadata document: JSON that is called JSON, of at most \
                           5120 bytes, with that very URL as its client_id";
/// `Retry-After` while too many fetches are in flight.
const FETCH_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Returns the client whose `client_id` is the URL of its metadata document.
///
/// # Errors
/// `invalid_client` for a URL that must not be fetched, and, where freshness is required, for an invalid document. Any
/// other failure is temporary: 429 or 503.
pub(super) async fn client(
    request: Request<'_>,
    client_id: &str,
    freshness: Freshness,
) -> Result<Arc<Client>, Failure> {
    let url = &DocumentUrl::parse(client_id).map_err(|why| {
        OAuthError::invalid_client(format!("client_id is not the URL of a document: {why}"))
    })?;
    let fetch = DocumentFetch { request, client_id, url, freshness };
    let parser = || metadata_parser(request.gateway, url.clone());
    fetch.cached_or_fetch(&request.gateway.client_documents, parser).await
}

/// Returns the keys at a client's `jwks_uri`.
///
/// # Errors
/// The key set is unavailable: 429 or 503, which costs the client nothing.
pub(super) async fn keys(
    request: Request<'_>,
    known: &KnownClient,
    url: &DocumentUrl,
) -> Result<Arc<KeySet>, Failure> {
    let fetch = DocumentFetch { request, client_id: &known.id, url, freshness: Freshness::StaleAllowed };
    fetch.cached_or_fetch(&request.gateway.client_key_sets, || parse_keys).await
}

/// Fetches the keys at a client's `jwks_uri` again, because the cached ones do not verify; `None` when that happened
/// within the last minute.
///
/// # Errors
/// The key set is unavailable: 429 or 503, which costs the client nothing.
pub(super) async fn refetch_keys(
    request: Request<'_>,
    known: &KnownClient,
    url: &DocumentUrl,
) -> Result<Option<Arc<KeySet>>, Failure> {
    let key_sets = &request.gateway.client_key_sets;
    if !key_sets.may_refetch(url.url()) {
        return Ok(None);
    }
    let fetch = DocumentFetch { request, client_id: &known.id, url, freshness: Freshness::StaleAllowed };
    fetch.within_limits(key_sets.refetch(url.url(), fetch.subscriber(), parse_keys)).await.map(Some)
}

/// Keeps the cached documents of this client longer than those of clients that never received tokens.
pub(super) fn trust(gateway: &Gateway, known: &KnownClient) {
    if let Some(url) = DocumentUrl::parse(&known.id).ok().filter(|_| client::is_url(&known.id)) {
        gateway.client_documents.trust(url.url());
    }
    if let Some(ClientKeys { source: KeySource::At(url), .. }) = &known.client.keys {
        gateway.client_key_sets.trust(url.url());
    }
}

/// Returns the parser of the metadata document at this URL.
fn metadata_parser(
    gateway: &Gateway,
    url: DocumentUrl,
) -> impl FnOnce(&[u8]) -> Result<Client, FetchError> + Send + 'static {
    let (schemes, now) = (gateway.site.redirect_schemes, gateway.clock.now());
    move |document| {
        metadata_document::parse(document, &url, schemes, now).map_err(|bad| match bad {
            DocumentError::NotMetadata(what) => FetchError::Unexpected(what.into()),
            DocumentError::Invalid(why) => FetchError::Invalid(why),
        })
    }
}

fn parse_keys(document: &[u8]) -> Result<KeySet, FetchError> {
    KeySet::parse(document).map_err(|error| FetchError::Unexpected(error.to_string()))
}

/// A lookup of a client's document on behalf of a request.
struct DocumentFetch<'a> {
    request: Request<'a>,
    client_id: &'a str,
    url: &'a DocumentUrl,
    freshness: Freshness,
}

impl DocumentFetch<'_> {
    /// Returns the document from the cache while it is fresh, else fetches it. Where stale copies are allowed, the
    /// last valid one is returned when the fetch fails.
    async fn cached_or_fetch<T, P>(
        &self,
        documents: &Documents<T>,
        parser: impl FnOnce() -> P,
    ) -> Result<Arc<T>, Failure>
    where
        T: Send + Sync + 'static,
        P: FnOnce(&[u8]) -> Result<T, FetchError> + Send + 'static,
    {
        self.check_url()?;
        let url = self.url.url();
        let if_stale_allowed =
            |stale: Option<Arc<T>>| stale.filter(|_| self.freshness == Freshness::StaleAllowed);
        let stale = || if_stale_allowed(documents.stale_after_failure(url));
        if let Some(cached) = documents.fresh(url).or_else(stale) {
            return Ok(cached);
        }
        match self.within_limits(documents.fetch(url, self.subscriber(), parser())).await {
            // Not at 429: a client must not select its stale copy by exceeding the rate limit.
            Err(failure @ Failure::Unavailable(_)) => {
                if_stale_allowed(documents.last_good(url)).ok_or(failure)
            }
            fetched => fetched,
        }
    }

    /// Runs the fetch of the document, counted against the rate limits.
    async fn within_limits<T>(
        &self,
        fetch: impl Future<Output = Result<Arc<T>, FetchError>>,
    ) -> Result<Arc<T>, Failure> {
        self.request.rate_limit(Kind::Metadata, Some(self.client_id)).await?;
        let fetched = if self.request.gateway.is_backend_host(self.url.host()) {
            Err(FetchError::Unreachable("it may trust the address that this gateway calls it from".into()))
        } else {
            fetch.await
        };
        fetched.map_err(|error| self.failure(error))
    }

    fn subscriber(&self) -> Subnets {
        Subnets::of(self.request.head.address)
    }

    fn failure(&self, error: FetchError) -> Failure {
        let url = self.url.as_str();
        tracing::info!(url, %error, "fetch of a client document failed");
        match error {
            FetchError::LimitReached => TooMany { retry_after: FETCH_RETRY_AFTER }.into(),
            FetchError::Invalid(why) if self.freshness == Freshness::Required => {
                OAuthError::invalid_client(format!("the document at client_id is no good: {why}")).into()
            }
            FetchError::NotFound | FetchError::Unexpected(_) if self.freshness == Freshness::Required => {
                OAuthError::invalid_client(NOT_A_DOCUMENT).into()
            }
            error => Outage::Document { url: url.to_owned(), error }.into(),
        }
    }

    fn check_url(&self) -> Result<(), OAuthError> {
        let gateway = self.request.gateway;
        let (own, hosts) = (gateway.base_url.authority(), gateway.site.client_metadata_hosts);
        self.url.check_fetch_allowed(own, hosts).map_err(|why| OAuthError::invalid_client(why.to_string()))
    }
}
