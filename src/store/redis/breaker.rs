//! Circuit breaker in front of the connection pool. While Redis is unavailable, one call per [`OPEN_TIME`] probes it
//! and all others fail at once.
//!
//! Opening and closing each write one line at `warn`; see [`crate::base::outage_log`] for a breaker that flaps.

use super::failure::RedisFailure;
use crate::base::outage_log::{Messages, Outage};
use crate::store::Unavailable;
use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Time for which an open breaker rejects calls before it lets one through as a probe.
const OPEN_TIME: Duration = Duration::from_millis(250);
/// Log lines about the state of the breaker.
const MESSAGES: Messages = Messages {
    began: "the store is unavailable: circuit breaker opened",
    ended: "the store is available again: circuit breaker closed",
    repeated: "the store was unavailable repeatedly: circuit breaker opened and closed",
};
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
    outage: Outage,
}

/// State of an open breaker.
struct Open {
    /// Time at which the next call may probe Redis.
    retry_at: Instant,
    cause: Unavailable,
}

/// Number of timeouts so far. Whatever made one connection time out (a frozen server, a network that drops every
/// packet) affects all connections of the same or an earlier epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Breaker {
    pub(super) fn new() -> Self {
        let outage = Outage::new(Instant::now().into_std());
        let state = State { open: None, last_success: None, epoch: Epoch::default(), outage };
        Self { state: Mutex::new(state), opened: Notify::new() }
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
        let now = Instant::now();
        let mut state = self.state.lock();
        state.open = None;
        state.last_success = Some(now);
        let notice = state.outage.succeed(now.into_std());
        drop(state);
        MESSAGES.write_success(notice);
    }

    /// Returns whether the breaker is open.
    pub(super) fn is_open(&self) -> bool {
        self.state.lock().open.is_some()
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
        let now = Instant::now();
        state.open = Some(Open { retry_at: now + OPEN_TIME, cause: error.clone().into() });
        state.last_success = None;
        let notice = state.outage.fail(now.into_std());
        drop(state);
        self.opened.notify_waiters();
        MESSAGES.write_failure(notice, error);
    }
}
