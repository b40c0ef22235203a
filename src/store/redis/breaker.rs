//! A breaker in front of the connections: while Redis is away, only one call in a quarter of a second finds that out,
//! and all others are told at once.

use crate::store::Unavailable;
use bb8_redis::redis::RedisError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long the breaker stays open.
const OPEN_TIME: Duration = Duration::from_millis(250);
/// After an answer Redis counts as there for so long, whatever becomes of new connections.
const RECENT_SUCCESS: Duration = Duration::from_secs(1);

/// Its causes never hold our password; Redis does not repeat it.
pub(super) fn unavailable(error: &RedisError) -> Unavailable {
    Unavailable(format!("Redis: {error}"))
}

/// Lets calls through while Redis answers.
#[derive(Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
    /// Wakes those who wait for a connection when there will be none.
    pub(super) tripped: Notify,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    answered: Option<Instant>,
    epoch: Epoch,
}

struct Open {
    until: Instant,
    why: Unavailable,
}

/// The time between two answers that did not come. Whatever made one connection fall silent (a frozen server, a
/// network that loses every packet) has done so to all that were made before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Breaker {
    /// One call after each pause may try.
    pub(super) fn let_through(&self) -> Result<(), Unavailable> {
        let now = Instant::now();
        match &mut self.lock().open {
            Some(open) if now < open.until => Err(open.why.clone()),
            Some(open) => {
                open.until = now + OPEN_TIME;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn why(&self) -> Unavailable {
        let why = self.lock().open.as_ref().map(|open| open.why.clone());
        why.unwrap_or_else(|| Unavailable("Redis was away for a moment".into()))
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.lock().epoch
    }

    /// Redis answers.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        state.open = None;
        state.answered = Some(Instant::now());
    }

    /// No answer came on a connection of that era; about an earlier one it says nothing new.
    pub(super) fn fell_silent(&self, epoch: Epoch, error: &RedisError) {
        let mut state = self.lock();
        if state.epoch == epoch {
            state.epoch = Epoch(epoch.0 + 1);
            self.trip(state, error);
        }
    }

    /// Redis has closed a connection: that it answered before says nothing any more.
    pub(super) fn was_closed(&self) {
        self.lock().answered = None;
    }

    /// A new connection could not be made. While the others are answered, Redis only takes no more of them.
    pub(super) fn not_connected(&self, error: &RedisError) {
        let state = self.lock();
        if state.answered.is_none_or(|answered| answered.elapsed() > RECENT_SUCCESS) {
            self.trip(state, error);
        }
    }

    fn trip(&self, mut state: MutexGuard<'_, State>, error: &RedisError) {
        state.answered = None;
        state.open = Some(Open { until: Instant::now() + OPEN_TIME, why: unavailable(error) });
        drop(state);
        self.tripped.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
