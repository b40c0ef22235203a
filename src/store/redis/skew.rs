//! The difference between this machine's clock and that of Redis, which all replicas share: measured, told to the
//! operator, and taken off where replicas must agree on a time.

use crate::base::clock::Monotonic;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A difference beyond which the operator is told.
const WARN_MILLIS: u64 = 5_000;
/// How often the operator is told while it lasts.
const WARN_AGAIN: Duration = Duration::from_mins(10);
/// A change of the difference that is not corrected: what a slow response may feign, too.
const UNCORRECTED_MILLIS: u64 = 1_000;
/// A difference beyond which the clock of Redis is not followed: something else is wrong then.
const FOLLOWED_MILLIS: u64 = 10 * 60 * 1000;

/// What the last comparison has found.
#[derive(Default)]
pub(super) struct SkewMonitor(Mutex<State>);

#[derive(Default)]
struct State {
    millis: Option<i64>,
    correction: i64,
    warned_at: Option<Monotonic>,
}

/// What the operator is to be told.
#[derive(Debug, PartialEq, Eq)]
enum Notice {
    Skewed,
    Agreed,
}

impl SkewMonitor {
    /// Takes in that this machine's clock is ahead by so much, or behind (negative); returns the correction that makes it
    /// agree.
    pub(super) fn observe(&self, ahead_millis: i64, now: Monotonic) -> i64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let notice = state.observe(ahead_millis, now);
        let correction = state.correction;
        drop(state);
        let seconds = ahead_millis / 1000;
        match notice {
            Some(Notice::Skewed) => tracing::warn!(
                ahead_seconds = seconds,
                "this machine's clock and that of Redis differ: check NTP on both (120 s are tolerated)"
            ),
            Some(Notice::Agreed) => {
                tracing::info!(ahead_seconds = seconds, "this machine's clock and that of Redis agree again");
            }
            None => {}
        }
        correction
    }

    /// How far this machine's clock is ahead, in milliseconds.
    pub(super) fn millis(&self) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).millis
    }
}

impl State {
    fn observe(&mut self, ahead_millis: i64, now: Monotonic) -> Option<Notice> {
        self.millis = Some(ahead_millis);
        let wanted =
            if ahead_millis.unsigned_abs() > FOLLOWED_MILLIS { 0 } else { ahead_millis.saturating_neg() };
        if wanted.abs_diff(self.correction) >= UNCORRECTED_MILLIS {
            self.correction = wanted;
        }
        if ahead_millis.unsigned_abs() <= WARN_MILLIS {
            return self.warned_at.take().map(|_| Notice::Agreed);
        }
        if self.warned_at.is_some_and(|at| now.since(at) < WARN_AGAIN) {
            return None;
        }
        self.warned_at = Some(now);
        Some(Notice::Skewed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::default().after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_clock_that_differs_is_told_of_once_in_ten_minutes_and_when_it_agrees_again() {
        let mut state = State::default();
        let mut told = |seconds, millis| state.observe(millis, at(seconds));
        assert_eq!(told(0, 5_000), None);
        assert_eq!(told(10, -5_001), Some(Notice::Skewed));
        assert_eq!((told(20, 90_000), told(609, 90_000)), (None, None));
        assert_eq!(told(610, 90_000), Some(Notice::Skewed));
        assert_eq!(told(620, -4_000), Some(Notice::Agreed));
        assert_eq!(told(630, 0), None);
        assert_eq!(told(640, 6_000), Some(Notice::Skewed));
    }

    #[test]
    fn a_difference_is_corrected_unless_it_is_that_of_a_slow_response_or_absurd() {
        let monitor = SkewMonitor::default();
        assert_eq!(monitor.millis(), None);
        let corrections = [400, 119_000, 119_400, -119_000, 3_600_000, i64::MIN, 0];
        let corrections = corrections.map(|millis| monitor.observe(millis, at(0)));
        assert_eq!(corrections, [0, -119_000, -119_000, 119_000, 0, 0, 0]);
        assert_eq!(monitor.millis(), Some(0));
    }
}
