//! Grants in Redis. A grant and its tombstone share one slot and change atomically; the index and the revocation feed
//! have slots of their own. The index is written before the grant and again at each rotation, so that an active grant
//! is always found; an index entry without a grant is skipped.

use super::records::{FEED, decode, encode, grant_key, index_key, tombstone_key};
use super::{
    Call, Cursor, Feed, GrantId, GrantRecord, Hash, IndexEntry, MAX_LIFETIME_MILLIS, RedisStore, Reuse,
    Rotate, Rotation, Sealed, TOMBSTONE_MILLIS, Unavailable, scripts,
};
use crate::store::index_entries;
use bb8_redis::redis::{Cmd, Value, cmd};
use std::time::Duration;

/// Entries of the revocation feed: a replica that polls after more revocations than this gets a reset.
const MAX_FEED_ENTRIES: u64 = 10_000;
/// Lifetime of an entry of the revocation feed.
const FEED_TTL: Duration = Duration::from_hours(1);
/// Entries in one page of the revocation feed.
const FEED_PAGE_ENTRIES: usize = 1000;
/// Entries of the index that are read in one command.
const INDEX_PAGE_ENTRIES: usize = 100;

impl RedisStore {
    pub(in crate::store) async fn create_grant(&self, record: GrantRecord) -> Result<bool, Unavailable> {
        let keys = [grant_key(record.id), tombstone_key(record.id)];
        let call = self.script(scripts::CREATE_GRANT, &[&keys[0], &keys[1]]);
        let call = call.with(self.lifetime(record.expires_at));
        let call = encode(&record, self.format()).into_iter().fold(call, Call::with);
        self.connections.query_after(self.index_commands(&record), call.0).await
    }

    pub(in crate::store) async fn grant(&self, id: GrantId) -> Result<Option<GrantRecord>, Unavailable> {
        let mut read = cmd("HGETALL");
        read.arg(grant_key(id));
        let hash: Hash = self.connections.query(&read).await?;
        let record = decode(id, hash, self.format)?;
        Ok(record.filter(|record| !self.has_expired(record.expires_at.millis())))
    }

    pub(in crate::store) async fn rotate(
        &self,
        id: GrantId,
        rotate: Rotate,
    ) -> Result<Rotation, Unavailable> {
        let call = self
            .script(scripts::ROTATE, &[&grant_key(id), &tombstone_key(id)])
            .with(self.nonce())
            .with(self.format.known.newest)
            .with(rotate.presented)
            .with(u64::try_from(rotate.grace.as_millis()).unwrap_or(u64::MAX))
            .with(self.lifetime(rotate.expires_at))
            .with(if rotate.on_reuse == Reuse::Revoke { "revoke" } else { "refuse" })
            .with(TOMBSTONE_MILLIS);
        let (step, hash): (String, Hash) = self.call_durably(call).await?;
        let record = decode(id, hash, self.format)?;
        match (&*step, record) {
            ("fresh", Some(record)) => {
                self.index(&record).await?;
                Ok(Rotation::Fresh { record })
            }
            // The replica that rotated may have crashed before it wrote the index.
            ("same", Some(record)) => {
                self.index(&record).await?;
                Ok(Rotation::Same { record })
            }
            ("revoked", record) => {
                self.publish_revocation(id, record.as_ref()).await?;
                Ok(Rotation::Reused)
            }
            ("refused", _) => Ok(Rotation::Reused),
            ("unknown", _) => Ok(Rotation::Unknown),
            _ => Ok(Rotation::Gone),
        }
    }

    pub(in crate::store) async fn replace_sealed(
        &self,
        id: GrantId,
        old: &[u8],
        new: Sealed,
    ) -> Result<bool, Unavailable> {
        let call = self.script(scripts::REPLACE_SEALED, &[&grant_key(id)]);
        let call = call.with(old).with(new.sealed).with(index_entries::encode(&new.index_entries));
        let record = decode(id, self.call_durably(call.with(self.format().writes)).await?, self.format)?;
        if let Some(record) = &record {
            self.index(record).await?;
        }
        Ok(record.is_some())
    }

    pub(in crate::store) async fn revoke(&self, id: GrantId) -> Result<bool, Unavailable> {
        let call = self.script(scripts::END_GRANT, &[&grant_key(id), &tombstone_key(id)]);
        let call = call.with(self.nonce()).with(TOMBSTONE_MILLIS);
        let (was_active, hash): (bool, Hash) = self.call_durably(call).await?;
        // An unreadable record is deleted all the same; its index entries are skipped from then on.
        let record = decode(id, hash, self.format).unwrap_or(None);
        self.publish_revocation(id, record.as_ref()).await?;
        Ok(was_active)
    }

