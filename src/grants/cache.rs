//! Cache of active grants, so that not every request reads the store.
//!
//! An entry is fresh for three seconds. While the store is being read again, or is unavailable, it is used for sixty
//! seconds. A hit does not extend that. Ages are measured by the monotonic clock, so that setting the clock back extends
//! nothing.

use super::{Grant, Grants};
use crate::base::cache::Cache;
use crate::base::clock::Monotonic;
use crate::proxy::{CancelReason, Identity};
use crate::store::{Cursor, GrantId, GrantRecord, Unavailable};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Age up to which an entry is used without reading the store.
const FRESH_TIME: Duration = Duration::from_secs(3);
/// Age up to which an entry is used while the store is being read or is unavailable.
const STALE_TIME: Duration = Duration::from_mins(1);
/// Time after which a pending read of the store no longer counts as pending.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Cached grants, of about 1.5 KiB each: 150 MiB in all.
const MAX_CACHED_GRANTS: usize = 100_000;
/// Concurrent reads of the store while streams are checked.
const MAX_CONCURRENT_READS: usize = 32;

/// Status of a grant.
#[derive(Clone)]
pub enum GrantStatus {
    /// It is active.
    Active(Arc<ActiveGrant>),
    /// It is unknown, expired or revoked.
    Ended,
}

/// Active grant, with values that are computed once for many requests.
pub struct ActiveGrant {
    grant: Arc<Grant>,
    /// User identity for upstream requests.
    pub identity: Arc<Identity>,
}

impl ActiveGrant {
    fn new(grant: Arc<Grant>) -> Arc<Self> {
        let user = grant.subject.user();
        let identity = Identity::new(&user.sub, user.email.as_deref(), &user.groups);
        Arc::new(Self { identity: Arc::new(identity), grant })
    }
}

impl Deref for ActiveGrant {
    type Target = Grant;

    fn deref(&self) -> &Grant {
        &self.grant
    }
}

#[derive(Clone)]
struct CachedGrant {
    grant: Arc<ActiveGrant>,
    expires_at: Monotonic,
    read: ReadStart,
    /// Start of a pending read of the store.
    refreshing_since: Option<Monotonic>,
}

/// Start of a read of the store.
#[derive(Clone, Copy)]
struct ReadStart {
    at: Monotonic,
    epoch: u64,
}

impl CachedGrant {
    /// Entry for a grant that was read then and expires after `lifetime`.
    fn new(grant: Arc<ActiveGrant>, read: ReadStart, lifetime: Duration) -> Self {
        Self { grant, expires_at: read.at.after(lifetime), read, refreshing_since: None }
    }

    /// Returns whether it may be used without waiting for the store.
    fn is_usable(&self, now: Monotonic, epoch: u64) -> bool {
        let is_refreshing = self.refreshing_since.is_some_and(|since| now.since(since) < READ_TIMEOUT);
        let max_age = if is_refreshing { STALE_TIME } else { FRESH_TIME };
        self.is_valid(now, max_age) && (is_refreshing || self.read.epoch == epoch)
    }

    fn is_valid(&self, now: Monotonic, max_age: Duration) -> bool {
        now.since(self.read.at) < max_age && now < self.expires_at
    }
}

/// Cache of active grants by id.
pub(super) struct GrantCache {
    entries: Cache<GrantId, CachedGrant>,
    /// Number of invalidations. An entry of an earlier epoch may have been revoked since: the store is then read,
    /// whatever its age.
    epoch: AtomicU64,
}

impl GrantCache {
    pub(super) fn new() -> Self {
        Self { entries: Cache::new(MAX_CACHED_GRANTS), epoch: AtomicU64::new(0) }
    }

    pub(super) fn remove(&self, id: GrantId) {
        self.entries.remove(&id);
    }

    /// Requires that the store is read again for every entry.
    fn invalidate_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the grant if it may be used without waiting for the store.
    fn usable(&self, id: GrantId, now: Monotonic) -> Option<Arc<ActiveGrant>> {
        let entry = self.entries.get(&id)?;
        entry.is_usable(now, self.epoch.load(Ordering::SeqCst)).then_some(entry.grant)
    }

    /// Returns the grant if it may be used while the store is unavailable or slow.
    fn stale(&self, id: GrantId, now: Monotonic) -> Option<Arc<ActiveGrant>> {
        self.entries.get(&id).filter(|entry| entry.is_valid(now, STALE_TIME)).map(|entry| entry.grant)
    }

    /// Marks an entry as being read from the store.
    fn begin_read(&self, id: GrantId, now: Monotonic) -> ReadStart {
        self.entries.update(&id, |entry| entry.refreshing_since = Some(now));
        self.read_start(now)
    }

    /// Ends a read that failed.
    fn end_read(&self, id: GrantId) {
        self.entries.update(&id, |entry| entry.refreshing_since = None);
    }

