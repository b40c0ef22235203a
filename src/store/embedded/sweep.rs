//! What has ended is taken out, a bite at a time, so that nobody waits for long.

use super::tables::{EXPIRY, Kind, Tables, split};
use crate::base::clock::Timestamp;
use crate::store::GrantId;
use redb::{Database, ReadableDatabase as _, ReadableTable as _};
use std::time::Duration;

/// How many records go in one transaction, and how many entries of the feed.
pub(super) const BITE: usize = 200;
/// The feed's bound: more revocations than this between two looks are a reset.
const MAX_FEED_ENTRIES: u64 = 100_000;
const FEED_LIVES: Duration = Duration::from_hours(1);

/// Whether there is something to sweep.
pub(super) fn has_ended(database: &Database, now: Timestamp) -> Result<bool, redb::Error> {
    let transaction = database.begin_read()?;
    let table = transaction.open_table(EXPIRY)?;
    let first = table.first()?;
    Ok(first.is_some_and(|(key, _)| split(key.value()).is_some_and(|(expires_at, _)| expires_at <= now)))
}

impl Tables<'_> {
    /// Deletes at most `limit` ended records and as many old feed entries.
    pub(super) fn sweep(&mut self, limit: usize) -> Result<(), redb::Error> {
        let end = self.now.millis().saturating_add(1).to_be_bytes();
        let mut ended: Vec<Vec<u8>> = Vec::new();
        for entry in self.expiry.iter()?.take(limit) {
            let (key, ()) = entry.map(|(key, _)| (key.value().to_vec(), ()))?;
            if key[..8] >= end[..] {
                break;
            }
            ended.push(key);
        }
        for key in &ended {
            let (place, key) = (&key[8..], &key[9..]);
            match <[u8; 16]>::try_from(key) {
                Ok(id) if place[0] == Kind::Grant as u8 => self.delete_grant(GrantId(id))?,
                _ => drop(self.records.remove(place)?),
            }
        }
        for key in &ended {
            self.expiry.remove(&**key)?;
        }
        self.sweep_feed(limit)
    }

    fn sweep_feed(&mut self, limit: usize) -> Result<(), redb::Error> {
        let Some(newest) = self.feed.last()?.map(|(number, _)| number.value()) else { return Ok(()) };
        let mut old = Vec::new();
        for entry in self.feed.iter()?.take(limit) {
            let (number, value) = entry?;
            let at = split(value.value()).map_or(self.now, |(at, _)| at);
            let number = number.value();
            // The newest stays: it says how far the numbers have come.
            if number == newest || (newest - number < MAX_FEED_ENTRIES && self.now.since(at) < FEED_LIVES) {
                break;
            }
            old.push(number);
        }
        for number in old {
            self.feed.remove(number)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
