//! The tables of the file, and what is done in one transaction.

use super::records;
use crate::clock::Timestamp;
use crate::store::owners::code;
use crate::store::{Cursor, Feed, GrantId, GrantRecord, Key, Owner};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction,
};
use std::time::Duration;

/// Kind and key → expiry and value.
const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// Expiry, kind and key, in the order in which they end.
const EXPIRY: TableDefinition<'_, &[u8], ()> = TableDefinition::new("expiry");
/// Owner, its key and the grant.
const OWNED: TableDefinition<'_, &[u8], ()> = TableDefinition::new("owned");
/// Revocations, in order.
const FEED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("feed");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

const PAGE: usize = 1000;
/// The feed's bound: more revocations than this between two looks are a reset.
const LONGEST_FEED: u64 = 100_000;
const FEED_LIVES: Duration = Duration::from_hours(1);

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Login = b'l' as isize,
    Code = b'c' as isize,
    Grant = b'g' as isize,
    Tombstone = b't' as isize,
    Once = b'o' as isize,
    Counter = b'n' as isize,
    Lease = b'e' as isize,
}

/// The tables within one write transaction.
pub(super) struct Tables<'t> {
    records: Table<'t, &'static [u8], &'static [u8]>,
    expiry: Table<'t, &'static [u8], ()>,
    owned: Table<'t, &'static [u8], ()>,
    feed: Table<'t, u64, &'static [u8]>,
    now: Timestamp,
}

fn place(kind: Kind, key: &[u8]) -> Vec<u8> {
    [&[kind as u8], key].concat()
}

fn at_expiry(expires_at: Timestamp, place: &[u8]) -> Vec<u8> {
    [&expires_at.millis().to_be_bytes(), place].concat()
}

fn split(value: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (expires_at, value) = value.split_first_chunk()?;
    Some((Timestamp::from_millis(u64::from_be_bytes(*expires_at)), value))
}

fn owned_key(owner: Owner, key: Key, id: GrantId) -> Vec<u8> {
    [&[code(owner)], &key.0[..], &id.0].concat()
}

