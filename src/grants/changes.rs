//! What changes in a living grant beside its refresh tokens, and who may be at it.

use super::{Grant, Grants, aad};
use crate::store::{GrantId, Key, Sealed, Unavailable};
use std::sync::Arc;
use std::time::Duration;

/// Longer than a whole re-check at Okta may take, with all its calls and with the writing of what it led to.
const CHECK_LEASE: Duration = Duration::from_mins(1);
/// Others change a grant rarely: one who loses this often has met something else.
const TRIES: usize = 5;

/// A grant, and a refresh token of it that was presented.
pub struct Presented {
    /// The grant.
    pub grant: Arc<Grant>,
    /// Whether the token is one of those that may lead to another: the newest, or the one before it.
    pub counts: bool,
}

impl Grants {
    /// The grant of a presented refresh token, straight from the store.
    pub async fn presented(&self, id: [u8; 16], generation: u32) -> Result<Option<Presented>, Unavailable> {
        let Some(record) = self.store.grant(GrantId(id)).await? else { return Ok(None) };
        let counts = record.generation == generation || record.previous == Some(generation);
        Ok(self.open(&record)?.map(|grant| Presented { grant, counts }))
    }

    /// Changes a grant as it is now, in one atomic step that loses no other change; returns it as it is then, or
    /// `None` when it has ended. This replica acts on it at once, the others within a few seconds.
    pub async fn update(
        &self,
        id: [u8; 16],
        change: impl Fn(&mut Grant),
    ) -> Result<Option<Arc<Grant>>, Unavailable> {
        for _ in 0..TRIES {
            let Some(record) = self.store.grant(GrantId(id)).await? else { return Ok(None) };
            let Some(grant) = self.open(&record)? else { return Ok(None) };
            let mut changed = Grant::clone(&grant);
            change(&mut changed);
            let sealed = self.records.seal(&aad(record.id), &changed);
            let new = Sealed { sealed, owners: self.owners(&changed) };
            if self.store.replace_sealed(record.id, &record.sealed, new).await? {
                let changed = Arc::new(changed);
                self.know(&record, &changed);
                return Ok(Some(changed));
            }
        }
        Err(Unavailable("a grant is changed by somebody else all the time".into()))
    }

    /// Takes the right to ask Okta about this grant, on whatever replica; `false` while another one has it.
    pub async fn begin_check(&self, id: [u8; 16], holder: [u8; 32]) -> Result<bool, Unavailable> {
        let ends = self.store.clock().now().after(CHECK_LEASE);
        self.store.lease(self.check(id), Key(holder), ends).await
    }

    /// Gives that right back.
    pub async fn end_check(&self, id: [u8; 16], holder: [u8; 32]) -> Result<(), Unavailable> {
        self.store.release(self.check(id), Key(holder)).await
    }

    fn check(&self, id: [u8; 16]) -> Key {
        self.key(b"okta-check", &GrantId(id).to_string())
    }
}
