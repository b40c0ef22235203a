//! Grants: one user's approval of one client for one route. What is made, kept alive, rotated and revoked, and
//! the open streams that end with it.

mod changes;
mod liveness;
mod pending;
mod records;
mod streams;

pub use changes::Presented;
pub use liveness::{ActiveGrant, GrantStatus};
pub use pending::{Code, Consented, FORM_TTL, FormState, LOGIN_TTL, Login};
pub use records::{Grant, Subject, User};
pub use streams::Streams;

use crate::base::clock::{Clock, MAX_CLOCK_SKEW, Timestamp};
use crate::base::entropy::Entropy;
use crate::credential;
use crate::crypto::seal::{Keys, Mac, Purpose};
use crate::store::{
    GrantId, GrantRecord, IndexKey, Key, Reuse, Rotate, Rotation, Sealed, Store, Unavailable,
};
use liveness::Liveness;
use records::Records;
use std::sync::Arc;
use std::time::Duration;

/// A lost response is answered with the same successor for this long.
const GRACE: Duration = Duration::from_mins(1);

/// Makes, reads and ends grants in a store, sealed.
pub struct Grants {
    store: Arc<Store>,
    records: Records,
    index: Mac,
    clock: Clock,
    liveness: Liveness,
    /// The open streams of each grant.
    pub streams: Streams,
}

/// What a refresh led to.
#[derive(Debug)]
pub enum Refreshed {
    /// The token of this generation is the one to hand out now.
    Yes {
        /// The grant.
        grant: Arc<Grant>,
        /// The generation of its newest refresh token.
        generation: u32,
    },
    /// The token does not count any more; nothing changed.
    No,
    /// The token had been used before: the grant is revoked now, unless reuse is only to be refused.
    Reused,
}

impl Grants {
    /// Grants in this store, sealed under these keys.
    pub fn new(store: Arc<Store>, keys: &Keys, clock_and_rng: (Clock, Entropy)) -> Self {
        let (clock, entropy) = clock_and_rng;
        Self {
            records: Records::new(keys.sealer(Purpose::Record), entropy, Arc::clone(&store)),
            store,
            index: keys.mac(Purpose::Index),
            liveness: Liveness::new(),
            streams: Streams::default(),
            clock,
        }
    }

    /// Makes the grant of a redeemed code, with the refresh token generation 1.
    ///
    /// Returns `false` when it was revoked before it existed: its code had been used twice.
    pub async fn create(&self, id: [u8; 16], grant: &Grant, lives: Duration) -> Result<bool, Unavailable> {
        let now = self.store.clock().now();
        let record = GrantRecord {
            id: GrantId(id),
            sealed: self.records.seal(&aad(GrantId(id)), grant),
            generation: 1,
            previous: None,
            rotated_at: now,
            created_at: now,
            expires_at: now.after(lives),
            owners: self.owners(grant),
        };
        self.store.create_grant(record).await
    }

    /// The grant, straight from the store.
    pub async fn read(&self, id: [u8; 16]) -> Result<Option<Arc<Grant>>, Unavailable> {
        self.store.grant(GrantId(id)).await?.map_or(Ok(None), |record| self.open(&record))
    }

    /// Rotates the refresh token of this generation (contract: Refresh).
    pub async fn refresh(
        &self,
        id: [u8; 16],
        presented: u32,
        (ttl, on_reuse): (Duration, Reuse),
    ) -> Result<Refreshed, Unavailable> {
        let expires_at = self.store.clock().now().after(ttl);
        let rotate = Rotate { presented, grace: GRACE, expires_at, on_reuse };
        let rotation = self.store.rotate(GrantId(id), rotate).await?;
        Ok(match rotation {
            Rotation::Fresh { record } | Rotation::Same { record } => match self.open(&record)? {
                Some(grant) => {
                    self.seal_again(&record, &grant).await;
                    Refreshed::Yes { grant, generation: record.generation }
                }
                None => Refreshed::No,
            },
            Rotation::Unknown | Rotation::Gone => Refreshed::No,
            Rotation::Reused => {
                if on_reuse == Reuse::Revoke {
                    self.forget(id);
                }
                Refreshed::Reused
            }
        })
    }

    /// Seals a grant under the first secret that an older one sealed, so that the older one can be dropped, and in
    /// the store's format.
    async fn seal_again(&self, record: &GrantRecord, grant: &Grant) {
        let aad = aad(record.id);
        if self.records.is_current(&aad, &record.sealed) {
            return;
        }
        let new = Sealed { sealed: self.records.seal(&aad, grant), owners: self.owners(grant) };
        // The next refresh tries again; this one has been made.
        if let Err(error) = self.store.replace_sealed(record.id, &record.sealed, new).await {
            tracing::warn!(%error, "a grant could not be sealed under the new secret");
        }
    }

    /// Ends a grant: its tokens stop to count and its streams are cut.
    pub async fn revoke(&self, id: [u8; 16]) -> Result<(), Unavailable> {
        self.store.revoke(GrantId(id)).await?;
        self.forget(id);
        Ok(())
    }

    /// Whether these words are said together for the first time, on every replica. `until` is when this replica stops to
    /// accept them, by its own clock; one that is behind accepts them longer, and it is remembered for that long.
    pub async fn first_use(&self, words: &[&str], until: Timestamp) -> Result<bool, Unavailable> {
        let accepted = until.since(self.clock.now()) + 2 * MAX_CLOCK_SKEW;
        let remembered_until = self.store.clock().now().after(accepted);
        self.store.use_once(Key(credential::digest(&words.join("\n"))), remembered_until).await
    }

    fn forget(&self, id: [u8; 16]) {
        self.liveness.forget(id);
        self.streams.cut(id);
    }

    fn open(&self, record: &GrantRecord) -> Result<Option<Arc<Grant>>, Unavailable> {
        Ok(self.records.open(&aad(record.id), &record.sealed)?.map(Arc::new))
    }

    /// What the grant can be looked up by; digests alone, since an index is not sealed.
    fn owners(&self, grant: &Grant) -> Vec<(IndexKey, Key)> {
        let user = grant.subject.user();
        let mut owners = vec![
            (IndexKey::User, self.key(b"user", &user.sub)),
            (IndexKey::Client, self.key(b"client", &grant.client_id)),
            (IndexKey::Route, self.key(b"route", &grant.route)),
        ];
        if let Some(email) = &user.email {
            owners.push((IndexKey::Email, self.key(b"email", &email.to_lowercase())));
        }
        owners
    }

    fn key(&self, kind: &[u8], value: &str) -> Key {
        Key(self.index.tag(&[kind, value.as_bytes()]))
    }
}

/// What binds a sealed grant to its place in the store.
fn aad(id: GrantId) -> String {
    format!("grant/{id}")
}
