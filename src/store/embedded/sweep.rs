//! Removal of expired records, in bounded transactions, so that no write waits for long.

use super::tables::{EXPIRY, Kind, Tables, split};
use crate::base::clock::Timestamp;
use crate::store::GrantId;
use redb::{Database, ReadableDatabase as _, ReadableTable as _};
use std::time::Duration;

/// Expired records that are removed in one transaction, and as many entries of the feed.
pub(super) const MAX_SWEPT_RECORDS: usize = 200;
/// Entries of the revocation feed: a reader that polls after more revocations than this gets a reset.
const MAX_FEED_ENTRIES: u64 = 100_000;
/// Lifetime of an entry of the revocation feed.
const FEED_TTL: Duration = Duration::from_hours(1);

/// Returns whether a record has expired.
pub(super) fn has_expired(database: &Database, now: Timestamp) -> Result<bool, redb::Error> {
    let transaction = database.begin_read()?;
    let table = transaction.open_table(EXPIRY)?;
    let first = table.first()?;
    Ok(first.is_some_and(|(key, _)| split(key.value()).is_some_and(|(expires_at, _)| expires_at <= now)))
}

impl Tables<'_> {
    /// Deletes at most `limit` expired records and as many old feed entries.
    pub(super) fn sweep(&mut self, limit: usize) -> Result<(), redb::Error> {
        let end = self.now.millis().saturating_add(1).to_be_bytes();
        let mut expired: Vec<Vec<u8>> = Vec::new();
        for entry in self.expiry.iter()?.take(limit) {
            let (key, ()) = entry.map(|(key, _)| (key.value().to_vec(), ()))?;
            if key[..8] >= end[..] {
                break;
            }
            expired.push(key);
        }
        for key in &expired {
            let (record_key, key) = (&key[8..], &key[9..]);
            match <[u8; 16]>::try_from(key) {
                Ok(id) if record_key[0] == Kind::Grant as u8 => self.delete_grant(GrantId(id))?,
                _ => drop(self.records.remove(record_key)?),
            }
        }
        for key in &expired {
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
            // The newest entry stays: the next number follows from it.
            if number == newest || (newest - number < MAX_FEED_ENTRIES && self.now.since(at) < FEED_TTL) {
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