/// Makes the tables of a new file; refuses a file of a newer format.
pub(super) fn prepare(database: &Database, format: u64) -> Result<(), String> {
    let prepare = || -> Result<u64, redb::Error> {
        let transaction = database.begin_write()?;
        Tables::open(&transaction, Timestamp::from_millis(0))?;
        let found = {
            let mut meta = transaction.open_table(META)?;
            let found = meta.get("format")?.map(|value| value.value());
            meta.insert("format", found.unwrap_or(format))?;
            found.unwrap_or(format)
        };
        transaction.commit()?;
        Ok(found)
    };
    match prepare().map_err(|error| error.to_string())? {
        found if found > format => {
            Err(format!("it has format {found}, this version knows {format}: run the newer version"))
        }
        _ => Ok(()),
    }
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction, now: Timestamp) -> Result<Self, redb::Error> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            expiry: transaction.open_table(EXPIRY)?,
            owned: transaction.open_table(OWNED)?,
            feed: transaction.open_table(FEED)?,
            now,
        })
    }

    /// The time of this transaction.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// A record that has not ended: its expiry and value.
    pub(super) fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<(Timestamp, Vec<u8>)>, redb::Error> {
        let found = self.records.get(&*place(kind, key))?;
        let found = found.and_then(|value| split(value.value()).map(|(at, value)| (at, value.to_vec())));
        Ok(found.filter(|(expires_at, _)| self.now < *expires_at))
    }

    /// Puts a record in the place of an older one.
    pub(super) fn put(
        &mut self,
        (kind, key): (Kind, &[u8]),
        expires_at: Timestamp,
        value: &[u8],
    ) -> Result<(), redb::Error> {
        self.delete(kind, key)?;
        let place = place(kind, key);
        let value = [&expires_at.millis().to_be_bytes(), value].concat();
        self.records.insert(&*place, &*value)?;
        self.expiry.insert(&*at_expiry(expires_at, &place), ())?;
        Ok(())
    }

    /// Takes a record out, ended or not.
    pub(super) fn delete(&mut self, kind: Kind, key: &[u8]) -> Result<(), redb::Error> {
        let place = place(kind, key);
        let removed = self.records.remove(&*place)?;
        let expires_at = removed.and_then(|value| split(value.value()).map(|(expires_at, _)| expires_at));
        if let Some(expires_at) = expires_at {
            self.expiry.remove(&*at_expiry(expires_at, &place))?;
        }
        Ok(())
    }

    pub(super) fn grant(&self, id: GrantId) -> Result<Option<GrantRecord>, redb::Error> {
        let found = self.get(Kind::Grant, &id.0)?;
        Ok(found.and_then(|(expires_at, value)| records::decode(id, expires_at, &value)))
    }

    pub(super) fn put_grant(&mut self, record: &GrantRecord) -> Result<(), redb::Error> {
        for (owner, key) in &record.owners {
            self.owned.insert(&*owned_key(*owner, *key, record.id), ())?;
        }
        self.put((Kind::Grant, &record.id.0), record.expires_at, &records::encode(record))
    }

    /// Takes a grant out, ended or not, and what it was looked up by.
    pub(super) fn delete_grant(&mut self, id: GrantId) -> Result<(), redb::Error> {
        let found = self.records.get(&*place(Kind::Grant, &id.0))?;
        let record = found
            .and_then(|value| split(value.value()).and_then(|(at, value)| records::decode(id, at, value)));
        for (owner, key) in record.map(|record| record.owners).unwrap_or_default() {
            self.owned.remove(&*owned_key(owner, key, id))?;
        }
        self.delete(Kind::Grant, &id.0)
    }

    pub(super) fn append_to_feed(&mut self, id: GrantId) -> Result<(), redb::Error> {
        let next = self.feed.last()?.map_or(1, |(number, _)| number.value() + 1);
        self.feed.insert(next, &*[&self.now.millis().to_be_bytes()[..], &id.0].concat())?;
        Ok(())
    }

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
            if number == newest || (newest - number < LONGEST_FEED && self.now.since(at) < FEED_LIVES) {
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

/// A record that has not ended, as of the last commit: its expiry and value.
pub(super) fn read(
    transaction: &ReadTransaction,
    (kind, key): (Kind, &[u8]),
    now: Timestamp,
) -> Result<Option<(Timestamp, Vec<u8>)>, redb::Error> {
    let found = transaction.open_table(RECORDS)?.get(&*place(kind, key))?;
    let found = found.and_then(|value| split(value.value()).map(|(at, value)| (at, value.to_vec())));
    Ok(found.filter(|(expires_at, _)| now < *expires_at))
}

/// A living grant, as of the last commit.
pub(super) fn read_grant(
    transaction: &ReadTransaction,
    id: GrantId,
    now: Timestamp,
) -> Result<Option<GrantRecord>, redb::Error> {
    let found = read(transaction, (Kind::Grant, &id.0), now)?;
    Ok(found.and_then(|(expires_at, value)| records::decode(id, expires_at, &value)))
}

/// The living grants of an owner.
pub(super) fn read_owned(
    transaction: &ReadTransaction,
    (owner, key): (Owner, Key),
    limit: usize,
    now: Timestamp,
) -> Result<Vec<GrantId>, redb::Error> {
    let table = transaction.open_table(OWNED)?;
    let first = owned_key(owner, key, GrantId([0; 16]));
    let last = owned_key(owner, key, GrantId([0xff; 16]));
    let mut ids = Vec::new();
    for entry in table.range::<&[u8]>(&first[..]..=&last[..])? {
        if ids.len() == limit {
            break;
        }
        let (found, _) = entry?;
        let Some(id) = found.value().last_chunk::<16>().copied().map(GrantId) else { continue };
        if read_grant(transaction, id, now)?.is_some() {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// A page of the feed.
pub(super) fn read_feed(transaction: &ReadTransaction, cursor: Cursor) -> Result<Feed, redb::Error> {
    let table = transaction.open_table(FEED)?;
    let oldest = table.first()?.map_or(0, |(number, _)| number.value());
    let mut feed = Feed { ids: Vec::new(), cursor, reset: cursor.0.saturating_add(1) < oldest };
    for entry in table.range(cursor.0.saturating_add(1)..)?.take(PAGE) {
        let (number, value) = entry?;
        feed.ids.extend(value.value().last_chunk::<16>().copied().map(GrantId));
        feed.cursor = Cursor(number.value());
    }
    Ok(feed)
}

/// Whether there is something to sweep.
pub(super) fn has_ended(database: &Database, now: Timestamp) -> Result<bool, redb::Error> {
    let transaction = database.begin_read()?;
    let table = transaction.open_table(EXPIRY)?;
    let first = table.first()?;
    Ok(first.is_some_and(|(key, _)| split(key.value()).is_some_and(|(expires_at, _)| expires_at <= now)))
}