    pub(in crate::store) async fn revoked_since(&self, cursor: Cursor) -> Result<Feed, Unavailable> {
        let call = self.script(scripts::READ_FEED, &FEED).with(cursor.0).with(FEED_PAGE_ENTRIES);
        let (dropped_until, newest, entries): (u64, u64, Vec<(Vec<u8>, u64)>) = self.call(call).await?;
        // A cursor from before a flush, or before the oldest entry that is kept, has missed revocations.
        let reset = cursor.0 < dropped_until || cursor.0 > newest;
        let start = if reset { dropped_until } else { cursor.0 };
        let cursor = Cursor(entries.last().map_or(start, |(_, number)| *number));
        let ids = entries.into_iter().filter_map(|(id, _)| id.try_into().ok().map(GrantId)).collect();
        Ok(Feed { ids, cursor, reset })
    }

    pub(in crate::store) async fn grants_of(
        &self,
        entry: IndexEntry,
        limit: usize,
    ) -> Result<Vec<GrantId>, Unavailable> {
        let (mut found, mut offset) = (Vec::new(), 0);
        while found.len() < limit {
            let mut read = cmd("ZRANGEBYSCORE");
            read.arg(index_key(entry)).arg(format!("({}", self.now())).arg("+inf");
            read.arg("LIMIT").arg(offset).arg(INDEX_PAGE_ENTRIES);
            let page: Vec<Vec<u8>> = self.connections.query(&read).await?;
            let is_last = page.len() < INDEX_PAGE_ENTRIES;
            offset += page.len();
            let ids: Vec<GrantId> =
                page.into_iter().filter_map(|id| id.try_into().ok().map(GrantId)).collect();
            found.extend(self.active(&ids).await?);
            if is_last {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Filters out the grants that have ended.
    async fn active(&self, ids: &[GrantId]) -> Result<Vec<GrantId>, Unavailable> {
        let read = |id: &GrantId| {
            let mut read = cmd("HGET");
            read.arg(grant_key(*id)).arg("until");
            vec![read]
        };
        let ends: Vec<Option<u64>> = self.connections.query_all(ids.iter().map(read).collect()).await?;
        let is_active = |until: Option<u64>| until.is_some_and(|until| !self.has_expired(until));
        let active = ids.iter().zip(ends).filter(|(_, until)| is_active(*until));
        Ok(active.map(|(id, _)| *id).collect())
    }

    /// Writes the index entries of a grant.
    async fn index(&self, record: &GrantRecord) -> Result<(), Unavailable> {
        self.connections.query_all::<Vec<Value>>(self.index_commands(record)).await.map(drop)
    }

    /// Returns the commands that write the index entries of a grant, and remove expired ones beside them.
    fn index_commands(&self, record: &GrantRecord) -> Vec<Vec<Cmd>> {
        let write = |entry: &IndexEntry| {
            let key = index_key(*entry);
            let mut expiry = cmd("PEXPIRE");
            expiry.arg(&key).arg(MAX_LIFETIME_MILLIS);
            let expired = Cmd::zrembyscore(&key, "-inf", self.now());
            vec![expired, Cmd::zadd(&key, &record.id.0[..], record.expires_at.millis()), expiry]
        };
        record.index_entries.iter().map(write).collect()
    }

    /// Appends the grant to the revocation feed, which all replicas poll, and removes its index entries.
    async fn publish_revocation(&self, id: GrantId, record: Option<&GrantRecord>) -> Result<(), Unavailable> {
        let ttl_millis = u64::try_from(FEED_TTL.as_millis()).unwrap_or(u64::MAX);
        let append = self.script(scripts::APPEND_TO_FEED, &FEED).with(ttl_millis);
        let append = append.with(MAX_FEED_ENTRIES).with(&id.0[..]);
        let entries = record.iter().flat_map(|record| &record.index_entries);
        let remove = entries.map(|entry| vec![Cmd::zrem(index_key(*entry), &id.0[..])]);
        let writes = std::iter::once(vec![append.0]).chain(remove).collect();
        self.connections.query_all::<Vec<Value>>(writes).await.map(drop)
    }
}
