//! Counts of many keys in little memory, which no flood of new keys can drive out or make grow.
//!
//! A count-min sketch: each key has a counter in each of four rows, shared with whoever falls on the same one, and
//! its count is the smallest of the four. It is never too low; it is too high only for a key that meets busier
//! ones in all rows at once.

use std::sync::atomic::{AtomicU64, Ordering};

const ROWS: usize = 4;
const COLUMNS: usize = 8192;

/// 256 KiB of counters. A counter holds the window that it counts in, above, and the count, below: a new window
/// needs no sweep.
pub(super) struct Table(Box<[AtomicU64]>);

impl Table {
    pub(super) fn new() -> Self {
        Self((0..ROWS * COLUMNS).map(|_| AtomicU64::new(0)).collect())
    }

    /// The count of a key in this window.
    pub(super) fn read(&self, key: &[u8; 32], window: u64) -> u32 {
        smallest(self.counters(key).map(|counter| count_in(window, counter.load(Ordering::Relaxed))))
    }

    /// Counts one more, and returns how many there are.
    pub(super) fn add(&self, key: &[u8; 32], window: u64) -> u32 {
        self.update(key, window, |count| count.saturating_add(1))
    }

    /// Sees to it that the count is at least this.
    pub(super) fn raise(&self, key: &[u8; 32], window: u64, least: u32) {
        self.update(key, window, |count| count.max(least));
    }

    fn update(&self, key: &[u8; 32], window: u64, next: impl Fn(u32) -> u32) -> u32 {
        smallest(self.counters(key).map(|counter| {
            let packed = |old| packed(window, next(count_in(window, old)));
            // The update is never refused.
            let old = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(packed(old)));
            next(count_in(window, old.unwrap_or_else(|old| old)))
        }))
    }

    /// A key is a MAC: any two bytes of it are a fair choice of a column, and nobody outside can choose them.
    fn counters(&self, key: &[u8; 32]) -> impl Iterator<Item = &AtomicU64> {
        let rows = key.chunks_exact(2).zip(self.0.chunks_exact(COLUMNS));
        rows.map(|(bytes, row)| &row[(usize::from(bytes[0]) << 8 | usize::from(bytes[1])) % COLUMNS])
    }
}

const fn packed(window: u64, count: u32) -> u64 {
    window << 32 | count as u64
}

const fn count_in(window: u64, packed: u64) -> u32 {
    if packed >> 32 == window & 0xffff_ffff { (packed & 0xffff_ffff) as u32 } else { 0 }
}

fn smallest(counts: impl Iterator<Item = u32>) -> u32 {
    counts.min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    fn key(number: u32) -> [u8; 32] {
        Sha256::digest(number.to_be_bytes()).into()
    }

    #[test]
    fn a_new_window_begins_at_one() {
        let table = Table::new();
        assert_eq!((table.add(&key(1), 7), table.add(&key(1), 7), table.read(&key(1), 7)), (1, 2, 2));
        assert_eq!((table.read(&key(1), 8), table.add(&key(1), 8)), (0, 1));
    }

    #[test]
    fn a_raised_count_is_never_lowered() {
        let table = Table::new();
        table.raise(&key(1), 7, 10);
        assert_eq!(table.add(&key(1), 7), 11);
        table.raise(&key(1), 7, 5);
        assert_eq!(table.read(&key(1), 7), 11);
    }

    #[test]
    fn a_flood_of_other_keys_neither_hides_a_count_nor_makes_one() {
        let table = Table::new();
        for _ in 0..50 {
            table.add(&key(0), 7);
        }
        for other in 1..20_000 {
            table.add(&key(other), 7);
        }
        assert!(table.read(&key(0), 7) >= 50, "never too low");
        let strangers = 20_000..21_000;
        let most = strangers.map(|stranger| table.read(&key(stranger), 7)).max().unwrap();
        assert!(most < 10, "a newcomer is taken for someone who asked {most} times");
    }
}
