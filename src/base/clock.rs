//! Time is handed in, so that every test is exact.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tolerated difference between two clocks: of replicas, of the store, of Okta and of clients that sign assertions.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_mins(2);

/// A point in time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From seconds since the epoch (a JWT `NumericDate`); saturates.
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

    /// This much later; saturates.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Milliseconds from `other` to this; negative when `other` is later.
    pub fn millis_from(self, other: Self) -> i64 {
        let difference = i128::from(self.0) - i128::from(other.0);
        i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
    }
}

/// A point on the timeline of this process, for ages and pauses: no correction of the system's clock moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Monotonic(u64);

impl Monotonic {
    /// This much later; saturates.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Tells the time: the system's, or one that a test sets.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// The time that a test sets, instead of the system's.
    manual: Option<Arc<AtomicU64>>,
    /// Milliseconds by which a test has put this clock wrong.
    skew: Option<Arc<AtomicI64>>,
    /// Milliseconds by which it is corrected, to agree with another machine.
    correction: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self { manual: None, skew: None, correction: None }
    }

    /// A clock that stands still until [`Clock::advance`]; its clones move together.
    pub fn manual(start: Timestamp) -> Self {
        Self { manual: Some(Arc::new(AtomicU64::new(start.0))), ..Self::system() }
    }

    /// The clock of another machine, which is ahead of this one by so many milliseconds, or behind. For tests.
    #[must_use]
    pub fn skewed(&self, millis: i64) -> Self {
        Self { skew: Some(Arc::new(AtomicI64::new(millis))), ..self.clone() }
    }

    /// The same clock, with a correction of its own, which is zero at first.
    #[must_use]
    pub fn corrected(&self) -> Self {
        Self { correction: Some(Arc::default()), ..self.clone() }
    }

    /// Sets the correction of this clock and of its clones, in milliseconds; does nothing to one that has none.
    pub fn correct(&self, millis: i64) {
        if let Some(correction) = &self.correction {
            correction.store(millis, Ordering::Relaxed);
        }
    }

    /// The correction, in milliseconds.
    pub fn correction(&self) -> i64 {
        self.correction.as_ref().map_or(0, |correction| correction.load(Ordering::Relaxed))
    }

    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn now(&self) -> Timestamp {
        let now = self.manual_time().unwrap_or_else(|| {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp(millis(since_epoch))
        });
        let skew = self.skew.as_ref().map_or(0, |skew| skew.load(Ordering::Relaxed));
        Timestamp(now.0.saturating_add_signed(skew.saturating_add(self.correction())))
    }

    /// The time that a test has set for all machines, without the error of this one; `None` for the system's clock.
    pub fn manual_time(&self) -> Option<Timestamp> {
        self.manual.as_ref().map(|millis| Timestamp(millis.load(Ordering::SeqCst)))
    }

    /// The time of this process now.
    pub fn monotonic(&self) -> Monotonic {
        static START: OnceLock<Instant> = OnceLock::new();
        match &self.manual {
            Some(millis) => Monotonic(millis.load(Ordering::SeqCst)),
            None => Monotonic(millis(START.get_or_init(Instant::now).elapsed())),
        }
    }

    /// Moves a manual clock forward; does nothing to the system's.
    pub fn advance(&self, duration: Duration) {
        if let Some(manual) = &self.manual {
            manual.fetch_add(millis(duration), Ordering::SeqCst);
        }
    }

    /// Puts a skewed clock forward or back by so many milliseconds, as a correction of the system's clock does.
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
    fn a_skewed_clock_goes_with_the_others_and_its_correction_ends_the_difference() {
        let clock = Clock::manual(Timestamp::from_seconds(1000));
        let ahead = clock.skewed(90_000);
        let corrected = ahead.corrected();
        clock.advance(Duration::from_secs(1));
        assert_eq!((ahead.now().seconds(), corrected.now().seconds()), (1091, 1091));
        corrected.correct(corrected.now().millis_from(clock.now()).saturating_neg());
        assert_eq!((ahead.now().seconds(), corrected.now().seconds()), (1091, 1001));
    }

    #[test]
    fn a_clock_that_is_put_back_makes_nothing_younger() {
        for base in [Clock::system(), Clock::manual(Timestamp::from_seconds(1000))] {
            let clock = base.skewed(0);
            let (before, seen) = (clock.now(), clock.monotonic());
            clock.jump(-3_600_000);
            assert!(clock.now() < before);
            assert!(clock.monotonic() >= seen);
        }
    }
}
