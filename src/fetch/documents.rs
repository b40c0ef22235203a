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

/// Fetch that a caller may start.
pub struct FetchStart<P, A> {
    /// Addresses whose limit of concurrent fetches applies.
    pub subscriber: Subnets,
    /// Counts the fetch; its error is returned to this caller only.
    pub admission: A,
    /// Parser of the document.
    pub parse: P,
}

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

    /// Returns the error of the last fetch of a document, if it failed, however long ago.
    pub fn last_error(&self, url: &Url) -> Option<FetchError> {
        self.cached(url)?.last_error()
    }

    /// Fetches a document and parses it, unless it is fresh by now. Concurrent callers share one fetch, which only the
    /// caller that starts it pays for: its subscriber's limits apply, and its `admission` is run.
    ///
    /// # Errors
    /// The fetch or the parser failed, or this caller may not start a fetch. Errors are not cached.
    pub async fn fetch<P, A>(&self, url: &Url, start: FetchStart<P, A>) -> Result<Arc<T>, FetchError>
    where
        P: FnOnce(&[u8]) -> Result<T, FetchError> + Send + 'static,
        A: Future<Output = Result<(), FetchError>> + Send + 'static,
    {
        let document = self.cached_or_new(url);
        let mut start = Some(start);
        let fetched = loop {
            let fetched = document.fetch(|| self.start(url, start.take())).await;
            if !is_limit_of_another(&fetched, start.as_ref()) {
                break fetched;
            }
        };
        self.store(url, document);
        fetched
    }

    /// Fetches a document as [`Self::fetch`] does, although it may be fresh.
    ///
    /// # Errors
    /// As for [`Self::fetch`].
    pub async fn refetch<P, A>(&self, url: &Url, start: FetchStart<P, A>) -> Result<Arc<T>, FetchError>
    where
        P: FnOnce(&[u8]) -> Result<T, FetchError> + Send + 'static,
        A: Future<Output = Result<(), FetchError>> + Send + 'static,
    {
        let document = self.cached_or_new(url);
        let mut start = Some(start);
        let fetched = loop {
            let fetched = document.refetch(|| self.start(url, start.take())).await;
            if !is_limit_of_another(&fetched, start.as_ref()) {
                break fetched;
            }
        };
        self.store(url, document);
        fetched
    }

    /// Creates the future of a fetch, within the limits of the subscriber.
    fn start<P, A>(
        &self,
        url: &Url,
        start: Option<FetchStart<P, A>>,
    ) -> Result<impl Future<Output = Fetched<T, FetchError>> + Send + 'static, FetchError>
    where
        P: FnOnce(&[u8]) -> Result<T, FetchError> + Send + 'static,
        A: Future<Output = Result<(), FetchError>> + Send + 'static,
    {
        // A caller starts at most one fetch.
        let FetchStart { subscriber, admission, parse } = start.ok_or(FetchError::LimitReached)?;
        let permit = self.fetcher.acquire(subscriber)?;
        let (fetcher, url, max_bytes) = (Arc::clone(&self.fetcher), url.clone(), self.max_bytes);
        let is_dropped_when_gone = self.rules.max_stale.is_some();
        Ok(async move {
            if let Err(error) = admission.await {
                return Fetched::NotStarted(error);
            }
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

/// Returns whether the subscriber of a shared fetch has reached a limit, and not this caller, whose own `start` is left.
fn is_limit_of_another<T, S>(fetched: &Result<Arc<T>, FetchError>, start: Option<&S>) -> bool {
    start.is_some() && matches!(fetched, Err(error) if error.is_limit())
}

#[cfg(test)]
mod tests;
