//! What is read, as of the last commit.

use super::records;
use super::tables::{FEED, Kind, OWNED, RECORDS, owned_key, place, split};
use crate::base::clock::Timestamp;
use crate::store::{Cursor, Feed, Format, GrantId, GrantRecord, IndexKey, Key, Unavailable};
use redb::{ReadTransaction, ReadableTable as _};

const PAGE: usize = 1000;

/// A record that has not ended: its expiry and value.
pub(super) fn read(
    transaction: &ReadTransaction,
    (kind, key): (Kind, &[u8]),
    now: Timestamp,
) -> Result<Option<(Timestamp, Vec<u8>)>, redb::Error> {
    let found = transaction.open_table(RECORDS)?.get(&*place(kind, key))?;
    let found = found.and_then(|value| split(value.value()).map(|(at, value)| (at, value.to_vec())));
    Ok(found.filter(|(expires_at, _)| now < *expires_at))
}

/// A living grant; whether there is one is not known when its record cannot be read.
pub(super) fn read_grant(
    transaction: &ReadTransaction,
    id: GrantId,
    (now, format): (Timestamp, Format),
) -> Result<Result<Option<GrantRecord>, Unavailable>, redb::Error> {
    let found = read(transaction, (Kind::Grant, &id.0), now)?;
    Ok(found.map(|(at, value)| records::decode(id, (at, &value), format)).transpose())
}

/// The living grants of an owner.
pub(super) fn read_owned(
    transaction: &ReadTransaction,
    (owner, key): (IndexKey, Key),
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
        if read(transaction, (Kind::Grant, &id.0), now)?.is_some() {
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
