//! Grants in Redis. A grant and its tombstone stand in one slot and change in one step; what it can be looked up by
//! and the feed stand in slots of their own. The index is written before the grant and again at each rotation, so
//! that a living grant is always found; an entry without a grant is passed over.

use super::records::{FEED, decode, encode, grant_key, owner_key, tombstone_key};
use super::{
    Call, Cursor, Feed, GrantId, GrantRecord, Hash, IndexKey, Key, MAX_LIFETIME_MILLIS, RedisStore, Reuse,
    Rotate, Rotation, Sealed, TOMBSTONE_MILLIS, Unavailable, scripts,
};
use crate::store::owners;
use bb8_redis::redis::{Cmd, Value, cmd};
use std::time::Duration;

/// The feed's bound: more revocations than this between two looks are a reset.
const MAX_FEED_ENTRIES: u64 = 10_000;
const FEED_LIVES: Duration = Duration::from_hours(1);
const PAGE: usize = 1000;
/// How many grants of an owner are looked at in one go.
const LOOKED_AT: usize = 100;

impl RedisStore {
    pub(in crate::store) async fn create_grant(&self, record: GrantRecord) -> Result<bool, Unavailable> {
        let keys = [grant_key(record.id), tombstone_key(record.id)];
        let call = self.script(scripts::CREATE_GRANT, &[&keys[0], &keys[1]]);
        let call = call.with(self.lives(record.expires_at));
        let call = encode(&record, self.format()).into_iter().fold(call, Call::with);
        self.connections.query_after(self.entries(&record), call.0).await
    }

    pub(in crate::store) async fn grant(&self, id: GrantId) -> Result<Option<GrantRecord>, Unavailable> {
        let mut read = cmd("HGETALL");
        read.arg(grant_key(id));
        let hash: Hash = self.connections.query(&read).await?;
        let record = decode(id, hash, self.format)?;
        Ok(record.filter(|record| !self.has_ended(record.expires_at.millis())))
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
            .with(self.lives(rotate.expires_at))
            .with(if rotate.on_reuse == Reuse::Revoke { "revoke" } else { "refuse" })
            .with(TOMBSTONE_MILLIS);
        let (step, hash): (String, Hash) = self.call_durably(call).await?;
        let record = decode(id, hash, self.format)?;
        match (&*step, record) {
            ("fresh", Some(record)) => {
                self.index(&record).await?;
                Ok(Rotation::Fresh { record })
            }
            // The one who rotated may have died before it wrote the index.
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
        let call = call.with(old).with(new.sealed).with(owners::encode(&new.owners));
        let record = decode(id, self.call_durably(call.with(self.format().writes)).await?, self.format)?;
        if let Some(record) = &record {
            self.index(record).await?;
        }
        Ok(record.is_some())
    }

    pub(in crate::store) async fn revoke(&self, id: GrantId) -> Result<bool, Unavailable> {
        let call = self.script(scripts::END_GRANT, &[&grant_key(id), &tombstone_key(id)]);
        let call = call.with(self.nonce()).with(TOMBSTONE_MILLIS);
        let (was_alive, hash): (bool, Hash) = self.call_durably(call).await?;
        // One that cannot be read has ended all the same; what it was looked up by leads to nothing then.
        let record = decode(id, hash, self.format).unwrap_or(None);
        self.publish_revocation(id, record.as_ref()).await?;
        Ok(was_alive)
    }

    pub(in crate::store) async fn revoked_since(&self, cursor: Cursor) -> Result<Feed, Unavailable> {
        let call = self.script(scripts::READ_FEED, &FEED).with(cursor.0).with(PAGE);
        let (gone, newest, entries): (u64, u64, Vec<(Vec<u8>, u64)>) = self.call(call).await?;
        // A cursor from before a flush, or from before the feed was cut, has missed something.
        let reset = cursor.0 < gone || cursor.0 > newest;
        let start = if reset { gone } else { cursor.0 };
        let cursor = Cursor(entries.last().map_or(start, |(_, number)| *number));
        let ids = entries.into_iter().filter_map(|(id, _)| id.try_into().ok().map(GrantId)).collect();
        Ok(Feed { ids, cursor, reset })
    }

    pub(in crate::store) async fn grants_of(
        &self,
        owner: IndexKey,
        key: Key,
        limit: usize,
    ) -> Result<Vec<GrantId>, Unavailable> {
        let (mut found, mut offset) = (Vec::new(), 0);
        while found.len() < limit {
            let mut read = cmd("ZRANGEBYSCORE");
            read.arg(owner_key((owner, key))).arg(format!("({}", self.now())).arg("+inf");
            read.arg("LIMIT").arg(offset).arg(LOOKED_AT);
            let page: Vec<Vec<u8>> = self.connections.query(&read).await?;
            let is_last = page.len() < LOOKED_AT;
            offset += page.len();
            let ids: Vec<GrantId> =
                page.into_iter().filter_map(|id| id.try_into().ok().map(GrantId)).collect();
            found.extend(self.living(&ids).await?);
            if is_last {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn living(&self, ids: &[GrantId]) -> Result<Vec<GrantId>, Unavailable> {
        let read = |id: &GrantId| {
            let mut read = cmd("HGET");
            read.arg(grant_key(*id)).arg("until");
            vec![read]
        };
        let ends: Vec<Option<u64>> = self.connections.query_all(ids.iter().map(read).collect()).await?;
        let is_alive = |until: Option<u64>| until.is_some_and(|until| !self.has_ended(until));
        let alive = ids.iter().zip(ends).filter(|(_, until)| is_alive(*until));
        Ok(alive.map(|(id, _)| *id).collect())
    }

    async fn index(&self, record: &GrantRecord) -> Result<(), Unavailable> {
        self.connections.query_all::<Vec<Value>>(self.entries(record)).await.map(drop)
    }

    /// Writes what the grant can be looked up by, and forgets what has ended there.
    fn entries(&self, record: &GrantRecord) -> Vec<Vec<Cmd>> {
        let write = |owner: &(IndexKey, Key)| {
            let key = owner_key(*owner);
            let mut longer = cmd("PEXPIRE");
            longer.arg(&key).arg(MAX_LIFETIME_MILLIS);
            let ended = Cmd::zrembyscore(&key, "-inf", self.now());
            vec![ended, Cmd::zadd(&key, &record.id.0[..], record.expires_at.millis()), longer]
        };
        record.owners.iter().map(write).collect()
    }

    /// Tells all replicas, and takes the grant out of what it was looked up by.
    async fn publish_revocation(&self, id: GrantId, record: Option<&GrantRecord>) -> Result<(), Unavailable> {
        let lives = u64::try_from(FEED_LIVES.as_millis()).unwrap_or(u64::MAX);
        let append = self.script(scripts::APPEND_TO_FEED, &FEED).with(lives);
        let append = append.with(MAX_FEED_ENTRIES).with(&id.0[..]);
        let owners = record.iter().flat_map(|record| &record.owners);
        let forget = owners.map(|owner| vec![Cmd::zrem(owner_key(*owner), &id.0[..])]);
        let writes = std::iter::once(vec![append.0]).chain(forget).collect();
        self.connections.query_all::<Vec<Value>>(writes).await.map(drop)
    }
}
