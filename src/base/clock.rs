//! Clock that is passed as a dependency, so that tests are deterministic.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use time::UtcDateTime;

/// Tolerated difference between two clocks: those of replicas, of the store, of Okta and of clients that sign assertions.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_mins(2);

/// Point in time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Time at these milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Time at these seconds since the epoch (a JWT `NumericDate`); saturates.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Milliseconds of the current second.
    pub const fn subsec_millis(self) -> u32 {
        Duration::from_millis(self.0).subsec_millis()
    }

    /// Adds a duration; saturates.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Duration since `earlier`; zero when that is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Milliseconds from `other` to this time; negative when `other` is later.
    pub fn millis_from(self, other: Self) -> i64 {
        let difference = i128::from(self.0) - i128::from(other.0);
        i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
    }
}

/// Point in time on the monotonic clock of this process, for ages and delays: adjusting the system's clock has no effect
/// on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Monotonic(u64);

impl Monotonic {
    /// Adds a duration; saturates.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Duration since `earlier`; zero when that is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Time before 1970 is the epoch.
impl From<UtcDateTime> for Timestamp {
    fn from(at: UtcDateTime) -> Self {
        Self::from_seconds(u64::try_from(at.unix_timestamp()).unwrap_or_default())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Clock: the system's, or one that a test sets.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Time that a test sets, instead of the system's.
    manual: Option<Arc<AtomicU64>>,
    /// Milliseconds of skew that a test adds.
    skew: Option<Arc<AtomicI64>>,
    /// Milliseconds of correction, towards the clock of another machine.
    correction: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// Clock of the system.
    pub const fn system() -> Self {
        Self { manual: None, skew: None, correction: None }
    }

    /// Clock that stands still until [`Clock::advance`]; its clones advance together.
    pub fn manual(start: Timestamp) -> Self {
        Self { manual: Some(Arc::new(AtomicU64::new(start.0))), ..Self::system() }
    }

    /// Clock that is ahead of this one by these milliseconds, or behind (negative). For tests.
    #[must_use]
    pub fn skewed(&self, millis: i64) -> Self {
        Self { skew: Some(Arc::new(AtomicI64::new(millis))), ..self.clone() }
    }

    /// Same clock with a correction of its own, initially zero.
    #[must_use]
    pub fn corrected(&self) -> Self {
        Self { correction: Some(Arc::default()), ..self.clone() }
    }

    /// Sets the correction of this clock and its clones, in milliseconds; no effect on a clock without one.
    pub fn correct(&self, millis: i64) {
        if let Some(correction) = &self.correction {
            correction.store(millis, Ordering::Relaxed);
        }
    }

    /// Current correction, in milliseconds.
    pub fn correction(&self) -> i64 {
        self.correction.as_ref().map_or(0, |correction| correction.load(Ordering::Relaxed))
    }

    /// Current time.
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the system's clock")]
    pub fn now(&self) -> Timestamp {
        let now = self.manual_time().unwrap_or_else(|| {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp(millis(since_epoch))
        });
        let skew = self.skew.as_ref().map_or(0, |skew| skew.load(Ordering::Relaxed));
        Timestamp(now.0.saturating_add_signed(skew.saturating_add(self.correction())))
    }

    /// Time that a test has set, without this clock's skew; `None` for the system's clock.
    pub fn manual_time(&self) -> Option<Timestamp> {
        self.manual.as_ref().map(|millis| Timestamp(millis.load(Ordering::SeqCst)))
    }

    /// Current time of the monotonic clock.
    pub fn monotonic(&self) -> Monotonic {
        static START: OnceLock<Instant> = OnceLock::new();
        match &self.manual {
            Some(millis) => Monotonic(millis.load(Ordering::SeqCst)),
            None => Monotonic(millis(START.get_or_init(Instant::now).elapsed())),
        }
    }

    /// Advances a manual clock; no effect on the system's.
    pub fn advance(&self, duration: Duration) {
        if let Some(manual) = &self.manual {
            manual.fetch_add(millis(duration), Ordering::SeqCst);
        }
    }

    /// Moves a skewed clock forward or back by these milliseconds, as an adjustment of the system's clock does.
    pub fn jump(&self, millis: i64) {
        if let Some(skew) = &self.skew {
            skew.fetch_add(millis, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skewed_clock_advances_with_the_others_and_can_be_corrected() {
        let clock = Clock::manual(Timestamp::from_seconds(1000));
        let ahead = clock.skewed(90_000);
        let corrected = ahead.corrected();
        clock.advance(Duration::from_secs(1));
        assert_eq!((ahead.now().seconds(), corrected.now().seconds()), (1091, 1091));
        corrected.correct(corrected.now().millis_from(clock.now()).saturating_neg());
        assert_eq!((ahead.now().seconds(), corrected.now().seconds()), (1091, 1001));
    }

    #[test]
    fn setting_the_clock_back_does_not_affect_monotonic_time() {
        for base in [Clock::system(), Clock::manual(Timestamp::from_seconds(1000))] {
            let clock = base.skewed(0);
            let (before, seen) = (clock.now(), clock.monotonic());
            clock.jump(-3_600_000);
            assert!(clock.now() < before);
            assert!(clock.monotonic() >= seen);
        }
    }
}
