//! A fixed-size table of counters. A flood of keys neither increases the count of another key nor evicts a count that
//! is close to its limit.
//!
//! The hash table is set-associative: each key has one bucket of eight slots. A new key takes a slot of an earlier
//! window or, if there is none, the slot with the lowest count. An evicted key restarts at zero: a full table refuses
//! nobody, and keeps the counts of the most frequent keys. The keyed limiters of crates such as governor hold every key
//! until it is swept, so that a flood of keys grows them without bound.

/// Slots per bucket.
const SLOTS_PER_BUCKET: usize = 8;

/// A table of counters.
pub(super) struct Table(Box<[Bucket]>);

type Bucket = [Slot; SLOTS_PER_BUCKET];

/// The count of a key in a window; an empty slot has the window 0.
#[derive(Clone, Copy, Default)]
struct Slot {
    key: [u8; 16],
    window: u32,
    count: u32,
}

impl Table {
    /// Creates a table with this number of buckets, each of eight slots of 24 bytes.
    pub(super) fn new(buckets: u16) -> Self {
        Self(vec![Bucket::default(); usize::from(buckets)].into_boxed_slice())
    }

    /// Returns the count of a key in this window.
    pub(super) fn read(&self, key: &[u8; 32], window: u32) -> u32 {
        let bucket = &self.0[self.bucket(key)];
        bucket.iter().find(|slot| slot.matches(key, window)).map_or(0, |slot| slot.count)
    }

    /// Updates the count of a key in this window.
    pub(super) fn update(&mut self, key: &[u8; 32], window: u32, next: impl FnOnce(u32) -> u32) {
        let index = self.bucket(key);
        let bucket = &mut self.0[index];
        if let Some(slot) = bucket.iter_mut().find(|slot| slot.matches(key, window)) {
            slot.count = next(slot.count);
            return;
        }
        let rank = |slot: &Slot| if slot.window == window { slot.count.saturating_add(1) } else { 0 };
        if let Some(slot) = bucket.iter_mut().min_by_key(|slot| rank(slot)) {
            *slot = Slot { key: *half(key), window, count: next(0) };
        }
    }

    /// Returns the bucket of a key. Keys are MACs: their bytes are uniform and cannot be chosen by an attacker.
    fn bucket(&self, key: &[u8; 32]) -> usize {
        usize::from(u16::from_be_bytes([key[30], key[31]])) % self.0.len()
    }
}

impl Slot {
    fn matches(&self, key: &[u8; 32], window: u32) -> bool {
        self.window == window && self.key == *half(key)
    }
}

/// Returns the stored half of a key: 128 bits exclude accidental collisions.
fn half(key: &[u8; 32]) -> &[u8; 16] {
    let (half, _) = key.split_at(16);
    half.try_into().unwrap_or(&[0; 16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    const BUCKETS: u16 = 128;

    fn key(number: u32) -> [u8; 32] {
        Sha256::digest(number.to_be_bytes()).into()
    }

    fn add(table: &mut Table, number: u32, window: u32) -> u32 {
        table.update(&key(number), window, |count| count + 1);
        table.read(&key(number), window)
    }

    #[test]
    fn a_new_window_restarts_the_count() {
        let mut table = Table::new(BUCKETS);
        assert_eq!((add(&mut table, 1, 7), add(&mut table, 1, 7)), (1, 2));
        assert_eq!((table.read(&key(1), 8), add(&mut table, 1, 8)), (0, 1));
    }

    #[test]
    fn a_flood_of_keys_neither_evicts_a_high_count_nor_increases_another() {
        let mut table = Table::new(BUCKETS);
        for _ in 0..50 {
            add(&mut table, 0, 7);
        }
        for other in 1..20_000 {
            add(&mut table, other, 7);
        }
        assert_eq!(table.read(&key(0), 7), 50, "it keeps its slot");
        for new in 20_000..20_500 {
            assert_eq!(table.read(&key(new), 7), 0, "keys do not collide");
            assert_eq!(add(&mut table, new, 7), 1, "a full table accepts new keys");
        }
    }

    #[test]
    fn slots_of_an_earlier_window_are_free() {
        let mut table = Table::new(BUCKETS);
        for other in 0..5_000 {
            add(&mut table, other, 7);
        }
        for number in 0..100 {
            assert_eq!(add(&mut table, number, 8), 1);
        }
        assert!((0..100).all(|number| table.read(&key(number), 8) == 1), "no key evicted another");
    }
}
