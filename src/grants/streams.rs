//! Open streams of each grant, which are closed when the grant ends.

use crate::proxy::{CancelHandle, CancelReason, CancelSignal};
use crate::store::GrantId;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use std::collections::HashMap;

/// Cancel handles of open requests, by grant.
#[derive(Default)]
pub struct Streams(Mutex<Handles>);

type Handles = HashMap<GrantId, Vec<CancelHandle>, RandomState>;

impl Streams {
    /// Registers a request of this grant; returns the signal that cancels it.
    pub fn open(&self, grant: GrantId) -> CancelSignal {
        let (signal, handle) = CancelSignal::new();
        let mut streams = self.0.lock();
        let handles = streams.entry(grant).or_default();
        // Handles of ended requests are removed before the list grows, so that its length follows the open ones.
        if handles.len() == handles.capacity() {
            handles.retain(|handle| !handle.is_over());
        }
        handles.push(handle);
        signal
    }

    /// Cancels all requests of this grant.
    pub fn close(&self, grant: GrantId, reason: CancelReason) {
        for handle in self.0.lock().remove(&grant).unwrap_or_default() {
            handle.cancel(reason);
        }
    }

    /// Returns the grants with open requests; removes the handles of ended ones.
    pub fn grants(&self) -> Vec<GrantId> {
        let mut streams = self.0.lock();
        streams.retain(|_, handles| {
            handles.retain(|handle| !handle.is_over());
            !handles.is_empty()
        });
        streams.keys().copied().collect()
    }
}
