//! Cache of active grants, so that not every request reads the store.
//!
//! An entry is fresh for three seconds. While the store is being read again, or is unavailable, it is used for sixty
//! seconds. A hit does not extend that. Ages are measured by the monotonic clock, so that setting the clock back extends
//! nothing.

use super::{Grant, Grants};
use crate::base::clock::Monotonic;
use crate::proxy::Identity;
use crate::store::{Cursor, GrantId, GrantRecord, Unavailable};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// Age up to which an entry is used without reading the store.
const FRESH_TIME: Duration = Duration::from_secs(3);
/// Age up to which an entry is used while the store is being read or is unavailable.
const STALE_TIME: Duration = Duration::from_mins(1);
/// Time after which a pending read of the store no longer counts as pending.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Cached grants; each takes about 0.5 KiB.
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
    /// Time at which the store was read.
    read_at: Monotonic,
    /// Start of a pending read of the store.
    refreshing_since: Option<Monotonic>,
    /// `true` if a revocation may have been missed: the store is then read, whatever the age.
    is_invalidated: bool,
}

impl CachedGrant {
    /// Entry for a grant that was read at this time and expires after `lifetime`.
    fn new(grant: Arc<Grant>, read_at: Monotonic, lifetime: Duration) -> Self {
        Self {
            grant: ActiveGrant::new(grant),
            expires_at: read_at.after(lifetime),
            read_at,
            refreshing_since: None,
            is_invalidated: false,
        }
    }

    /// Returns whether it may be used without waiting for the store.
    fn is_usable(&self, now: Monotonic) -> bool {
        let is_refreshing = self.refreshing_since.is_some_and(|since| now.since(since) < READ_TIMEOUT);
        let max_age = if is_refreshing { STALE_TIME } else { FRESH_TIME };
        self.is_valid(now, max_age) && (is_refreshing || !self.is_invalidated)
    }

    fn is_valid(&self, now: Monotonic, max_age: Duration) -> bool {
        now.since(self.read_at) < max_age && now < self.expires_at
    }
}

type Entries = HashMap<GrantId, CachedGrant, RandomState>;

/// Cache of active grants by id.
pub(super) struct GrantCache(Mutex<Entries>);

impl GrantCache {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    pub(super) fn remove(&self, id: GrantId) {
        self.lock().remove(&id);
    }

    /// Requires that the store is read again for every entry.
    fn invalidate_all(&self) {
        self.lock().values_mut().for_each(|entry| entry.is_invalidated = true);
    }

    fn get(&self, id: GrantId, is_valid: impl Fn(&CachedGrant) -> bool) -> Option<Arc<ActiveGrant>> {
        let entries = self.lock();
        entries.get(&id).filter(|entry| is_valid(entry)).map(|entry| Arc::clone(&entry.grant))
    }

    /// Marks an entry as being read from the store since this time; `None` ends that.
    fn set_refreshing(&self, id: GrantId, since: Option<Monotonic>) {
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.refreshing_since = since;
        }
    }

    /// Adds an entry. A full cache evicts stale entries first, then all.
    fn insert(&self, id: GrantId, entry: CachedGrant) {
        let mut entries = self.lock();
        if entries.len() >= MAX_CACHED_GRANTS && !entries.contains_key(&id) {
            let now = entry.read_at;
            entries.retain(|_, entry| now.since(entry.read_at) < FRESH_TIME);
            if entries.len() >= MAX_CACHED_GRANTS {
                entries.clear();
            }
        }
        entries.insert(id, entry);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grants {
    /// Returns the cached grant if it may be used without reading the store.
    pub fn cached_status(&self, id: GrantId) -> Option<Arc<ActiveGrant>> {
        let now = self.clock.monotonic();
        self.cache.get(id, |entry| entry.is_usable(now))
    }

    /// Returns the cached grant if it may be used while the store is unavailable or slow.
    pub fn stale_status(&self, id: GrantId) -> Option<Arc<ActiveGrant>> {
        let now = self.clock.monotonic();
        self.cache.get(id, |entry| entry.is_valid(now, STALE_TIME))
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
        let entry = CachedGrant::new(Arc::clone(grant), self.clock.monotonic(), self.lifetime(record));
        self.cache.insert(record.id, entry);
    }

    /// Time until the grant expires.
    fn lifetime(&self, record: &GrantRecord) -> Duration {
        record.expires_at.since(self.store.clock().now())
    }

    async fn read_from_store(&self, id: GrantId) -> Result<GrantStatus, Unavailable> {
        let now = self.clock.monotonic();
        self.cache.set_refreshing(id, Some(now));
        let found = self.store.grant(id).await;
        self.record_status(id, now, found)
    }

    /// Updates the cache with the result of a read that began at this time.
    fn record_status(
        &self,
        id: GrantId,
        read_at: Monotonic,
        found: Result<Option<GrantRecord>, Unavailable>,
    ) -> Result<GrantStatus, Unavailable> {
        let found = found.and_then(|record| {
            let Some(record) = record else { return Ok(None) };
            Ok(self.open(&record)?.map(|grant| CachedGrant::new(grant, read_at, self.lifetime(&record))))
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
                self.cache.set_refreshing(id, None);
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
                let (store, now) = (Arc::clone(&self.store), self.clock.monotonic());
                self.cache.set_refreshing(id, Some(now));
                reads.spawn(async move { (id, now, store.grant(id).await) });
            }
            let Some(read) = reads.join_next().await else { return };
            let Ok((id, read_at, found)) = read else { continue };
            // When the store is unavailable for longer than an entry may be used, streams end as requests fail.
            match self.record_status(id, read_at, found) {
                Ok(GrantStatus::Active(grant)) if is_allowed(&grant) => {}
                _ => self.streams.close(id),
            }
        }
    }
}
