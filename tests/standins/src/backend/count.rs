//! Numbers that only grow, and that a test can wait on.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::log::wait_until;

/// A counter.
#[derive(Debug, Default)]
pub(super) struct Count {
    number: AtomicU64,
    changed: Notify,
}

impl Count {
    pub(super) fn add(&self, more: usize) {
        self.number.fetch_add(more as u64, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    pub(super) fn get(&self) -> u64 {
        self.number.load(Ordering::SeqCst)
    }

    /// True once it is at least `least`; false if it is not after 20 seconds.
    pub(super) async fn reaches(&self, least: u64) -> bool {
        wait_until(&self.changed, || (self.get() >= least).then_some(())).await.is_some()
    }
}
