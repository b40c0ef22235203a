//! Whether a grant is alive, without asking the store for every request.
//!
//! What the store said counts for three seconds; while the store is asked again, or does not answer, for sixty. A
//! hit does not extend that. Ages are by the time of this process, so that a clock that is put back extends nothing.

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

const FRESH: Duration = Duration::from_secs(3);
const USABLE: Duration = Duration::from_mins(1);
/// After this the store has answered, or will not.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// The bound of the cache; a grant takes about half a KiB.
const MAX_CACHED_GRANTS: usize = 100_000;
/// For how many grants a sweep asks the store at once.
const SWEPT_AT_ONCE: usize = 32;

/// What is known of a grant.
#[derive(Clone)]
pub enum GrantStatus {
    /// It counts.
    Active(Arc<ActiveGrant>),
    /// It is unknown, expired or revoked.
    Ended,
}

/// A grant that counts, and what is made of it once for many requests.
pub struct ActiveGrant {
    grant: Arc<Grant>,
    /// What servers learn of its user.
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
    ends_at: Monotonic,
    at: Monotonic,
    /// When the store was asked again; its answer is still to come.
    asked: Option<Monotonic>,
    /// It may have been revoked since, unheard: to be asked for again, whatever its age.
    doubted: bool,
}

impl CachedGrant {
    /// Of a grant that lives for so long from then on.
    fn new(grant: Arc<Grant>, at: Monotonic, lives: Duration) -> Self {
        Self { grant: ActiveGrant::new(grant), ends_at: at.after(lives), at, asked: None, doubted: false }
    }

    /// Whether it counts without waiting for the store.
    fn is_known(&self, now: Monotonic) -> bool {
        let asked = self.asked.is_some_and(|asked| now.since(asked) < READ_INTERVAL);
        self.is_valid(now, if asked { USABLE } else { FRESH }) && (asked || !self.doubted)
    }

    fn is_valid(&self, now: Monotonic, age: Duration) -> bool {
        now.since(self.at) < age && now < self.ends_at
    }
}

type Reads = HashMap<[u8; 16], CachedGrant, RandomState>;

pub(super) struct Liveness(Mutex<Reads>);

impl Liveness {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    pub(super) fn forget(&self, id: [u8; 16]) {
        self.lock().remove(&id);
    }

    fn invalidate_all(&self) {
        self.lock().values_mut().for_each(|read| read.doubted = true);
    }

    fn get(&self, id: [u8; 16], is_valid: impl Fn(&CachedGrant) -> bool) -> Option<Arc<ActiveGrant>> {
        let reads = self.lock();
        reads.get(&id).filter(|read| is_valid(read)).map(|read| Arc::clone(&read.grant))
    }

    /// From now on an answer of the store is to come; `None`: it is not.
    fn ask(&self, id: [u8; 16], asked: Option<Monotonic>) {
        if let Some(read) = self.lock().get_mut(&id) {
            read.asked = asked;
        }
    }

    fn keep(&self, id: [u8; 16], read: CachedGrant) {
        let mut reads = self.lock();
        if reads.len() >= MAX_CACHED_GRANTS && !reads.contains_key(&id) {
            let now = read.at;
            reads.retain(|_, read| now.since(read.at) < FRESH);
            if reads.len() >= MAX_CACHED_GRANTS {
                reads.clear();
            }
        }
        reads.insert(id, read);
    }

    fn lock(&self) -> MutexGuard<'_, Reads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grants {
    /// What counts without waiting for the store.
    pub fn cached_status(&self, id: [u8; 16]) -> Option<Arc<ActiveGrant>> {
        let now = self.clock.monotonic();
        self.liveness.get(id, |read| read.is_known(now))
    }

    /// What counts when the store does not answer, or not soon.
    pub fn stale_status(&self, id: [u8; 16]) -> Option<Arc<ActiveGrant>> {
        let now = self.clock.monotonic();
        self.liveness.get(id, |read| read.is_valid(now, USABLE))
    }

