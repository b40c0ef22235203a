//! Throttle for repeated log lines.

use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds between two lines about the same fault.
const INTERVAL_SECONDS: u64 = 60;

/// Limits the log lines about one kind of fault: the first one is written at once, later ones are counted, and the
/// count is written once a minute. The time is in seconds since the epoch.
#[derive(Debug, Default)]
pub struct Throttle {
    /// Time of the last line; zero before the first.
    last_line: AtomicU64,
    /// Faults since the last line.
    counted: AtomicU64,
}

impl Throttle {
    /// Registers a fault, and returns whether to log it now; otherwise it is counted.
    pub fn is_first(&self, now: u64) -> bool {
        if self.counted.load(Ordering::Relaxed) == 0 && self.claim(now) {
            return true;
        }
        self.counted.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Takes the number of faults that were counted since the last line, a minute or more after that line. Must be called
    /// regularly: nothing else reports the count after the last fault.
    pub fn take_count(&self, now: u64) -> Option<u64> {
        if self.counted.load(Ordering::Relaxed) == 0 || !self.claim(now) {
            return None;
        }
        Some(self.counted.swap(0, Ordering::Relaxed)).filter(|count| *count > 0)
    }

    /// Claims the right to write a line now, for one thread only.
    fn claim(&self, now: u64) -> bool {
        let last = self.last_line.load(Ordering::Relaxed);
        // The log goes on when the clock is set back.
        let is_due = last == 0 || now >= last + INTERVAL_SECONDS || now < last;
        is_due && self.last_line.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_is_written_at_once_and_a_flood_as_a_count_a_minute() {
        let throttle = Throttle::default();
        assert!(throttle.is_first(1_000));
        for _ in 0..5_000 {
            assert!(!throttle.is_first(1_030));
        }
        assert_eq!(throttle.take_count(1_059), None);
        assert_eq!(throttle.take_count(1_060), Some(5_000));
        assert_eq!(throttle.take_count(1_060), None);
        assert!(!throttle.is_first(1_061), "a line a minute and no more");
        assert_eq!(throttle.take_count(1_120), Some(1));
        assert!(throttle.is_first(1_180), "the next flood");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_the_log() {
        let throttle = Throttle::default();
        assert!(throttle.is_first(1_000_000));
        assert!(throttle.is_first(1_000));
    }
}
