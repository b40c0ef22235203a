//! Tables of the file, and the operations within one write transaction.

use super::records;
use crate::base::clock::Timestamp;
use crate::store::index_entries::code;
use crate::store::{Format, GrantId, GrantRecord, IndexEntry, OpenError, TOMBSTONE_MILLIS, Unavailable};
use redb::{Database, ReadableTable as _, Table, TableDefinition, WriteTransaction};
use std::time::Duration;

/// Kind and key → expiry and value.
pub(super) const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// Expiry, kind and key, ordered by expiry.
pub(super) const EXPIRY: TableDefinition<'_, &[u8], ()> = TableDefinition::new("expiry");
/// Index: entry and grant.
pub(super) const INDEX: TableDefinition<'_, &[u8], ()> = TableDefinition::new("owned");
/// Revocation feed: number → time and grant.
pub(super) const FEED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("feed");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Key of the file's format.
const FORMAT: &str = "format";

/// Kind of a record; the first byte of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Login = b'l' as isize,
    Code = b'c' as isize,
    Grant = b'g' as isize,
    Tombstone = b't' as isize,
    Once = b'o' as isize,
    Counter = b'n' as isize,
    Lease = b'e' as isize,
    UserCheck = b'u' as isize,
}

/// Open tables of one write transaction.
pub(super) struct Tables<'t> {
    pub(super) records: Table<'t, &'static [u8], &'static [u8]>,
    pub(super) expiry: Table<'t, &'static [u8], ()>,
    pub(super) index: Table<'t, &'static [u8], ()>,
    pub(super) feed: Table<'t, u64, &'static [u8]>,
    pub(super) now: Timestamp,
    format: Format,
}

/// Key of a record.
pub(super) fn record_key(kind: Kind, key: &[u8]) -> Vec<u8> {
    [&[kind as u8], key].concat()
}

/// Key of a record's entry in [`EXPIRY`].
fn expiry_key(expires_at: Timestamp, record_key: &[u8]) -> Vec<u8> {
    [&expires_at.millis().to_be_bytes(), record_key].concat()
}

/// Splits a value into its leading time (expiry or creation) and the rest.
pub(super) fn split(value: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (expires_at, value) = value.split_first_chunk()?;
    Some((Timestamp::from_millis(u64::from_be_bytes(*expires_at)), value))
}

/// Key of a grant's entry in [`INDEX`].
pub(super) fn index_key(entry: IndexEntry, id: GrantId) -> Vec<u8> {
    [&[code(entry.kind)], &entry.key.0[..], &id.0].concat()
}

/// Creates the tables of a new file, and negotiates its format.
pub(super) fn negotiate_format(database: &Database, format: Format) -> Result<Format, OpenError> {
    let transaction = database.begin_write().map_err(redb::Error::from)?;
    // After an error, dropping the transaction aborts it.
    let found = found_format(&transaction)?;
    let negotiated = format.negotiate(found).map_err(OpenError::StoreFormat)?;
    create_tables(&transaction, format, negotiated)?;
    transaction.commit().map_err(redb::Error::from)?;
    Ok(negotiated)
}

/// Reads the format of the file. A number above 255 is a newer format.
fn found_format(transaction: &WriteTransaction) -> Result<Option<u8>, redb::Error> {
    let meta = transaction.open_table(META)?;
    Ok(meta.get(FORMAT)?.map(|found| u8::try_from(found.value()).unwrap_or(u8::MAX)))
}

fn create_tables(
    transaction: &WriteTransaction,
    format: Format,
    negotiated: Format,
) -> Result<(), redb::Error> {
    transaction.open_table(META)?.insert(FORMAT, u64::from(negotiated.writes))?;
    Tables::open(transaction, Timestamp::from_millis(0), format).map(drop)
}

