//! Circuit breaker in front of the connection pool. While Redis is unavailable, one call per [`OPEN_TIME`] probes it
//! and all others fail at once.
//!
//! Opening and closing each write one line at `warn`. When the breaker flaps, the first opening is logged with its
//! closing; further ones are counted, and the count is logged once a minute.

use super::failure::RedisFailure;
use crate::base::throttle::Throttle;
use crate::store::Unavailable;
use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Time for which an open breaker rejects calls before it lets one through as a probe.
const OPEN_TIME: Duration = Duration::from_millis(250);
/// Age up to which a successful call outweighs a failed attempt to connect.
const RECENT_SUCCESS: Duration = Duration::from_secs(1);

/// Circuit breaker: closed while Redis responds, open after a timeout or a failed connection.
pub(super) struct Breaker {
    state: Mutex<State>,
    /// Wakes the calls that wait for a connection when the breaker opens.
    pub(super) opened: Notify,
}

struct State {
    open: Option<Open>,
    last_success: Option<Instant>,
    epoch: Epoch,
    /// Origin of the throttle's time.
    created_at: Instant,
    throttle: Throttle,
}

/// State of an open breaker.
struct Open {
    since: Instant,
    /// Time at which the next call may probe Redis.
    retry_at: Instant,
    cause: Unavailable,
    /// `true` if its opening was logged; its closing is logged only then.
    is_logged: bool,
}

/// Log line that a change of the state leads to.
#[derive(Debug, PartialEq, Eq)]
enum Notice {
    /// The breaker opened; holds the openings of the last minute that were not logged.
    Opened { unlogged: u64 },
    /// The breaker closed after this time.
    Closed(Duration),
    /// The breaker is closed; holds the openings of the last minute that were not logged.
    Flapped { unlogged: u64 },
}

/// Number of timeouts so far. Whatever made one connection time out (a frozen server, a network that drops every
/// packet) affects all connections of the same or an earlier epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Breaker {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::new(Instant::now())), opened: Notify::new() }
    }

    /// Lets a call through; while the breaker is open, only one per [`OPEN_TIME`].
    ///
    /// # Errors
    /// The breaker is open; returns its cause.
    pub(super) fn check(&self) -> Result<(), Unavailable> {
        let now = Instant::now();
        match &mut self.state.lock().open {
            Some(open) if now < open.retry_at => Err(open.cause.clone()),
            Some(open) => {
                open.retry_at = now + OPEN_TIME;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Returns why the breaker opened.
    pub(super) fn cause(&self) -> Unavailable {
        let cause = self.state.lock().open.as_ref().map(|open| open.cause.clone());
        cause.unwrap_or(Unavailable::Reconnecting)
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.state.lock().epoch
    }

    /// Registers a response, and closes the breaker.
    pub(super) fn record_success(&self) {
        let notice = self.state.lock().close(Instant::now());
        match notice {
            Some(Notice::Closed(duration)) => tracing::warn!(
                open_millis = millis(duration),
                "the store is available again: circuit breaker closed"
            ),
            Some(Notice::Flapped { unlogged }) => tracing::warn!(
                openings = unlogged,
                "the store was unavailable repeatedly: circuit breaker opened and closed"
            ),
            Some(Notice::Opened { .. }) | None => {}
        }
    }

    /// Registers a response timeout on a connection of this epoch, and opens the breaker. A timeout on an older
    /// connection is no news.
    pub(super) fn record_timeout(&self, epoch: Epoch, error: &RedisFailure) {
        let mut state = self.state.lock();
        if state.epoch == epoch {
            state.epoch = Epoch(epoch.0 + 1);
            self.open(state, error);
        }
    }

    /// Registers that Redis closed a connection: an earlier success says nothing any more.
    pub(super) fn record_disconnect(&self) {
        self.state.lock().last_success = None;
    }

    /// Registers a failed attempt to connect, and opens the breaker. While other connections get responses, Redis
    /// only accepts no further ones.
    pub(super) fn record_connect_error(&self, error: &RedisFailure) {
        let state = self.state.lock();
        if state.last_success.is_none_or(|at| at.elapsed() > RECENT_SUCCESS) {
            self.open(state, error);
        }
    }

    fn open(&self, mut state: MutexGuard<'_, State>, error: &RedisFailure) {
        let notice = state.open(error.clone().into(), Instant::now());
        drop(state);
        self.opened.notify_waiters();
        if let Some(Notice::Opened { unlogged }) = notice {
            tracing::warn!(
                %error,
                earlier_openings = unlogged,
                "the store is unavailable: circuit breaker opened"
            );
        }
    }
}

impl State {
    fn new(now: Instant) -> Self {
        Self {
            open: None,
            last_success: None,
            epoch: Epoch::default(),
            created_at: now,
            throttle: Throttle::default(),
        }
    }

    /// Opens the breaker, or keeps it open. An opening that was not logged is logged as soon as the throttle permits,
    /// so that an outage that follows a flapping does not stay silent.
    fn open(&mut self, cause: Unavailable, now: Instant) -> Option<Notice> {
        self.last_success = None;
        let seconds = self.throttle_seconds(now);
        let (since, was_logged, unlogged) = match &self.open {
            Some(open) if open.is_logged => (open.since, true, None),
            Some(open) => (open.since, false, self.throttle.take_count(seconds)),
            None => (now, false, self.throttle.is_first(seconds).then_some(0)),
        };
        let is_logged = was_logged || unlogged.is_some();
        self.open = Some(Open { since, retry_at: now + OPEN_TIME, cause, is_logged });
        unlogged.map(|unlogged| Notice::Opened { unlogged })
    }

    fn close(&mut self, now: Instant) -> Option<Notice> {
        self.last_success = Some(now);
        match self.open.take() {
            Some(open) if open.is_logged => Some(Notice::Closed(now - open.since)),
            _ => {
                let unlogged = self.throttle.take_count(self.throttle_seconds(now))?;
                Some(Notice::Flapped { unlogged })
            }
        }
    }

    /// The throttle's time in seconds; zero would mean that no line was written yet.
    fn throttle_seconds(&self, now: Instant) -> u64 {
        (now - self.created_at).as_secs() + 1
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
