//! Cache of fetched documents.

use super::{FetchError, Fetcher};
use crate::base::cache::Cache;
use crate::base::cached_document::{CachedDocument, Fetched, IntervalStart, RefetchRules};
use crate::base::clock::Clock;
use crate::base::subnets::Subnets;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use url::Url;

/// Most cached documents of clients with a completed login, each of limited length. They have a cache of their own:
/// anyone can cause any number of fetches, and these evict none of them.
const MAX_TRUSTED_DOCUMENTS: usize = 512;
/// Most cached documents of other clients.
const MAX_OTHER_DOCUMENTS: usize = 512;
/// Shortest time between two early fetches of a fresh document.
const MIN_REFETCH_INTERVAL: Duration = Duration::from_mins(1);
/// Delay after a failed fetch, while a stale document is available.
const RETRY_DELAY: Duration = Duration::from_secs(30);

type Document<T> = CachedDocument<T, FetchError>;

/// Document with a compiled copy. It is cached even before the first successful fetch, so that a failure is remembered.
struct Compiled<T> {
    copy: Arc<T>,
    document: Arc<Document<T>>,
}

/// Cache of one kind of document, such as key sets. A failed fetch or an invalid document does not replace the last
/// good one.
pub struct Documents<T> {
    fetcher: Arc<Fetcher>,
    max_bytes: usize,
    rules: RefetchRules,
    clock: Clock,
    trusted: Cache<String, Arc<Document<T>>>,
    others: Cache<String, Arc<Document<T>>>,
    /// Documents with a compiled copy, by URL. Their number is fixed.
    compiled: HashMap<String, Compiled<T>>,
    /// Documents in use, cached or not, so that there is one for each URL. A document is cached once it was fetched:
    /// failed fetches evict nothing.
    in_use: Mutex<HashMap<String, Weak<Document<T>>>>,
}