    /// Whether the grant is alive, asking the store when that is not known.
    ///
    /// # Errors
    /// The store does not answer, and last did so for this grant more than a minute ago.
    pub async fn alive(&self, id: [u8; 16]) -> Result<GrantStatus, Unavailable> {
        if let Some(grant) = self.cached_status(id) {
            return Ok(GrantStatus::Active(grant));
        }
        self.read_from_store(id).await
    }

    /// What this replica has just written.
    pub(super) fn know(&self, record: &GrantRecord, grant: &Arc<Grant>) {
        let read = CachedGrant::new(Arc::clone(grant), self.clock.monotonic(), self.lives(record));
        self.liveness.keep(record.id.0, read);
    }

    fn lives(&self, record: &GrantRecord) -> Duration {
        record.expires_at.since(self.store.clock().now())
    }

    async fn read_from_store(&self, id: [u8; 16]) -> Result<GrantStatus, Unavailable> {
        let now = self.clock.monotonic();
        self.liveness.ask(id, Some(now));
        let found = self.store.grant(GrantId(id)).await;
        self.record_status((id, now), found)
    }

    /// Acts on what the store said of a grant, asked at this time.
    fn record_status(
        &self,
        (id, now): ([u8; 16], Monotonic),
        found: Result<Option<GrantRecord>, Unavailable>,
    ) -> Result<GrantStatus, Unavailable> {
        let found = found.and_then(|record| {
            let Some(record) = record else { return Ok(None) };
            Ok(self.open(&record)?.map(|grant| CachedGrant::new(grant, now, self.lives(&record))))
        });
        match found {
            Ok(Some(read)) => {
                let grant = Arc::clone(&read.grant);
                self.liveness.keep(id, read);
                Ok(GrantStatus::Active(grant))
            }
            Ok(None) => {
                self.forget(id);
                Ok(GrantStatus::Ended)
            }
            Err(unavailable) => {
                self.liveness.ask(id, None);
                self.stale_status(id).map(GrantStatus::Active).ok_or(unavailable)
            }
        }
    }

    /// Forgets what the revocation feed tells since the cursor, streams too, and asks anew where it may have missed
    /// something; returns where it goes on.
    ///
    /// # Errors
    /// The store does not answer; what was heard before that has been acted on.
    pub async fn poll_revocations(&self, mut cursor: Cursor) -> Result<Cursor, Unavailable> {
        loop {
            let feed = self.store.revoked_since(cursor).await?;
            if feed.reset {
                self.liveness.invalidate_all();
                self.close_ended_streams(|_| true).await;
            }
            for id in &feed.ids {
                self.forget(id.0);
            }
            cursor = feed.cursor;
            if feed.ids.is_empty() {
                return Ok(cursor);
            }
        }
    }

    /// Cuts the streams of every grant that is not alive any more, or that may not do any more what its streams do.
    /// To be called every few seconds.
    pub async fn close_ended_streams(&self, may_go_on: impl Fn(&Grant) -> bool) {
        let mut left = self.streams.grants().into_iter();
        let mut asked = JoinSet::new();
        loop {
            while asked.len() < SWEPT_AT_ONCE
                && let Some(id) = left.next()
            {
                let (store, now) = (Arc::clone(&self.store), self.clock.monotonic());
                self.liveness.ask(id, Some(now));
                asked.spawn(async move { ((id, now), store.grant(GrantId(id)).await) });
            }
            let Some(answer) = asked.join_next().await else { return };
            let Ok((asked_for, found)) = answer else { continue };
            // An unreachable store for longer than its last word counts ends streams as it ends requests.
            match self.record_status(asked_for, found) {
                Ok(GrantStatus::Active(grant)) if may_go_on(&grant) => {}
                _ => self.streams.cut(asked_for.0),
            }
        }
    }
}
