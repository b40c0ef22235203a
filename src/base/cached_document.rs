//! Cache of one fetched document. The fetch itself is passed in.

mod rules;

pub use rules::{IntervalStart, RefetchRules};

use super::clock::{Clock, Monotonic};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Result of a fetch.
#[derive(Debug)]
pub enum Fetched<T, E> {
    /// Valid document.
    Document {
        /// Its content.
        value: T,
        /// Time that it is fresh.
        lifetime: Duration,
    },
    /// Failed fetch, or invalid document: the last good copy is kept.
    Failed(E),
    /// The document does not exist any more: the last good copy is dropped.
    Gone(E),
    /// The fetch was not made: this says nothing about the document and is not remembered.
    NotStarted(E),
}

/// Cache of one document. Concurrent callers share one fetch and its result. A failed fetch does not replace the last
/// good copy.
///
/// Every waiting caller drives the fetch: when one is dropped, the others lose nothing. When all are dropped, the fetch
/// is cancelled.
pub struct CachedDocument<T, E> {
    clock: Clock,
    rules: RefetchRules,
    state: Mutex<State<T, E>>,
}

type Fetching<T, E> = BoxFuture<'static, Result<Arc<T>, E>>;

struct State<T, E> {
    last_good: Option<GoodCopy<T>>,
    failure: Option<Failure<E>>,
    early_interval_start: Option<Monotonic>,
    pending: Option<WeakShared<Fetching<T, E>>>,
}

struct GoodCopy<T> {
    value: Arc<T>,
    fresh_until: Monotonic,
}

/// Last fetch, if it failed.
struct Failure<E> {
    at: Monotonic,
    error: E,
}

/// Result that is known, or a fetch to wait for.
enum Lookup<T, E> {
    Known(Result<Arc<T>, E>),
    Pending(Shared<Fetching<T, E>>),
}