impl<T: Send + Sync + 'static> Documents<T> {
    /// Creates an empty cache of documents of at most `max_bytes` bytes.
    ///
    /// When a fetch fails, the last document is served for at most `max_stale` after it was fresh, unless the server
    /// returned 404 or 410. Without a limit (`None`) it is served always.
    pub fn new(fetcher: Arc<Fetcher>, max_bytes: usize, max_stale: Option<Duration>, clock: Clock) -> Self {
        Self {
            fetcher,
            max_bytes,
            rules: RefetchRules {
                retry_delay: RETRY_DELAY,
                max_stale,
                min_early_interval: MIN_REFETCH_INTERVAL,
                early_interval_start: IntervalStart::AnyFetch,
            },
            clock,
            trusted: Cache::new(MAX_TRUSTED_DOCUMENTS),
            others: Cache::new(MAX_OTHER_DOCUMENTS),
            compiled: HashMap::new(),
            in_use: Mutex::default(),
        }
    }

    /// Adds compiled copies, by URL, for when these documents cannot be fetched.
    #[must_use]
    pub fn with_compiled(mut self, copies: HashMap<String, T>) -> Self {
        let compile = |(url, copy)| {
            let document = CachedDocument::new(self.clock.clone(), self.rules);
            (url, Compiled { copy: Arc::new(copy), document })
        };
        self.compiled = copies.into_iter().map(compile).collect();
        self
    }

    /// Returns the compiled copy of a document.
    pub fn compiled(&self, url: &str) -> Option<Arc<T>> {
        self.compiled.get(url).map(|compiled| Arc::clone(&compiled.copy))
    }

    /// Returns a copy of a document that cannot be fetched: the last good one, else the compiled one.
    pub fn copy(&self, url: &Url) -> Option<Arc<T>> {
        self.last_good(url).or_else(|| self.compiled(url.as_str()))
    }

    /// Returns a copy as [`Self::copy`] does, if the document could not be fetched within [`RETRY_DELAY`].
    pub fn copy_after_outage(&self, url: &Url) -> Option<Arc<T>> {
        self.cached(url)?.recent_error().filter(FetchError::is_outage)?;
        self.copy(url)
    }

    /// Returns the document while it is fresh.
    pub fn fresh(&self, url: &Url) -> Option<Arc<T>> {
        self.cached(url)?.fresh()
    }

    /// Returns the last document if a fetch failed within [`RETRY_DELAY`], so that an unavailable server does not delay
    /// callers that accept a stale document.
    pub fn stale_after_failure(&self, url: &Url) -> Option<Arc<T>> {
        self.cached(url)?.last_good_after_failure()
    }

    /// Returns the last document, if it is not too old.
    pub fn last_good(&self, url: &Url) -> Option<Arc<T>> {
        self.cached(url)?.last_good()
    }

    /// Marks a document after a login with its client, so that those of other clients do not evict it.
    pub fn trust(&self, url: &Url) {
        if let Some(document) = self.others.get(url.as_str()) {
            self.trusted.insert(url.as_str().to_owned(), document);
            self.others.remove(url.as_str());
        }
    }

    /// Returns true at most once per [`MIN_REFETCH_INTERVAL`], and while the document is being fetched: a fresh document
    /// may be fetched early with [`Self::refetch`], for example because it lacks a key.
    pub fn may_refetch(&self, url: &Url) -> bool {
        self.cached(url).is_none_or(|document| document.may_refetch())
    }

    /// Fetches a document and parses it with `parse`, unless it is fresh by now. Concurrent callers share one fetch, which
    /// is counted for the first subscriber.
    ///
    /// # Errors
    /// The fetch or `parse` failed. Errors are not cached.
    pub async fn fetch(
        &self,
        url: &Url,
        subscriber: Subnets,
        parse: impl FnOnce(&[u8]) -> Result<T, FetchError> + Send + 'static,
    ) -> Result<Arc<T>, FetchError> {
        let document = self.cached_or_new(url);
        let fetched = document.fetch(|| self.start(url, subscriber, parse)).await;
        self.store(url, document);
        fetched
    }

    /// Fetches a document as [`Self::fetch`] does, although it may be fresh.
    ///
    /// # Errors
    /// As for [`Self::fetch`].
    pub async fn refetch(
        &self,
        url: &Url,
        subscriber: Subnets,
        parse: impl FnOnce(&[u8]) -> Result<T, FetchError> + Send + 'static,
    ) -> Result<Arc<T>, FetchError> {
        let document = self.cached_or_new(url);
        let fetched = document.refetch(|| self.start(url, subscriber, parse)).await;
        self.store(url, document);
        fetched
    }

    /// Creates the future of a fetch, within the limits of the subscriber.
    fn start(
        &self,
        url: &Url,
        subscriber: Subnets,
        parse: impl FnOnce(&[u8]) -> Result<T, FetchError> + Send + 'static,
    ) -> Result<impl Future<Output = Fetched<T, FetchError>> + Send + 'static, FetchError> {
        let permit = self.fetcher.acquire(subscriber)?;
        let (fetcher, url, max_bytes) = (Arc::clone(&self.fetcher), url.clone(), self.max_bytes);
        let is_dropped_when_gone = self.rules.max_stale.is_some();
        Ok(async move {
            let response = fetcher.get(&url, max_bytes, &permit).await;
            match response.and_then(|response| Ok((parse(&response.body)?, response.lifetime))) {
                Ok((value, lifetime)) => Fetched::Document { value, lifetime },
                Err(FetchError::NotFound) if is_dropped_when_gone => Fetched::Gone(FetchError::NotFound),
                Err(error) => Fetched::Failed(error),
            }
        })
    }

    fn cached(&self, url: &Url) -> Option<Arc<Document<T>>> {
        if let Some(compiled) = self.compiled.get(url.as_str()) {
            return Some(Arc::clone(&compiled.document));
        }
        self.trusted.get(url.as_str()).or_else(|| self.others.get(url.as_str()))
    }

    /// Returns the document of a URL, or a new one. Abandoned ones are removed.
    fn cached_or_new(&self, url: &Url) -> Arc<Document<T>> {
        let mut in_use = self.in_use.lock();
        in_use.retain(|_, document| document.strong_count() > 0);
        let known = self.cached(url).or_else(|| in_use.get(url.as_str()).and_then(Weak::upgrade));
        known.unwrap_or_else(|| {
            let document = CachedDocument::new(self.clock.clone(), self.rules);
            in_use.insert(url.as_str().to_owned(), Arc::downgrade(&document));
            document
        })
    }

    /// Caches a document once it was fetched, and removes it when it is gone.
    fn store(&self, url: &Url, document: Arc<Document<T>>) {
        if document.is_empty() {
            self.trusted.remove_if(url.as_str(), |cached| cached.is_empty());
            self.others.remove_if(url.as_str(), |cached| cached.is_empty());
        } else if self.cached(url).is_none() {
            self.others.insert(url.as_str().to_owned(), document);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::fetch::FetchPolicy;
    use rustls::RootCertStore;
    use std::future::ready;

    fn documents() -> Documents<usize> {
        // Fails only when a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let fetcher =
            Fetcher::new(FetchPolicy::default(), RootCertStore::empty(), None, clock.clone()).unwrap();
        Documents::new(Arc::new(fetcher), 1024, None, clock)
    }

    fn url(number: usize) -> Url {
        Url::parse(&format!("https://{number}.example.com/id")).unwrap()
    }

    async fn fetch(documents: &Documents<usize>, number: usize, fetched: Fetched<usize, FetchError>) {
        let document = documents.cached_or_new(&url(number));
        let _ = document.refetch(|| Ok(ready(fetched))).await;
        documents.store(&url(number), document);
    }

    async fn keep(documents: &Documents<usize>, number: usize) {
        fetch(documents, number, Fetched::Document { value: number, lifetime: Duration::from_mins(1) }).await;
    }

    #[tokio::test]
    async fn documents_of_clients_with_a_login_are_evicted_last() {
        let documents = documents();
        keep(&documents, 0).await;
        documents.trust(&url(0));
        for stranger in 1..3 * MAX_OTHER_DOCUMENTS {
            keep(&documents, stranger).await;
        }
        assert_eq!(documents.last_good(&url(0)).as_deref(), Some(&0));
        keep(&documents, 0).await;
        for stranger in 1..2 * MAX_OTHER_DOCUMENTS {
            keep(&documents, stranger).await;
        }
        assert!(documents.last_good(&url(0)).is_some(), "the mark survives another fetch");
        assert_eq!((documents.trusted.len(), documents.others.len()), (1, MAX_OTHER_DOCUMENTS));
        for client in 1..3 * MAX_TRUSTED_DOCUMENTS {
            keep(&documents, client).await;
            documents.trust(&url(client));
        }
        assert_eq!(documents.trusted.len(), MAX_TRUSTED_DOCUMENTS);
    }

    #[tokio::test]
    async fn failed_fetches_evict_nothing_and_leave_nothing() {
        let documents = documents();
        keep(&documents, 0).await;
        for stranger in 1..3 * MAX_OTHER_DOCUMENTS {
            fetch(&documents, stranger, Fetched::Failed(FetchError::NotFound)).await;
        }
        assert!(documents.fresh(&url(0)).is_some());
        assert_eq!(documents.others.len(), 1);
        documents.cached_or_new(&url(0));
        assert_eq!(documents.in_use.lock().len(), 1);
        for trusted in [false, true] {
            if trusted {
                keep(&documents, 0).await;
                documents.trust(&url(0));
            }
            fetch(&documents, 0, Fetched::Gone(FetchError::NotFound)).await;
            assert!(documents.trusted.is_empty() && documents.others.is_empty());
        }
    }
}