impl<'t> Tables<'t> {
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        now: Timestamp,
        format: Format,
    ) -> Result<Self, redb::Error> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            expiry: transaction.open_table(EXPIRY)?,
            index: transaction.open_table(INDEX)?,
            feed: transaction.open_table(FEED)?,
            now,
            format,
        })
    }

    /// Time of this transaction.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Reads a record that has not expired: its expiry and value.
    pub(super) fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<(Timestamp, Vec<u8>)>, redb::Error> {
        let found = self.records.get(&*record_key(kind, key))?;
        let found = found.and_then(|value| split(value.value()).map(|(at, value)| (at, value.to_vec())));
        Ok(found.filter(|(expires_at, _)| self.now < *expires_at))
    }

    /// Writes a record, and replaces an older one.
    pub(super) fn put(
        &mut self,
        kind: Kind,
        key: &[u8],
        expires_at: Timestamp,
        value: &[u8],
    ) -> Result<(), redb::Error> {
        self.delete(kind, key)?;
        let record_key = record_key(kind, key);
        let value = [&expires_at.millis().to_be_bytes(), value].concat();
        self.records.insert(&*record_key, &*value)?;
        self.expiry.insert(&*expiry_key(expires_at, &record_key), ())?;
        Ok(())
    }

    /// Deletes a record, expired or not.
    pub(super) fn delete(&mut self, kind: Kind, key: &[u8]) -> Result<(), redb::Error> {
        let record_key = record_key(kind, key);
        let removed = self.records.remove(&*record_key)?;
        let expires_at = removed.and_then(|value| split(value.value()).map(|(expires_at, _)| expires_at));
        if let Some(expires_at) = expires_at {
            self.expiry.remove(&*expiry_key(expires_at, &record_key))?;
        }
        Ok(())
    }

    /// Reads an active grant. The inner error means that its record is unreadable.
    pub(super) fn grant(&self, id: GrantId) -> Result<Result<Option<GrantRecord>, Unavailable>, redb::Error> {
        let found = self.get(Kind::Grant, &id.0)?;
        Ok(found.map(|(at, value)| records::decode(id, at, &value, self.format)).transpose())
    }

    /// Writes a grant and its index entries.
    pub(super) fn put_grant(&mut self, record: &GrantRecord) -> Result<(), redb::Error> {
        for entry in &record.index_entries {
            self.index.insert(&*index_key(*entry, record.id), ())?;
        }
        self.put(Kind::Grant, &record.id.0, record.expires_at, &records::encode(record, self.format))
    }

    /// Deletes a grant, expired or not, and its index entries.
    pub(super) fn delete_grant(&mut self, id: GrantId) -> Result<(), redb::Error> {
        let found = self.records.get(&*record_key(Kind::Grant, &id.0))?;
        let record = found.and_then(|value| {
            let (expires_at, value) = split(value.value())?;
            records::decode(id, expires_at, value, self.format).ok()
        });
        for entry in record.map(|record| record.index_entries).unwrap_or_default() {
            self.index.remove(&*index_key(entry, id))?;
        }
        self.delete(Kind::Grant, &id.0)
    }

    /// Appends a grant to the revocation feed.
    pub(super) fn append_to_feed(&mut self, id: GrantId) -> Result<(), redb::Error> {
        let next = self.feed.last()?.map_or(1, |(number, _)| number.value() + 1);
        self.feed.insert(next, &*[&self.now.millis().to_be_bytes()[..], &id.0].concat())?;
        Ok(())
    }
}

/// Revokes a grant, and appends it to the feed; returns whether it was active.
pub(super) fn revoke(tables: &mut Tables<'_>, id: GrantId) -> Result<bool, redb::Error> {
    let was_active = !matches!(tables.grant(id)?, Ok(None));
    tables.delete_grant(id)?;
    let tombstone_ttl = Duration::from_millis(TOMBSTONE_MILLIS);
    tables.put(Kind::Tombstone, &id.0, tables.now().after(tombstone_ttl), &[])?;
    tables.append_to_feed(id)?;
    Ok(was_active)
}
