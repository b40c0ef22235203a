//! Counts of many keys in bounded memory. A flood of keys neither makes the count of another key higher nor drives
//! out a count that is close to its limit.
//!
//! A hash table of fixed size, set-associative: a key has one bucket of eight slots. A new key takes a slot of an
//! earlier window; where there is none, the slot with the lowest count. A key that loses its slot begins again at zero:
//! a full table refuses nobody, and counts those who ask most.

/// Slots of one bucket.
const WAYS: usize = 8;

/// A table of counts.
pub(super) struct Table(Box<[Bucket]>);

type Bucket = [Slot; WAYS];

/// The count of one key in one window; an empty slot is of the window 0.
#[derive(Clone, Copy, Default)]
struct Slot {
    key: [u8; 16],
    window: u32,
    count: u32,
}

impl Table {
    /// A table of so many buckets of eight slots, each of 24 bytes.
    pub(super) fn new(buckets: u16) -> Self {
        Self(vec![Bucket::default(); usize::from(buckets)].into_boxed_slice())
    }

    /// The count of a key in this window.
    pub(super) fn read(&self, key: &[u8; 32], window: u32) -> u32 {
        let bucket = &self.0[self.bucket(key)];
        bucket.iter().find(|slot| slot.is(key, window)).map_or(0, |slot| slot.count)
    }

    /// Changes the count of a key in this window.
    pub(super) fn update(&mut self, key: &[u8; 32], window: u32, next: impl FnOnce(u32) -> u32) {
        let place = self.bucket(key);
        let bucket = &mut self.0[place];
        if let Some(slot) = bucket.iter_mut().find(|slot| slot.is(key, window)) {
            slot.count = next(slot.count);
            return;
        }
        let rank = |slot: &Slot| if slot.window == window { slot.count.saturating_add(1) } else { 0 };
        if let Some(slot) = bucket.iter_mut().min_by_key(|slot| rank(slot)) {
            *slot = Slot { key: *half(key), window, count: next(0) };
        }
    }

    /// A key is a MAC: any bytes of it are a fair choice of a bucket, and nobody outside can choose them.
    fn bucket(&self, key: &[u8; 32]) -> usize {
        usize::from(u16::from_be_bytes([key[30], key[31]])) % self.0.len()
    }
}

impl Slot {
    fn is(&self, key: &[u8; 32], window: u32) -> bool {
        self.window == window && self.key == *half(key)
    }
}

/// As much of a key as is kept: two of 128 bits are never the same by chance.
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
    fn a_new_window_begins_at_one() {
        let mut table = Table::new(BUCKETS);
        assert_eq!((add(&mut table, 1, 7), add(&mut table, 1, 7)), (1, 2));
        assert_eq!((table.read(&key(1), 8), add(&mut table, 1, 8)), (0, 1));
    }

    #[test]
    fn a_flood_of_other_keys_neither_hides_a_high_count_nor_makes_one() {
        let mut table = Table::new(BUCKETS);
        for _ in 0..50 {
            add(&mut table, 0, 7);
        }
        for other in 1..20_000 {
            add(&mut table, other, 7);
        }
        assert_eq!(table.read(&key(0), 7), 50, "it keeps its slot");
        for stranger in 20_000..20_500 {
            assert_eq!(table.read(&key(stranger), 7), 0, "nobody is taken for another");
            assert_eq!(add(&mut table, stranger, 7), 1, "a full table counts whoever comes");
        }
    }

    #[test]
    fn a_table_of_an_earlier_window_is_as_good_as_an_empty_one() {
        let mut table = Table::new(BUCKETS);
        for other in 0..5_000 {
            add(&mut table, other, 7);
        }
        for number in 0..100 {
            assert_eq!(add(&mut table, number, 8), 1);
        }
        assert!((0..100).all(|number| table.read(&key(number), 8) == 1), "none has driven out another");
    }
}
