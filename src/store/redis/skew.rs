//! Clock skew between this machine and Redis, which all replicas share: measured, logged, and corrected where replicas
//! must agree on a time.

use crate::base::clock::Monotonic;
use parking_lot::Mutex;
use std::time::Duration;

/// Clock skew above which a warning is logged.
const MAX_QUIET_SKEW_MILLIS: u64 = 5_000;
/// Interval at which the warning is repeated.
const WARN_INTERVAL: Duration = Duration::from_mins(10);
/// Smallest change of the skew that is corrected: a slow response can look like a smaller one.
const MIN_CORRECTION_MILLIS: u64 = 1_000;
/// Largest skew that is corrected: above it, the clock of Redis itself is assumed to be wrong.
const MAX_CORRECTION_MILLIS: u64 = 10 * 60 * 1000;

/// Measured clock skew, and the correction that it leads to.
#[derive(Default)]
pub(super) struct SkewMonitor(Mutex<State>);

#[derive(Default)]
struct State {
    millis: Option<i64>,
    correction: i64,
    warned_at: Option<Monotonic>,
}

/// Log line that a measurement leads to.
#[derive(Debug, PartialEq, Eq)]
enum Notice {
    Skewed,
    Agreed,
}

impl SkewMonitor {
    /// Registers by how many milliseconds this machine's clock is ahead, or behind (negative); returns the correction in
    /// milliseconds.
    pub(super) fn observe(&self, ahead_millis: i64, now: Monotonic) -> i64 {
        let mut state = self.0.lock();
        let notice = state.observe(ahead_millis, now);
        let correction = state.correction;
        drop(state);
        let seconds = ahead_millis / 1000;
        match notice {
            Some(Notice::Skewed) => tracing::warn!(
                ahead_seconds = seconds,
                "the clocks of this machine and of Redis differ: check NTP on both (120 s are tolerated)"
            ),
            Some(Notice::Agreed) => {
                tracing::info!(
                    ahead_seconds = seconds,
                    "the clocks of this machine and of Redis agree again"
                );
            }
            None => {}
        }
        correction
    }

    /// Milliseconds by which this machine's clock is ahead; `None` before the first measurement.
    pub(super) fn millis(&self) -> Option<i64> {
        self.0.lock().millis
    }
}

impl State {
    fn observe(&mut self, ahead_millis: i64, now: Monotonic) -> Option<Notice> {
        self.millis = Some(ahead_millis);
        let correction = if ahead_millis.unsigned_abs() > MAX_CORRECTION_MILLIS {
            0
        } else {
            ahead_millis.saturating_neg()
        };
        if correction.abs_diff(self.correction) >= MIN_CORRECTION_MILLIS {
            self.correction = correction;
        }
        if ahead_millis.unsigned_abs() <= MAX_QUIET_SKEW_MILLIS {
            return self.warned_at.take().map(|_| Notice::Agreed);
        }
        if self.warned_at.is_some_and(|at| now.since(at) < WARN_INTERVAL) {
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
    fn clock_skew_is_logged_once_in_ten_minutes_and_when_it_ends() {
        let mut state = State::default();
        let mut notice = |seconds, millis| state.observe(millis, at(seconds));
        assert_eq!(notice(0, 5_000), None);
        assert_eq!(notice(10, -5_001), Some(Notice::Skewed));
        assert_eq!((notice(20, 90_000), notice(609, 90_000)), (None, None));
        assert_eq!(notice(610, 90_000), Some(Notice::Skewed));
        assert_eq!(notice(620, -4_000), Some(Notice::Agreed));
        assert_eq!(notice(630, 0), None);
        assert_eq!(notice(640, 6_000), Some(Notice::Skewed));
    }

    #[test]
    fn clock_skew_is_corrected_unless_it_is_small_or_implausible() {
        let monitor = SkewMonitor::default();
        assert_eq!(monitor.millis(), None);
        let corrections = [400, 119_000, 119_400, -119_000, 3_600_000, i64::MIN, 0];
        let corrections = corrections.map(|millis| monitor.observe(millis, at(0)));
        assert_eq!(corrections, [0, -119_000, -119_000, 119_000, 0, 0, 0]);
        assert_eq!(monitor.millis(), Some(0));
    }
}
