//! Documents as they were read last, kept for as long as their servers let.

use super::shares::Share;
use super::{FetchError, Fetcher};
use crate::base::clock::{Clock, Monotonic};
use crate::base::subnets::Subnets;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::OnceCell;
use url::Url;

/// How many copies are kept, each of a bounded length. Of those that nobody has logged in with, the one that was not used
/// for longest goes first: strangers can have any number of documents fetched.
const MAX_DOCUMENTS: usize = 1024;
/// Between two fetches of a copy that is fresh, for something that it lacks.
const BETWEEN_SEARCHES: Duration = Duration::from_mins(1);
/// After a failed fetch, for whoever can do with the copy that there is.
const RETRY_DELAY: Duration = Duration::from_secs(30);

/// One kind of document, such as key sets. What cannot be fetched or read is not kept, and what was good before
/// stays.
pub struct Documents<T> {
    fetcher: Arc<Fetcher>,
    longest: usize,
    stale: Option<Duration>,
    clock: Clock,
    kept: Mutex<Kept<T>>,
    flights: Mutex<HashMap<String, Weak<Flight<T>>>>,
}

/// A fetch under way, whose share of the fetches it takes, and whoever waits for it.
struct Flight<T> {
    share: Arc<Share>,
    fetched: OnceCell<Result<Arc<T>, FetchError>>,
}

struct Kept<T> {
    copies: HashMap<String, Copy<T>>,
    /// Counts looks, so that the copy that was not used for longest can be told.
    looks: u64,
}

struct Copy<T> {
    value: Arc<T>,
    fresh_until: Monotonic,
    searched_at: Monotonic,
    failed_at: Option<Monotonic>,
    used: u64,
    /// Whether somebody has logged in with the client that published it.
    trusted: bool,
}

impl<T> Documents<T> {
    /// None yet; none will be longer than `longest` bytes. Where there is no new one, the last one does for as long as
    /// `stale` after it was fresh, and not once its server says that it is gone; `None`: however old, whatever is said.
    pub fn new(fetcher: Arc<Fetcher>, longest: usize, stale: Option<Duration>, clock: Clock) -> Self {
        let kept = Mutex::new(Kept { copies: HashMap::new(), looks: 0 });
        Self { fetcher, longest, stale, clock, kept, flights: Mutex::default() }
    }

    /// The copy that need not be fetched anew yet.
    pub fn fresh(&self, url: &Url) -> Option<Arc<T>> {
        let now = self.clock.monotonic();
        self.look(url, |copy| now < copy.fresh_until)
    }

    /// The copy that was good last, when a fetch has failed a moment ago: a server that is down holds nobody up who can
    /// do with an older one.
    pub fn stale_after_failure(&self, url: &Url) -> Option<Arc<T>> {
        let now = self.clock.monotonic();
        let failed = |copy: &Copy<T>| copy.failed_at.is_some_and(|at| now.since(at) < RETRY_DELAY);
        self.look(url, |copy| failed(copy) && self.still_does(copy, now))
    }

    /// The copy that was good last, if it is not too old to do.
    pub fn last_good(&self, url: &Url) -> Option<Arc<T>> {
        let now = self.clock.monotonic();
        self.look(url, |copy| self.still_does(copy, now))
    }

    /// Somebody has logged in with the client that published this: its copy is kept longer than those of strangers.
    pub fn trust(&self, url: &Url) {
        if let Some(copy) = lock(&self.kept).copies.get_mut(url.as_str()) {
            copy.trusted = true;
        }
    }

    fn still_does(&self, copy: &Copy<T>, now: Monotonic) -> bool {
        self.stale.is_none_or(|stale| now.since(copy.fresh_until) < stale)
    }

    /// Whether a fresh copy may be fetched anew all the same, because it lacks something: once a minute.
    pub fn may_search(&self, url: &Url) -> bool {
        let now = self.clock.monotonic();
        let mut kept = lock(&self.kept);
        let Some(copy) = kept.copies.get_mut(url.as_str()) else { return true };
        if now.since(copy.searched_at) < BETWEEN_SEARCHES {
            return false;
        }
        copy.searched_at = now;
        true
    }

