//! How many fetches one subscriber may have under way, so that no few of them hold up all.

use super::FetchError;
use crate::base::subnets::{Subnet, Subnets};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many one subscriber may have.
const MAX_CONCURRENT_PER_ADDRESS: usize = 4;
/// How many a whole IPv6 site may have, whatever subnets they come from: a quarter of those that run at once.
const MAX_CONCURRENT_PER_SITE: usize = 16;
/// How many there may be in all, with those that wait for their turn.
const MAX_WAITING: usize = 1024;

tokio::task_local! {
    static HELD: Arc<Share>;
}

/// The fetches under way, by subnet.
#[derive(Default)]
pub(super) struct Shares(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    in_all: usize,
    of_subnets: HashMap<[u8; 9], usize>,
}

/// One fetch of a subscriber. It counts until it is dropped, by whoever works for the fetch: also by a look-up of a
/// name that nobody waits for any more.
pub(super) struct Share {
    counts: Arc<Mutex<Counts>>,
    subnets: Subnets,
}

impl Shares {
    /// One more.
    ///
    /// # Errors
    /// There are as many as there may be: of this subscriber or its site, or in all.
    pub(super) fn take(&self, subnets: Subnets) -> Result<Share, FetchError> {
        let mut counts = lock(&self.0);
        let is_full = |subnet: &Subnet| {
            let most = MAX_CONCURRENT_PER_ADDRESS
                .saturating_mul(subnet.multiple as usize)
                .min(MAX_CONCURRENT_PER_SITE);
            counts.of_subnets.get(&subnet.id).is_some_and(|count| *count >= most)
        };
        if subnets.as_slice().iter().any(is_full) {
            return Err(FetchError::TooMany);
        }
        if counts.in_all >= MAX_WAITING {
            return Err(FetchError::Unreachable("too many fetches are under way".into()));
        }
        counts.in_all += 1;
        for subnet in subnets.as_slice() {
            *counts.of_subnets.entry(subnet.id).or_default() += 1;
        }
        Ok(Share { counts: Arc::clone(&self.0), subnets })
    }
}

impl Share {
    /// Does this work as a part of the fetch.
    pub(super) async fn hold<W: Future>(self: &Arc<Self>, work: W) -> W::Output {
        HELD.scope(Arc::clone(self), work).await
    }

    /// That of the fetch which the caller is a part of.
    pub(super) fn held() -> Option<Arc<Self>> {
        HELD.try_with(Arc::clone).ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        counts.in_all = counts.in_all.saturating_sub(1);
        for subnet in self.subnets.as_slice() {
            match counts.of_subnets.get_mut(&subnet.id) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(counts.of_subnets.remove(&subnet.id)),
            }
        }
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
