//! Grants: a user's approval of one client for one route. Their creation, refresh, revalidation and revocation, and the
//! open streams, which end with their grant.

mod cache;
mod changes;
mod pending;
mod records;
mod streams;
mod user_checks;

pub use cache::{ActiveGrant, GrantStatus};
pub use changes::PresentedGrant;
pub use pending::{Code, Consented, FORM_TTL, FormState, LOGIN_TTL, Login};
pub use records::{Grant, Subject, User};
pub use streams::Streams;
pub use user_checks::{Lease, Refusal, RefusalReason, UserCheck};

use crate::base::clock::{Clock, MAX_CLOCK_SKEW, Timestamp};
use crate::base::entropy::Entropy;
use crate::credential;
use crate::crypto::seal::{Keys, Mac, Purpose};
use crate::proxy::CancelReason;
use crate::store::{
    GrantId, GrantRecord, IndexEntry, IndexKind, Key, Reuse, Rotate, Rotation, Sealed, Store, Unavailable,
};
use cache::GrantCache;
use records::Records;
use std::sync::Arc;
use std::time::Duration;

/// Grace period in which a repeated refresh request gets the same new token, in case the response was lost.
const REUSE_GRACE: Duration = Duration::from_mins(1);

/// Encrypted grants in a store, with a cache of their status.
pub struct Grants {
    store: Arc<Store>,
    records: Records,
    index: Mac,
    clock: Clock,
    cache: GrantCache,
    /// Open streams of each grant.
    pub streams: Streams,
}

/// Result of a refresh.
#[derive(Debug)]
pub enum Refreshed {
    /// The refresh token of this generation is to be issued.
    Rotated {
        /// Refreshed grant.
        grant: Arc<Grant>,
        /// Generation of its newest refresh token.
        generation: u32,
    },
    /// The token is unknown, or its grant has ended; nothing changed.
    Invalid,
    /// The token was used before. The grant is revoked now, unless [`Reuse::Refuse`] was given.
    Reused,
}

impl Grants {
    /// Grants in this store, encrypted with these keys.
    pub fn new(store: Arc<Store>, keys: &Keys, clock: Clock, entropy: Entropy) -> Self {
        Self {
            records: Records::new(keys.sealer(Purpose::Record), entropy, Arc::clone(&store)),
            store,
            index: keys.mac(Purpose::Index),
            cache: GrantCache::new(),
            streams: Streams::default(),
            clock,
        }
    }

    /// Creates the grant of a redeemed code, with refresh token generation 1.
    ///
    /// Returns `false` when it was revoked before it existed, because its code was used twice.
    pub async fn create(&self, id: GrantId, grant: &Grant, lifetime: Duration) -> Result<bool, Unavailable> {
        let now = self.store.clock().now();
        let record = GrantRecord {
            id,
            sealed: self.records.seal(&aad(id), grant),
            generation: 1,
            previous: None,
            rotated_at: now,
            created_at: now,
            expires_at: now.after(lifetime),
            index_entries: self.index_entries(grant),
        };
        self.store.create_grant(record).await
    }

    /// Reads the grant from the store, not from the cache.
    pub async fn read(&self, id: GrantId) -> Result<Option<Arc<Grant>>, Unavailable> {
        self.store.grant(id).await?.map_or(Ok(None), |record| self.open(&record))
    }

    /// Rotates the refresh token of this generation (docs/contract.md, Refresh). `ttl` is the lifetime of the new token.
    pub async fn refresh(
        &self,
        id: GrantId,
        presented: u32,
        ttl: Duration,
        on_reuse: Reuse,
    ) -> Result<Refreshed, Unavailable> {
        let expires_at = self.store.clock().now().after(ttl);
        let rotate = Rotate { presented, grace: REUSE_GRACE, expires_at, on_reuse };
        let rotation = self.store.rotate(id, rotate).await?;
        Ok(match rotation {
            Rotation::Fresh { record } | Rotation::Same { record } => match self.open(&record)? {
                Some(grant) => {
                    self.reseal(&record, &grant).await;
                    Refreshed::Rotated { grant, generation: record.generation }
                }
                None => Refreshed::Invalid,
            },
            Rotation::Unknown | Rotation::Gone => Refreshed::Invalid,
            Rotation::Reused => {
                if on_reuse == Reuse::Revoke {
                    self.drop_ended(id);
                }
                Refreshed::Reused
            }
        })
    }

    /// Encrypts a grant with the first secret and in the store's format, if it is not, so that an older secret can be
    /// removed.
    async fn reseal(&self, record: &GrantRecord, grant: &Grant) {
        let aad = aad(record.id);
        if self.records.is_current(&aad, &record.sealed) {
            return;
        }
        let new = Sealed { sealed: self.records.seal(&aad, grant), index_entries: self.index_entries(grant) };
        // The refresh has succeeded; the next one tries again.
        if let Err(error) = self.store.replace_sealed(record.id, &record.sealed, new).await {
            tracing::warn!(%error, "re-encrypting a grant with the new secret failed");
        }
    }

    /// Revokes a grant: its tokens become invalid, and its streams are closed. Returns whether it was active.
    pub async fn revoke(&self, id: GrantId) -> Result<bool, Unavailable> {
        let was_active = self.store.revoke(id).await?;
        self.drop_ended(id);
        Ok(was_active)
    }

    /// Registers a single-use id, given in parts, on all replicas; returns whether this is its first use. It is rejected
    /// after `until` by this replica's clock. A replica whose clock is behind accepts it longer, so that it is stored for
    /// twice the tolerated skew beyond that.
    pub async fn first_use(&self, parts: &[&str], until: Timestamp) -> Result<bool, Unavailable> {
        let accepted_for = until.since(self.clock.now()) + 2 * MAX_CLOCK_SKEW;
        let stored_until = self.store.clock().now().after(accepted_for);
        self.store.use_once(credential::digest(&parts.join("\n")), stored_until).await
    }

    /// Removes an ended grant from the cache, and closes its streams.
    fn drop_ended(&self, id: GrantId) {
        self.cache.remove(id);
        self.streams.close(id, CancelReason::GrantEnded);
    }

    /// Decrypts a grant; `None` when its secret was removed or the record was altered.
    fn open(&self, record: &GrantRecord) -> Result<Option<Arc<Grant>>, Unavailable> {
        Ok(self.records.open(&aad(record.id), &record.sealed)?.map(Arc::new))
    }

    /// Computes the index entries of a grant. They are digests, since the index is not encrypted.
    fn index_entries(&self, grant: &Grant) -> Vec<IndexEntry> {
        let user = grant.subject.user();
        let entry = |kind, key| IndexEntry { kind, key };
        let mut entries = vec![
            entry(IndexKind::User, self.key(b"user", &user.sub)),
            entry(IndexKind::Client, self.key(b"client", &grant.client_id)),
            entry(IndexKind::Route, self.key(b"route", &grant.route)),
        ];
        if let Some(email) = &user.email {
            entries.push(entry(IndexKind::Email, self.key(b"email", &email.to_lowercase())));
        }
        entries
    }

    fn key(&self, kind: &[u8], value: &str) -> Key {
        Key(self.index.tag(&[kind, value.as_bytes()]))
    }
}

/// Associated data that binds an encrypted grant to its id.
fn aad(id: GrantId) -> String {
    format!("grant/{id}")
}
