//! Changes of an active grant other than refreshes.

use super::{Grant, Grants, aad};
use crate::store::{GrantId, Sealed, Unavailable};
use std::sync::Arc;

/// Attempts of a change: concurrent changes of one grant are rare.
const MAX_UPDATE_ATTEMPTS: usize = 5;

/// Grant of a presented refresh token.
pub struct PresentedGrant {
    /// Content of the grant.
    pub grant: Arc<Grant>,
    /// `true` for the newest token and the one before it, which may be refreshed.
    pub is_refreshable: bool,
}

impl Grants {
    /// Reads the grant of a presented refresh token from the store.
    pub async fn presented(
        &self,
        id: GrantId,
        generation: u32,
    ) -> Result<Option<PresentedGrant>, Unavailable> {
        let Some(record) = self.store.grant(id).await? else { return Ok(None) };
        let is_refreshable = record.generation == generation || record.previous == Some(generation);
        Ok(self.open(&record)?.map(|grant| PresentedGrant { grant, is_refreshable }))
    }

    /// Applies a change to a grant atomically (compare-and-swap with retries); returns the changed grant, or `None` when
    /// it has ended. It takes effect on this replica at once, on the others within a few seconds.
    ///
    /// # Errors
    /// The store is unavailable, or other changes won every attempt.
    pub async fn update(
        &self,
        id: GrantId,
        change: impl Fn(&mut Grant),
    ) -> Result<Option<Arc<Grant>>, Unavailable> {
        for _ in 0..MAX_UPDATE_ATTEMPTS {
            let Some(record) = self.store.grant(id).await? else { return Ok(None) };
            let Some(grant) = self.open(&record)? else { return Ok(None) };
            let mut changed = Grant::clone(&grant);
            change(&mut changed);
            let sealed = self.records.seal(&aad(record.id), &changed);
            let new = Sealed { sealed, index_entries: self.index_entries(&changed) };
            if self.store.replace_sealed(record.id, &record.sealed, new).await? {
                let changed = Arc::new(changed);
                self.cache_written(&record, &changed);
                return Ok(Some(changed));
            }
        }
        Err(Unavailable::Contended)
    }
}
