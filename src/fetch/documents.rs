//! Cache of fetched documents.

use super::limits::FetchPermit;
use super::{FetchError, Fetcher};
use crate::base::clock::{Clock, Monotonic};
use crate::base::subnets::Subnets;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::OnceCell;
use url::Url;

/// Most cached documents, each of limited length. The least recently used document is evicted first; those of clients
/// with a completed login are evicted last, because anyone can cause any number of fetches.
const MAX_DOCUMENTS: usize = 1024;
/// Shortest time between two early fetches of a fresh document.
const MIN_REFETCH_INTERVAL: Duration = Duration::from_mins(1);
/// Delay after a failed fetch, while a stale document is available.
const RETRY_DELAY: Duration = Duration::from_secs(30);

/// Cache of one kind of document, such as key sets. A failed fetch or an invalid document does not replace the last
/// good one.
pub struct Documents<T> {
    fetcher: Arc<Fetcher>,
    max_bytes: usize,
    max_stale: Option<Duration>,
    clock: Clock,
    cache: Mutex<Cache<T>>,
    pending: Mutex<HashMap<String, Weak<PendingFetch<T>>>>,
}

/// Fetch in progress, shared by its concurrent callers.
struct PendingFetch<T> {
    permit: Arc<FetchPermit>,
    fetched: OnceCell<Result<Arc<T>, FetchError>>,
}

struct Cache<T> {
    entries: HashMap<String, Entry<T>>,
    /// Logical clock of accesses, for least-recently-used eviction.
    uses: u64,
}

struct Entry<T> {
    value: Arc<T>,
    fresh_until: Monotonic,
    refetched_at: Monotonic,
    failed_at: Option<Monotonic>,
    last_used: u64,
    /// Set after a login with the client that published the document.
    trusted: bool,
}

impl<T> Documents<T> {
    /// Creates an empty cache of documents of at most `max_bytes` bytes.
    ///
    /// When a fetch fails, the last document is served for at most `max_stale` after it was fresh, unless the server
    /// returned 404 or 410. Without a limit (`None`) it is served always.
    pub fn new(fetcher: Arc<Fetcher>, max_bytes: usize, max_stale: Option<Duration>, clock: Clock) -> Self {
        let cache = Mutex::new(Cache { entries: HashMap::new(), uses: 0 });
        Self { fetcher, max_bytes, max_stale, clock, cache, pending: Mutex::default() }
    }

    /// Returns the document while it is fresh.
    pub fn fresh(&self, url: &Url) -> Option<Arc<T>> {
        let now = self.clock.monotonic();
        self.get(url, |entry| now < entry.fresh_until)
    }

    /// Returns the last document if a fetch failed within [`RETRY_DELAY`], so that an unavailable server does not delay
    /// callers that accept a stale document.
    pub fn stale_after_failure(&self, url: &Url) -> Option<Arc<T>> {
        let now = self.clock.monotonic();
        let failed = |entry: &Entry<T>| entry.failed_at.is_some_and(|at| now.since(at) < RETRY_DELAY);
        self.get(url, |entry| failed(entry) && self.is_usable(entry, now))
    }

    /// Returns the last document, if it is not too old.
    pub fn last_good(&self, url: &Url) -> Option<Arc<T>> {
        let now = self.clock.monotonic();
        self.get(url, |entry| self.is_usable(entry, now))
    }

    /// Marks a document after a login with its client, so that it is evicted last.
    pub fn trust(&self, url: &Url) {
        if let Some(entry) = lock(&self.cache).entries.get_mut(url.as_str()) {
            entry.trusted = true;
        }
    }

    fn is_usable(&self, entry: &Entry<T>, now: Monotonic) -> bool {
        self.max_stale.is_none_or(|max_stale| now.since(entry.fresh_until) < max_stale)
    }

    /// Returns true at most once per [`MIN_REFETCH_INTERVAL`]: a fresh document may be fetched early, for example
    /// because it lacks a key.
    pub fn may_refetch(&self, url: &Url) -> bool {
        let now = self.clock.monotonic();
        let mut cache = lock(&self.cache);
        let Some(entry) = cache.entries.get_mut(url.as_str()) else { return true };
        if now.since(entry.refetched_at) < MIN_REFETCH_INTERVAL {
            return false;
        }
        entry.refetched_at = now;
        true
    }

