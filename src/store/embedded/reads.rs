//! Reads, which see the state of the last commit.

use super::records;
use super::tables::{FEED, INDEX, Kind, RECORDS, index_key, record_key, split};
use crate::base::clock::Timestamp;
use crate::store::{Cursor, Feed, Format, GrantId, GrantRecord, IndexEntry, Unavailable};
use redb::{ReadTransaction, ReadableTable as _};

/// Entries in one page of the revocation feed.
const FEED_PAGE_ENTRIES: usize = 1000;

/// Reads a record that has not expired: its expiry and value.
pub(super) fn read(
    transaction: &ReadTransaction,
    kind: Kind,
    key: &[u8],
    now: Timestamp,
) -> Result<Option<(Timestamp, Vec<u8>)>, redb::Error> {
    let found = transaction.open_table(RECORDS)?.get(&*record_key(kind, key))?;
    let found = found.and_then(|value| split(value.value()).map(|(at, value)| (at, value.to_vec())));
    Ok(found.filter(|(expires_at, _)| now < *expires_at))
}

/// Reads an active grant.
pub(super) fn read_grant(
    transaction: &ReadTransaction,
    id: GrantId,
    now: Timestamp,
    format: Format,
) -> Result<Option<GrantRecord>, Unavailable> {
    let found = read(transaction, Kind::Grant, &id.0, now)?;
    found.map(|(expires_at, value)| records::decode(id, expires_at, &value, format)).transpose()
}

/// Reads the ids of the active grants with an index entry.
pub(super) fn read_grants_of(
    transaction: &ReadTransaction,
    entry: IndexEntry,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<GrantId>, redb::Error> {
    let table = transaction.open_table(INDEX)?;
    let first = index_key(entry, GrantId([0; 16]));
    let last = index_key(entry, GrantId([0xff; 16]));
    let mut ids = Vec::new();
    for indexed in table.range::<&[u8]>(&first[..]..=&last[..])? {
        if ids.len() == limit {
            break;
        }
        let (found, _) = indexed?;
        let Some(id) = found.value().last_chunk::<16>().copied().map(GrantId) else { continue };
        if read(transaction, Kind::Grant, &id.0, now)?.is_some() {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Reads a page of the revocation feed.
pub(super) fn read_feed(transaction: &ReadTransaction, cursor: Cursor) -> Result<Feed, redb::Error> {
    let table = transaction.open_table(FEED)?;
    let oldest = table.first()?.map_or(0, |(number, _)| number.value());
    let mut feed = Feed { ids: Vec::new(), cursor, reset: cursor.0.saturating_add(1) < oldest };
    for entry in table.range(cursor.0.saturating_add(1)..)?.take(FEED_PAGE_ENTRIES) {
        let (number, value) = entry?;
        feed.ids.extend(value.value().last_chunk::<16>().copied().map(GrantId));
        feed.cursor = Cursor(number.value());
    }
    Ok(feed)
}
