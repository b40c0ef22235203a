//! The tables of the file, and what is done in one transaction.

use super::records;
use crate::base::clock::Timestamp;
use crate::store::owners::code;
use crate::store::{Format, GrantId, GrantRecord, IndexKey, Key, Unavailable};
use redb::{Database, ReadableTable as _, Table, TableDefinition, WriteTransaction};

/// Kind and key → expiry and value.
pub(super) const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// Expiry, kind and key, in the order in which they end.
pub(super) const EXPIRY: TableDefinition<'_, &[u8], ()> = TableDefinition::new("expiry");
/// Owner, its key and the grant.
pub(super) const OWNED: TableDefinition<'_, &[u8], ()> = TableDefinition::new("owned");
/// Revocations, in order.
pub(super) const FEED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("feed");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Where the file says which format it has.
const FORMAT: &str = "format";

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
    pub(super) records: Table<'t, &'static [u8], &'static [u8]>,
    pub(super) expiry: Table<'t, &'static [u8], ()>,
    pub(super) owned: Table<'t, &'static [u8], ()>,
    pub(super) feed: Table<'t, u64, &'static [u8]>,
    pub(super) now: Timestamp,
    format: Format,
}

/// Where a record of this kind is.
pub(super) fn place(kind: Kind, key: &[u8]) -> Vec<u8> {
    [&[kind as u8], key].concat()
}

fn at_expiry(expires_at: Timestamp, place: &[u8]) -> Vec<u8> {
    [&expires_at.millis().to_be_bytes(), place].concat()
}

/// When something ends, or was made, and what stands behind that.
pub(super) fn split(value: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (expires_at, value) = value.split_first_chunk()?;
    Some((Timestamp::from_millis(u64::from_be_bytes(*expires_at)), value))
}

/// Where it says that this owner has this grant.
pub(super) fn owned_key(owner: IndexKey, key: Key, id: GrantId) -> Vec<u8> {
    [&[code(owner)], &key.0[..], &id.0].concat()
}

/// Makes the tables of a new file, and agrees on its format; refuses one of a format that is not known.
pub(super) fn agree(database: &Database, format: Format) -> Result<Result<Format, String>, redb::Error> {
    let transaction = database.begin_write()?;
    let agreed = {
        let mut meta = transaction.open_table(META)?;
        // A number that no format has is a newer one.
        let found = meta.get(FORMAT)?.map(|found| u8::try_from(found.value()).unwrap_or(u8::MAX));
        let agreed = format.agreed(found);
        if let Ok(agreed) = agreed {
            meta.insert(FORMAT, u64::from(agreed.writes))?;
        }
        agreed
    };
    if agreed.is_err() {
        transaction.abort()?;
        return Ok(agreed);
    }
    Tables::open(&transaction, (Timestamp::from_millis(0), format))?;
    transaction.commit()?;
    Ok(agreed)
}

impl<'t> Tables<'t> {
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        (now, format): (Timestamp, Format),
    ) -> Result<Self, redb::Error> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            expiry: transaction.open_table(EXPIRY)?,
            owned: transaction.open_table(OWNED)?,
            feed: transaction.open_table(FEED)?,
            now,
            format,
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

    /// A living grant; whether there is one is not known when its record cannot be read.
    pub(super) fn grant(&self, id: GrantId) -> Result<Result<Option<GrantRecord>, Unavailable>, redb::Error> {
        let found = self.get(Kind::Grant, &id.0)?;
        Ok(found.map(|(at, value)| records::decode(id, (at, &value), self.format)).transpose())
    }

    pub(super) fn put_grant(&mut self, record: &GrantRecord) -> Result<(), redb::Error> {
        for (owner, key) in &record.owners {
            self.owned.insert(&*owned_key(*owner, *key, record.id), ())?;
        }
        self.put((Kind::Grant, &record.id.0), record.expires_at, &records::encode(record, self.format))
    }

    /// Takes a grant out, ended or not, and what it was looked up by.
    pub(super) fn delete_grant(&mut self, id: GrantId) -> Result<(), redb::Error> {
        let found = self.records.get(&*place(Kind::Grant, &id.0))?;
        let record = found.and_then(|value| records::decode(id, split(value.value())?, self.format).ok());
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
}
