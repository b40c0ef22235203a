//! Bounded cache that threads share.

use foldhash::fast::RandomState;
use quick_cache::sync::{self, DefaultLifecycle, EntryAction};
use quick_cache::{OptionsBuilder, UnitWeighter};
use std::borrow::Borrow;
use std::hash::Hash;

/// Fewest entries of one shard of several: a small cache has one shard, so that it is full before it evicts.
const MIN_SHARD_ENTRIES: usize = 1024;
/// Most shards. Each has its own lock, so that threads seldom wait for each other.
const MAX_SHARDS: usize = 64;
/// Share of the entries that were used again since they were added. The others are new: a flood of entries that are
/// used once evicts only those.
const REUSED_SHARE: f64 = 0.75;

/// Cache with a maximum number of entries. When it is full, each new entry evicts one that was not used for long.
///
/// A hit takes one lock, which it shares with other hits, and allocates nothing but what `V::clone` does: `V` should be
/// an [`Arc`](std::sync::Arc), or hold one.
pub struct Cache<K, V>(sync::Cache<K, V, UnitWeighter, RandomState, DefaultLifecycle<K, V>>);

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// Creates an empty cache, without allocating its entries. The maximum is rounded up to a multiple of the number of
    /// shards.
    pub fn new(max_entries: usize) -> Self {
        let shards = (max_entries / MIN_SHARD_ENTRIES).clamp(1, MAX_SHARDS);
        let mut options = OptionsBuilder::new();
        options
            .shards(1 << shards.ilog2())
            .hot_allocation(REUSED_SHARE)
            .estimated_items_capacity(max_entries)
            .weight_capacity(max_entries as u64);
        let options = options.build().expect("both capacities are set");
        Self(sync::Cache::with_options(
            options,
            UnitWeighter,
            RandomState::default(),
            DefaultLifecycle::default(),
        ))
    }

    /// Returns the value of a key.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(key)
    }

    /// Adds a value, or replaces the key's.
    pub fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }

    /// Changes the value of a key, if there is one.
    pub fn update(&self, key: &K, change: impl FnOnce(&mut V)) {
        // `entry` reserves the key when it is missing.
        if self.0.contains_key(key) {
            drop(self.0.entry(key, None, |_, value| {
                change(value);
                EntryAction::Retain(())
            }));
        }
    }

    /// Removes a key.
    pub fn remove<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.remove(key);
    }

    /// Removes a key if its value fulfils a condition.
    pub fn remove_if<Q>(&self, key: &Q, condition: impl FnOnce(&V) -> bool)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.remove_if(key, condition);
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_evicts_one_entry_for_each_new_one() {
        for max in [512, 40_000] {
            let cache = Cache::new(max);
            let bound = max..=max + MAX_SHARDS;
            for key in 0..3 * max {
                cache.insert(key, key);
                assert_eq!(cache.get(&key), Some(key), "a new entry is found");
            }
            assert!(bound.contains(&cache.len()), "{} of {max}", cache.len());
        }
    }

    #[test]
    fn entries_in_use_outlast_a_flood_of_entries_that_are_used_once() {
        let cache = Cache::new(40_000);
        let is_kept = |key: usize| cache.get(&key).is_some();
        (0..10_000).for_each(|key| cache.insert(key, ()));
        for flood in 10_000..200_000 {
            cache.insert(flood, ());
            if flood % 100 == 0 {
                assert!((0..100).all(is_kept), "after {flood} entries");
            }
        }
        assert!(!is_kept(199_999 - 100_000), "the flood evicted itself");
    }

    #[test]
    fn new_entries_that_are_used_again_displace_the_old_ones_that_are_not() {
        let cache = Cache::new(4096);
        let use_twice = |key: usize| {
            cache.insert(key, ());
            cache.get(&key);
            cache.get(&key);
        };
        (0..10_000).for_each(use_twice);
        (0..4096).for_each(|key| use_twice(100_000 + key));
        (0..4096).for_each(|key| use_twice(100_000 + key));
        let kept = (0..4096).filter(|key| cache.get(&(100_000 + key)).is_some()).count();
        assert!(kept > 3072, "{kept} of 4096");
    }

    #[test]
    fn an_update_changes_an_entry_and_adds_none() {
        let cache = Cache::new(10);
        cache.insert(1, "one");
        cache.update(&1, |value| *value = "uno");
        cache.update(&2, |value| *value = "due");
        assert_eq!((cache.get(&1), cache.get(&2), cache.len()), (Some("uno"), None, 1));
        cache.remove_if(&1, |value| *value == "one");
        assert!(!cache.is_empty());
        cache.remove(&1);
        assert!(cache.is_empty());
    }
}
