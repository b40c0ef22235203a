//! Whether a grant is alive, without asking the store for every request.
//!
//! What the store said counts for three seconds; while the store does not answer, for sixty. A hit does not
//! extend that.

use super::{Grant, Grants};
use crate::clock::Timestamp;
use crate::store::{Cursor, GrantId, GrantRecord, Unavailable};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const FRESH: Duration = Duration::from_secs(3);
const USABLE: Duration = Duration::from_mins(1);
/// The bound of the cache; a grant takes about half a KiB.
const MOST: usize = 100_000;

/// What is known of a grant.
#[derive(Debug, Clone)]
pub enum Alive {
    /// It counts.
    Yes(Arc<Grant>),
    /// It is unknown, expired or revoked.
    No,
}

#[derive(Clone)]
struct Read {
    grant: Arc<Grant>,
    expires_at: Timestamp,
    at: Timestamp,
}

pub(super) struct Liveness(Mutex<HashMap<[u8; 16], Read>>);

impl Liveness {
    pub(super) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    pub(super) fn forget(&self, id: [u8; 16]) {
        self.lock().remove(&id);
    }

    fn forget_all(&self) {
        self.lock().clear();
    }

    fn get(&self, id: [u8; 16], now: Timestamp, counts: Duration) -> Option<Arc<Grant>> {
        let reads = self.lock();
        let read = reads.get(&id).filter(|read| now.since(read.at) < counts && now < read.expires_at)?;
        Some(Arc::clone(&read.grant))
    }

    fn keep(&self, id: [u8; 16], read: Read) {
        let mut reads = self.lock();
        if reads.len() >= MOST && !reads.contains_key(&id) {
            let now = read.at;
            reads.retain(|_, read| now.since(read.at) < FRESH);
            if reads.len() >= MOST {
                reads.clear();
            }
        }
        reads.insert(id, read);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 16], Read>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grants {
    /// What was read within the last three seconds, without waiting.
    pub fn known_alive(&self, id: [u8; 16]) -> Option<Arc<Grant>> {
        self.liveness.get(id, self.clock.now(), FRESH)
    }

    /// Whether the grant is alive, asking the store when that is not known.
    ///
    /// # Errors
    /// The store does not answer, and last did so for this grant more than a minute ago.
    pub async fn alive(&self, id: [u8; 16]) -> Result<Alive, Unavailable> {
        if let Some(grant) = self.known_alive(id) {
            return Ok(Alive::Yes(grant));
        }
        self.ask_store(id).await
    }

    /// What this replica has just written.
    pub(super) fn know(&self, record: &GrantRecord, grant: &Arc<Grant>) {
        let read = Read { grant: Arc::clone(grant), expires_at: record.expires_at, at: self.clock.now() };
        self.liveness.keep(record.id.0, read);
    }

    async fn ask_store(&self, id: [u8; 16]) -> Result<Alive, Unavailable> {
        let now = self.clock.now();
        let found = self.store.grant(GrantId(id)).await.and_then(|record| {
            let Some(record) = record else { return Ok(None) };
            Ok(self.open(&record)?.map(|grant| Read { grant, expires_at: record.expires_at, at: now }))
        });
        match found {
            Ok(Some(read)) => {
                let grant = Arc::clone(&read.grant);
                self.liveness.keep(id, read);
                Ok(Alive::Yes(grant))
            }
            Ok(None) => {
                self.forget(id);
                Ok(Alive::No)
            }
            Err(unavailable) => {
                let usable = self.liveness.get(id, now, USABLE);
                usable.map(Alive::Yes).ok_or(unavailable)
            }
        }
    }

    /// Forgets what the revocation feed tells since the cursor, streams too; returns where it goes on.
    ///
    /// # Errors
    /// The store does not answer; what was heard before that has been acted on.
    pub async fn hear_revocations(&self, mut cursor: Cursor) -> Result<Cursor, Unavailable> {
        loop {
            let feed = self.store.revoked_since(cursor).await?;
            if feed.reset {
                self.liveness.forget_all();
                self.sweep_streams(|_| true).await;
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
    pub async fn sweep_streams(&self, may_go_on: impl Fn(&Grant) -> bool) {
        for id in self.streams.grants() {
            // An unreachable store for longer than its last word counts ends streams as it ends requests.
            match self.ask_store(id).await {
                Ok(Alive::Yes(grant)) if may_go_on(&grant) => {}
                _ => self.streams.cut(id),
            }
        }
    }
}
