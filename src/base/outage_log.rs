//! Log lines about outages: one when an outage begins, with its cause, and one when it is over. While outages follow
//! each other, the others are counted, and the count is written once a minute.

use super::throttle::Throttle;
use parking_lot::Mutex;
use std::fmt::Display;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Messages of the lines about the outages of one service.
#[derive(Debug, Clone, Copy)]
pub struct Messages {
    /// An outage began.
    pub began: &'static str,
    /// The outage is over.
    pub ended: &'static str,
    /// There were further outages since the last line.
    pub repeated: &'static str,
}

/// Change of an outage that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// An outage began.
    Began {
        /// Outages since the last line that were not logged.
        unlogged: u64,
    },
    /// The outage is over after this time.
    Ended(Duration),
    /// There is no outage, and there were others.
    Repeated {
        /// Outages since the last line that were not logged.
        unlogged: u64,
    },
}

impl Messages {
    /// Writes the line about the beginning of an outage, if there is one to be written.
    pub fn write_failure(&self, notice: Option<Notice>, cause: &dyn Display) {
        if let Some(Notice::Began { unlogged }) = notice {
            tracing::warn!(%cause, earlier_outages = unlogged, "{}", self.began);
        }
    }

    /// Writes the line about the end of an outage, if there is one to be written.
    pub fn write_success(&self, notice: Option<Notice>) {
        match notice {
            Some(Notice::Ended(duration)) => {
                let outage_millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(outage_millis, "{}", self.ended);
            }
            Some(Notice::Repeated { unlogged }) => tracing::warn!(outages = unlogged, "{}", self.repeated),
            Some(Notice::Began { .. }) | None => {}
        }
    }
}

/// State of a service, as far as it decides which lines are written.
#[derive(Debug)]
pub struct Outage {
    current: Option<Current>,
    throttle: Throttle,
    /// Origin of the throttle's time.
    created_at: Instant,
}

/// Outage that is not over.
#[derive(Debug)]
struct Current {
    since: Instant,
    /// `true` if its beginning was logged; its end is logged only then.
    is_logged: bool,
}

impl Outage {
    /// State of a service that is available.
    pub fn new(now: Instant) -> Self {
        Self { current: None, throttle: Throttle::default(), created_at: now }
    }

    /// Returns whether there is an outage.
    pub const fn is_ongoing(&self) -> bool {
        self.current.is_some()
    }

    /// Registers a failure. An outage whose beginning was not logged is logged as soon as the throttle permits, so that
    /// one that follows a series of short ones does not stay silent.
    pub fn fail(&mut self, now: Instant) -> Option<Notice> {
        let seconds = self.throttle_seconds(now);
        let (since, was_logged, unlogged) = match &self.current {
            Some(current) if current.is_logged => (current.since, true, None),
            Some(current) => (current.since, false, self.throttle.take_count(seconds)),
            None => (now, false, self.throttle.is_first(seconds).then_some(0)),
        };
        self.current = Some(Current { since, is_logged: was_logged || unlogged.is_some() });
        unlogged.map(|unlogged| Notice::Began { unlogged })
    }

    /// Registers a success, which ends the outage. Must be called regularly: nothing else reports the last count.
    pub fn succeed(&mut self, now: Instant) -> Option<Notice> {
        match self.current.take() {
            Some(current) if current.is_logged => Some(Notice::Ended(now - current.since)),
            _ => {
                let unlogged = self.throttle.take_count(self.throttle_seconds(now))?;
                Some(Notice::Repeated { unlogged })
            }
        }
    }

    /// The throttle's time in seconds; zero would mean that no line was written yet.
    fn throttle_seconds(&self, now: Instant) -> u64 {
        (now - self.created_at).as_secs() + 1
    }
}

/// Writer of the lines about one service.
#[derive(Debug)]
pub struct OutageLog {
    messages: Messages,
    /// Failures in a row that make an outage.
    min_failures: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    outage: Outage,
    /// Failures since the last success.
    failures: u32,
}

impl OutageLog {
    /// Log of a service that is available, and for which one failure is an outage.
    pub fn new(messages: Messages) -> Self {
        Self::of_repeated_failures(messages, 1)
    }

    /// The same, for a service that may fail now and then: so many failures in a row are an outage.
    pub fn of_repeated_failures(messages: Messages, min_failures: u32) -> Self {
        let state = State { outage: Outage::new(Instant::now()), failures: 0 };
        Self { messages, min_failures, state: Mutex::new(state) }
    }

    /// Registers a failure, and writes a line if an outage begins.
    pub fn fail(&self, cause: &dyn Display) {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        let is_outage = state.failures >= self.min_failures;
        let notice = if is_outage { state.outage.fail(Instant::now()) } else { None };
        drop(state);
        self.messages.write_failure(notice, cause);
    }

    /// Registers a success, and writes a line if an outage is over.
    pub fn succeed(&self) {
        let mut state = self.state.lock();
        state.failures = 0;
        let notice = state.outage.succeed(Instant::now());
        drop(state);
        self.messages.write_success(notice);
    }

    /// Returns whether there is an outage.
    pub fn is_ongoing(&self) -> bool {
        self.state.lock().outage.is_ongoing()
    }
}
