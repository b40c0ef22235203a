//! Counters that a test can wait for.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::log::wait_until;

/// Counter that only increases.
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

    /// Waits until the counter is at least `least`; false after 20 seconds.
    pub(super) async fn reaches(&self, least: u64) -> bool {
        wait_until(&self.changed, || (self.get() >= least).then_some(())).await.is_some()
    }
}