    /// Fetches the document anew and reads it with `read`, which says what is wrong with it. Callers that come at the
    /// same time share one fetch, which is of the subscriber who came first.
    ///
    /// # Errors
    /// Why there is none. Later callers try again.
    pub async fn fetch(
        &self,
        url: &Url,
        subscriber: Subnets,
        read: impl FnOnce(&[u8]) -> Result<T, FetchError>,
    ) -> Result<Arc<T>, FetchError> {
        let flight = self.join(url, subscriber)?;
        let fetch = async || {
            let fetched = self.fetcher.get(url, self.longest, &flight.share).await?;
            Ok(self.keep(url, Arc::new(read(&fetched.body)?), fetched.lifetime))
        };
        let fetched = flight.fetched.get_or_init(fetch).await.clone();
        fetched.inspect_err(|error| self.has_failed(url, error))
    }

    fn has_failed(&self, url: &Url, error: &FetchError) {
        let mut kept = lock(&self.kept);
        if *error == FetchError::Gone && self.stale.is_some() {
            kept.copies.remove(url.as_str());
        } else if let Some(copy) = kept.copies.get_mut(url.as_str()) {
            copy.failed_at = Some(self.clock.monotonic());
        }
    }

    fn look(&self, url: &Url, is_valid: impl FnOnce(&Copy<T>) -> bool) -> Option<Arc<T>> {
        let mut kept = lock(&self.kept);
        kept.looks += 1;
        let looks = kept.looks;
        let copy = kept.copies.get_mut(url.as_str()).filter(|copy| is_valid(copy))?;
        copy.used = looks;
        Some(Arc::clone(&copy.value))
    }

    fn keep(&self, url: &Url, value: Arc<T>, lifetime: Duration) -> Arc<T> {
        let now = self.clock.monotonic();
        let mut kept = lock(&self.kept);
        if kept.copies.len() >= MAX_DOCUMENTS && !kept.copies.contains_key(url.as_str()) {
            let least = kept.copies.iter().min_by_key(|(_, copy)| (copy.trusted, copy.used));
            let oldest = least.map(|(url, _)| url.clone());
            oldest.and_then(|oldest| kept.copies.remove(&oldest));
        }
        kept.looks += 1;
        let copy = Copy {
            value: Arc::clone(&value),
            fresh_until: now.after(lifetime),
            searched_at: now,
            failed_at: None,
            used: kept.looks,
            trusted: kept.copies.get(url.as_str()).is_some_and(|copy| copy.trusted),
        };
        kept.copies.insert(url.as_str().to_owned(), copy);
        value
    }

    /// The fetch of this URL that is under way, else a new one, if the subscriber may have one more. One that nobody
    /// waits for any more is forgotten.
    fn join(&self, url: &Url, subscriber: Subnets) -> Result<Arc<Flight<T>>, FetchError> {
        let mut flights = lock(&self.flights);
        flights.retain(|_, flight| flight.strong_count() > 0);
        if let Some(flight) = flights.get(url.as_str()).and_then(Weak::upgrade) {
            return Ok(flight);
        }
        let flight = Arc::new(Flight { share: self.fetcher.share(subscriber)?, fetched: OnceCell::new() });
        flights.insert(url.as_str().to_owned(), Arc::downgrade(&flight));
        Ok(flight)
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
    fn documents_of_strangers_take_the_place_of_none_that_somebody_has_logged_in_with() {
        // Fails only when one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let fetcher = Fetcher::new(FetchPolicy::default(), clock.clone()).unwrap();
        let documents = Documents::new(Arc::new(fetcher), 1024, None, clock);
        let url = |number: usize| Url::parse(&format!("https://{number}.example.com/id")).unwrap();
        let keep = |number| documents.keep(&url(number), Arc::new(number), Duration::from_mins(1));
        keep(0);
        documents.trust(&url(0));
        (1..3 * MAX_DOCUMENTS).for_each(|stranger| drop(keep(stranger)));
        assert_eq!(documents.last_good(&url(0)).as_deref(), Some(&0));
        assert!(documents.last_good(&url(1)).is_none());
        keep(0);
        (1..2 * MAX_DOCUMENTS).for_each(|stranger| drop(keep(stranger)));
        assert!(documents.last_good(&url(0)).is_some(), "also as it was fetched again");
        assert_eq!(lock(&documents.kept).copies.len(), MAX_DOCUMENTS);
    }
}
