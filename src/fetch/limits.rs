//! Limits of concurrent fetches for each subscriber, so that a few subscribers cannot use all of them.

use super::FetchError;
use crate::base::subnets::{Subnet, SubnetId, Subnets};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Most concurrent fetches of one address.
const MAX_CONCURRENT_PER_ADDRESS: usize = 4;
/// Most concurrent fetches of an IPv6 site with all its subnets: a quarter of all running fetches.
const MAX_CONCURRENT_PER_SITE: usize = 16;
/// Most fetches in total, running and queued.
const MAX_WAITING: usize = 1024;

tokio::task_local! {
    static CURRENT: Arc<FetchPermit>;
}

/// Counters of concurrent fetches, by subnet.
#[derive(Default)]
pub(super) struct FetchLimits(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    total: usize,
    by_subnet: HashMap<SubnetId, usize>,
}

/// Permit of one fetch of a subscriber. It is released when all its holders are dropped, including a name lookup whose
/// fetch was cancelled.
pub(super) struct FetchPermit {
    counts: Arc<Mutex<Counts>>,
    subnets: Subnets,
}

impl FetchLimits {
    /// Reserves a permit.
    ///
    /// # Errors
    /// The limit of the subscriber, of its site or of the gateway is reached.
    pub(super) fn acquire(&self, subnets: Subnets) -> Result<FetchPermit, FetchError> {
        let mut counts = self.0.lock();
        let is_full = |subnet: &Subnet| {
            let limit = MAX_CONCURRENT_PER_ADDRESS
                .saturating_mul(subnet.multiple as usize)
                .min(MAX_CONCURRENT_PER_SITE);
            counts.by_subnet.get(&subnet.id).is_some_and(|count| *count >= limit)
        };
        if subnets.as_slice().iter().any(is_full) {
            return Err(FetchError::LimitReached);
        }
        if counts.total >= MAX_WAITING {
            return Err(FetchError::Unreachable("too many concurrent fetches".into()));
        }
        counts.total += 1;
        for subnet in subnets.as_slice() {
            *counts.by_subnet.entry(subnet.id).or_default() += 1;
        }
        Ok(FetchPermit { counts: Arc::clone(&self.0), subnets })
    }
}

impl FetchPermit {
    /// Runs a future as part of the fetch, so that [`Self::current`] finds the permit.
    pub(super) async fn scope<W: Future>(self: &Arc<Self>, work: W) -> W::Output {
        CURRENT.scope(Arc::clone(self), work).await
    }

    /// Permit of the fetch that the current task is part of.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }
}

impl Drop for FetchPermit {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.total = counts.total.saturating_sub(1);
        for subnet in self.subnets.as_slice() {
            match counts.by_subnet.get_mut(&subnet.id) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(counts.by_subnet.remove(&subnet.id)),
            }
        }
    }
}