impl<T, E> CachedDocument<T, E>
where
    T: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Creates a cache without a document.
    pub fn new(clock: Clock, rules: RefetchRules) -> Arc<Self> {
        let state = State { last_good: None, failure: None, early_interval_start: None, pending: None };
        Arc::new(Self { clock, rules, state: Mutex::new(state) })
    }

    /// Returns the document while it is fresh.
    pub fn fresh(&self) -> Option<Arc<T>> {
        self.state.lock().fresh(self.clock.monotonic())
    }

    /// Returns the last good copy, if it is not too old.
    pub fn last_good(&self) -> Option<Arc<T>> {
        self.state.lock().last_good(self.clock.monotonic(), &self.rules)
    }

    /// Returns the last good copy if the last fetch failed within the retry delay, so that an unavailable server does
    /// not delay callers that accept a stale document.
    pub fn last_good_after_failure(&self) -> Option<Arc<T>> {
        let (state, now) = (self.state.lock(), self.clock.monotonic());
        state.recent_failure(now, &self.rules).and_then(|_| state.last_good(now, &self.rules))
    }

    /// Returns the error of the last fetch, if it failed within the retry delay.
    pub fn recent_error(&self) -> Option<E> {
        self.state.lock().recent_failure(self.clock.monotonic(), &self.rules)
    }

    /// Returns the error of the last fetch, if it failed, however long ago.
    pub fn last_error(&self) -> Option<E> {
        self.state.lock().failure.as_ref().map(|failure| failure.error.clone())
    }

    /// Returns whether there is no copy, of whatever age.
    pub fn is_empty(&self) -> bool {
        self.state.lock().last_good.is_none()
    }

    /// Returns whether a fresh document may be fetched early with [`Self::refetch`]: once in the interval of the rules,
    /// and whenever there is a fetch to share.
    pub fn may_refetch(&self) -> bool {
        let mut state = self.state.lock();
        state.pending().is_some() || state.begin_early_interval(self.clock.monotonic(), &self.rules)
    }

    /// Fetches the document, unless it is fresh by now. `fetch` is called while the state is locked: it creates the
    /// future and does nothing else.
    ///
    /// # Errors
    /// The fetch failed, or `fetch` returned an error, which is neither shared nor remembered.
    pub async fn fetch<F>(self: &Arc<Self>, fetch: impl FnOnce() -> Result<F, E>) -> Result<Arc<T>, E>
    where
        F: Future<Output = Fetched<T, E>> + Send + 'static,
    {
        let lookup = {
            let mut state = self.state.lock();
            match state.fresh(self.clock.monotonic()) {
                Some(fresh) => Lookup::Known(Ok(fresh)),
                None => self.join(&mut state, fetch),
            }
        };
        lookup.result().await
    }

    /// Fetches the document although it may be fresh; [`Self::may_refetch`] must have allowed it.
    ///
    /// # Errors
    /// As for [`Self::fetch`].
    pub async fn refetch<F>(self: &Arc<Self>, fetch: impl FnOnce() -> Result<F, E>) -> Result<Arc<T>, E>
    where
        F: Future<Output = Fetched<T, E>> + Send + 'static,
    {
        let lookup = self.join(&mut self.state.lock(), fetch);
        lookup.result().await
    }

    /// Returns the document. It is fetched when it is not fresh, and early when `is_enough` rejects the fresh copy.
    /// When the fetch fails, or has failed within the retry delay, the last good copy is returned.
    ///
    /// # Errors
    /// The fetch failed, and there is no copy to use.
    pub async fn get<F>(
        self: &Arc<Self>,
        is_enough: impl Fn(&T) -> bool,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, E>
    where
        F: Future<Output = Fetched<T, E>> + Send + 'static,
    {
        let lookup = self.lookup(&mut self.state.lock(), is_enough, fetch);
        lookup.result().await.or_else(|error| self.last_good().ok_or(error))
    }

    fn lookup<F>(
        self: &Arc<Self>,
        state: &mut State<T, E>,
        is_enough: impl Fn(&T) -> bool,
        fetch: impl FnOnce() -> F,
    ) -> Lookup<T, E>
    where
        F: Future<Output = Fetched<T, E>> + Send + 'static,
    {
        let now = self.clock.monotonic();
        let fresh = state.fresh(now);
        if let Some(copy) = fresh.as_ref().filter(|copy| is_enough(copy)) {
            return Lookup::Known(Ok(Arc::clone(copy)));
        }
        if state.pending().is_none() {
            if let Some(copy) = fresh
                && !state.begin_early_interval(now, &self.rules)
            {
                return Lookup::Known(Ok(copy));
            }
            if let Some(error) = state.recent_failure(now, &self.rules) {
                return Lookup::Known(Err(error));
            }
        }
        self.join(state, || Ok(fetch()))
    }

    /// Joins the pending fetch, or starts one.
    fn join<F>(
        self: &Arc<Self>,
        state: &mut State<T, E>,
        fetch: impl FnOnce() -> Result<F, E>,
    ) -> Lookup<T, E>
    where
        F: Future<Output = Fetched<T, E>> + Send + 'static,
    {
        if let Some(pending) = state.pending() {
            return Lookup::Pending(pending);
        }
        let fetch = match fetch() {
            Ok(fetch) => fetch,
            Err(error) => return Lookup::Known(Err(error)),
        };
        let document = Arc::clone(self);
        let fetching = async move { document.record(fetch.await) }.boxed().shared();
        state.pending = fetching.downgrade();
        Lookup::Pending(fetching)
    }

    /// Updates the state with the result of a fetch.
    fn record(&self, fetched: Fetched<T, E>) -> Result<Arc<T>, E> {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        state.pending = None;
        let error = match fetched {
            Fetched::Document { value, lifetime } => {
                let value = Arc::new(value);
                let fresh_until = now.after(lifetime);
                state.last_good = Some(GoodCopy { value: Arc::clone(&value), fresh_until });
                state.failure = None;
                if self.rules.early_interval_start == IntervalStart::AnyFetch {
                    state.early_interval_start = Some(now);
                }
                return Ok(value);
            }
            Fetched::Failed(error) => error,
            Fetched::Gone(error) => {
                state.last_good = None;
                error
            }
            Fetched::NotStarted(error) => return Err(error),
        };
        state.failure = Some(Failure { at: now, error: error.clone() });
        Err(error)
    }
}

impl<T, E: Clone> State<T, E> {
    fn fresh(&self, now: Monotonic) -> Option<Arc<T>> {
        let copy = self.last_good.as_ref().filter(|copy| now < copy.fresh_until)?;
        Some(Arc::clone(&copy.value))
    }

    fn last_good(&self, now: Monotonic, rules: &RefetchRules) -> Option<Arc<T>> {
        let is_usable = |copy: &&GoodCopy<T>| {
            rules.max_stale.is_none_or(|max_stale| now.since(copy.fresh_until) < max_stale)
        };
        self.last_good.as_ref().filter(is_usable).map(|copy| Arc::clone(&copy.value))
    }

    fn recent_failure(&self, now: Monotonic, rules: &RefetchRules) -> Option<E> {
        let failure = self.failure.as_ref().filter(|failure| now.since(failure.at) < rules.retry_delay)?;
        Some(failure.error.clone())
    }

    /// Begins the next interval of early fetches; returns false while the last one has not ended.
    fn begin_early_interval(&mut self, now: Monotonic, rules: &RefetchRules) -> bool {
        if self.early_interval_start.is_some_and(|start| now.since(start) < rules.min_early_interval) {
            return false;
        }
        self.early_interval_start = Some(now);
        true
    }

    /// Fetch that somebody is waiting for.
    fn pending(&self) -> Option<Shared<Fetching<T, E>>> {
        self.pending.as_ref().and_then(WeakShared::upgrade)
    }
}

impl<T, E: Clone> Lookup<T, E> {
    async fn result(self) -> Result<Arc<T>, E> {
        match self {
            Self::Known(result) => result,
            Self::Pending(fetching) => fetching.await,
        }
    }
}

#[cfg(test)]
mod tests;
