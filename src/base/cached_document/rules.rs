//! Rules for fetching a cached document again.

use std::time::Duration;

/// Rules for fetching a document again.
#[derive(Debug, Clone, Copy)]
pub struct RefetchRules {
    /// Delay after a failed fetch.
    pub retry_delay: Duration,
    /// Time that the last good copy may be used after it was fresh; `None`: always.
    pub max_stale: Option<Duration>,
    /// Shortest time between two early fetches of a fresh document, for example because it lacks a key.
    pub min_early_interval: Duration,
    /// Fetch that this interval begins with.
    pub early_interval_start: IntervalStart,
}

/// Fetch that an interval begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalStart {
    /// The last early fetch, or the last successful fetch of any kind.
    AnyFetch,
    /// The last early fetch: the first one is allowed at any time.
    EarlyFetch,
}
