//! The open streams of each grant, so that they end when it does.

use crate::proxy::{CancelHandle, CancelSignal};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The leases of requests under way, by grant.
#[derive(Default)]
pub struct Streams(Mutex<Open>);

type Open = HashMap<[u8; 16], Vec<CancelHandle>, RandomState>;

impl Streams {
    /// A lease for one more request of this grant.
    pub fn open(&self, grant: [u8; 16]) -> CancelSignal {
        let (lease, handle) = CancelSignal::new();
        let mut streams = self.lock();
        let handles = streams.entry(grant).or_default();
        // What has ended is forgotten whenever the list would grow, so that it stays as long as what is open.
        if handles.len() == handles.capacity() {
            handles.retain(|handle| !handle.is_over());
        }
        handles.push(handle);
        lease
    }

    /// Cuts all that this grant has open.
    pub fn cut(&self, grant: [u8; 16]) {
        for handle in self.lock().remove(&grant).unwrap_or_default() {
            handle.cancel();
        }
    }

    /// The grants that have something open; forgets all that has ended.
    pub fn grants(&self) -> Vec<[u8; 16]> {
        let mut streams = self.lock();
        streams.retain(|_, handles| {
            handles.retain(|handle| !handle.is_over());
            !handles.is_empty()
        });
        streams.keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