    fn read_start(&self, now: Monotonic) -> ReadStart {
        ReadStart { at: now, epoch: self.epoch.load(Ordering::SeqCst) }
    }

    fn insert(&self, id: GrantId, entry: CachedGrant) {
        self.entries.insert(id, entry);
    }
}

impl Grants {
    /// Returns the cached grant if it may be used without reading the store.
    pub fn cached_status(&self, id: GrantId) -> Option<Arc<ActiveGrant>> {
        self.cache.usable(id, self.clock.monotonic())
    }

    /// Returns the cached grant if it may be used while the store is unavailable or slow.
    pub fn stale_status(&self, id: GrantId) -> Option<Arc<ActiveGrant>> {
        self.cache.stale(id, self.clock.monotonic())
    }

    /// Returns the status of a grant, from the cache if that is fresh.
    ///
    /// # Errors
    /// The store is unavailable, and the cached entry is more than a minute old.
    pub async fn status(&self, id: GrantId) -> Result<GrantStatus, Unavailable> {
        if let Some(grant) = self.cached_status(id) {
            return Ok(GrantStatus::Active(grant));
        }
        self.read_from_store(id).await
    }

    /// Caches a grant that this replica has just written.
    pub(super) fn cache_written(&self, record: &GrantRecord, grant: &Arc<Grant>) {
        let written = self.cache.read_start(self.clock.monotonic());
        let grant = ActiveGrant::new(Arc::clone(grant));
        self.cache.insert(record.id, CachedGrant::new(grant, written, self.lifetime(record)));
    }

    /// Time until the grant expires.
    fn lifetime(&self, record: &GrantRecord) -> Duration {
        record.expires_at.since(self.store.clock().now())
    }

    async fn read_from_store(&self, id: GrantId) -> Result<GrantStatus, Unavailable> {
        let read = self.cache.begin_read(id, self.clock.monotonic());
        let found = self.store.grant(id).await;
        self.record_status(id, read, found)
    }

    /// Updates the cache with the result of a read that began then.
    fn record_status(
        &self,
        id: GrantId,
        read: ReadStart,
        found: Result<Option<GrantRecord>, Unavailable>,
    ) -> Result<GrantStatus, Unavailable> {
        let found = found.and_then(|record| {
            let Some(record) = record else { return Ok(None) };
            let grant = self.open(&record)?.map(ActiveGrant::new);
            Ok(grant.map(|grant| CachedGrant::new(grant, read, self.lifetime(&record))))
        });
        match found {
            Ok(Some(entry)) => {
                let grant = Arc::clone(&entry.grant);
                self.cache.insert(id, entry);
                Ok(GrantStatus::Active(grant))
            }
            Ok(None) => {
                self.drop_ended(id);
                Ok(GrantStatus::Ended)
            }
            Err(unavailable) => {
                self.cache.end_read(id);
                self.stale_status(id).map(GrantStatus::Active).ok_or(unavailable)
            }
        }
    }

    /// Reads the revocation feed from the cursor on, removes the revoked grants from the cache and closes their streams.
    /// When entries are missing, reads all grants again. Returns the next cursor.
    ///
    /// # Errors
    /// The store is unavailable; the pages that were read before have been processed.
    pub async fn poll_revocations(&self, mut cursor: Cursor) -> Result<Cursor, Unavailable> {
        loop {
            let feed = self.store.revoked_since(cursor).await?;
            if feed.reset {
                self.cache.invalidate_all();
                self.close_ended_streams(|_| true).await;
            }
            for id in &feed.ids {
                self.drop_ended(*id);
            }
            cursor = feed.cursor;
            if feed.ids.is_empty() {
                return Ok(cursor);
            }
        }
    }

    /// Closes the streams of every grant that is not active any more, or that `is_allowed` rejects. To be called every few
    /// seconds.
    pub async fn close_ended_streams(&self, is_allowed: impl Fn(&Grant) -> bool) {
        let mut remaining = self.streams.grants().into_iter();
        let mut reads = JoinSet::new();
        loop {
            while reads.len() < MAX_CONCURRENT_READS
                && let Some(id) = remaining.next()
            {
                let store = Arc::clone(&self.store);
                let read = self.cache.begin_read(id, self.clock.monotonic());
                reads.spawn(async move { (id, read, store.grant(id).await) });
            }
            let Some(joined) = reads.join_next().await else { return };
            let Ok((id, read, found)) = joined else { continue };
            // When the store is unavailable for longer than an entry may be used, streams end as requests fail.
            match self.record_status(id, read, found) {
                Ok(GrantStatus::Active(grant)) if is_allowed(&grant) => {}
                Ok(GrantStatus::Active(_)) => self.streams.close(id, CancelReason::NotAuthorized),
                Ok(GrantStatus::Ended) => self.streams.close(id, CancelReason::GrantEnded),
                Err(_) => self.streams.close(id, CancelReason::Unchecked),
            }
        }
    }
}

#[cfg(test)]
mod tests;