    /// Fetches a document and parses it with `parse`. Concurrent callers share one fetch, which is counted for the
    /// first subscriber.
    ///
    /// # Errors
    /// The fetch or `parse` failed. Errors are not cached.
    pub async fn fetch(
        &self,
        url: &Url,
        subscriber: Subnets,
        parse: impl FnOnce(&[u8]) -> Result<T, FetchError>,
    ) -> Result<Arc<T>, FetchError> {
        let fetch = self.join(url, subscriber)?;
        let run = async || {
            let fetched = self.fetcher.get(url, self.max_bytes, &fetch.permit).await?;
            Ok(self.insert(url, Arc::new(parse(&fetched.body)?), fetched.lifetime))
        };
        let fetched = fetch.fetched.get_or_init(run).await.clone();
        fetched.inspect_err(|error| self.record_failure(url, error))
    }

    fn record_failure(&self, url: &Url, error: &FetchError) {
        let mut cache = lock(&self.cache);
        if *error == FetchError::NotFound && self.max_stale.is_some() {
            cache.entries.remove(url.as_str());
        } else if let Some(entry) = cache.entries.get_mut(url.as_str()) {
            entry.failed_at = Some(self.clock.monotonic());
        }
    }

    fn get(&self, url: &Url, is_valid: impl FnOnce(&Entry<T>) -> bool) -> Option<Arc<T>> {
        let mut cache = lock(&self.cache);
        cache.uses += 1;
        let uses = cache.uses;
        let entry = cache.entries.get_mut(url.as_str()).filter(|entry| is_valid(entry))?;
        entry.last_used = uses;
        Some(Arc::clone(&entry.value))
    }

    fn insert(&self, url: &Url, value: Arc<T>, lifetime: Duration) -> Arc<T> {
        let now = self.clock.monotonic();
        let mut cache = lock(&self.cache);
        if cache.entries.len() >= MAX_DOCUMENTS && !cache.entries.contains_key(url.as_str()) {
            let least = cache.entries.iter().min_by_key(|(_, entry)| (entry.trusted, entry.last_used));
            let oldest = least.map(|(url, _)| url.clone());
            oldest.and_then(|oldest| cache.entries.remove(&oldest));
        }
        cache.uses += 1;
        let entry = Entry {
            value: Arc::clone(&value),
            fresh_until: now.after(lifetime),
            refetched_at: now,
            failed_at: None,
            last_used: cache.uses,
            trusted: cache.entries.get(url.as_str()).is_some_and(|entry| entry.trusted),
        };
        cache.entries.insert(url.as_str().to_owned(), entry);
        value
    }

    /// Returns the pending fetch of a URL, or starts a new one within the limits of the subscriber. Abandoned fetches
    /// are removed.
    fn join(&self, url: &Url, subscriber: Subnets) -> Result<Arc<PendingFetch<T>>, FetchError> {
        let mut pending = lock(&self.pending);
        pending.retain(|_, fetch| fetch.strong_count() > 0);
        if let Some(fetch) = pending.get(url.as_str()).and_then(Weak::upgrade) {
            return Ok(fetch);
        }
        let fetch =
            Arc::new(PendingFetch { permit: self.fetcher.acquire(subscriber)?, fetched: OnceCell::new() });
        pending.insert(url.as_str().to_owned(), Arc::downgrade(&fetch));
        Ok(fetch)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::fetch::FetchPolicy;

    #[test]
    fn documents_of_clients_with_a_login_are_evicted_last() {
        // Fails only when a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let fetcher = Fetcher::new(FetchPolicy::default(), clock.clone()).unwrap();
        let documents = Documents::new(Arc::new(fetcher), 1024, None, clock);
        let url = |number: usize| Url::parse(&format!("https://{number}.example.com/id")).unwrap();
        let keep = |number| documents.insert(&url(number), Arc::new(number), Duration::from_mins(1));
        keep(0);
        documents.trust(&url(0));
        (1..3 * MAX_DOCUMENTS).for_each(|stranger| drop(keep(stranger)));
        assert_eq!(documents.last_good(&url(0)).as_deref(), Some(&0));
        assert!(documents.last_good(&url(1)).is_none());
        keep(0);
        (1..2 * MAX_DOCUMENTS).for_each(|stranger| drop(keep(stranger)));
        assert!(documents.last_good(&url(0)).is_some(), "the mark survives another fetch");
        assert_eq!(lock(&documents.cache).entries.len(), MAX_DOCUMENTS);
    }
}
