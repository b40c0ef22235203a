//! Bounded log that a test can wait for without sleeping.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Notify;

const MAX_ENTRIES: usize = 1000;
const MAX_WAIT: Duration = Duration::from_secs(20);

/// The last thousand entries.
#[derive(Debug)]
pub(crate) struct Log<T> {
    entries: Mutex<VecDeque<T>>,
    changed: Notify,
}

impl<T: Clone> Log<T> {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::new(VecDeque::new()), changed: Notify::new() }
    }

    pub(crate) fn push(&self, entry: T) {
        let mut entries = self.entries.lock();
        if entries.len() == MAX_ENTRIES {
            entries.pop_front();
        }
        entries.push_back(entry);
        drop(entries);
        self.changed.notify_waiters();
    }

    /// Copy of the entries, oldest first.
    pub(crate) fn all(&self) -> Vec<T> {
        self.entries.lock().iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.entries.lock().clear();
    }

    /// Waits for an entry, past or future, that `wanted` accepts; `None` after 20 seconds.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        wait_until(&self.changed, || self.entries.lock().iter().find(|entry| wanted(entry)).cloned()).await
    }
}

/// Waits until `check` returns a value; `None` after 20 seconds.
pub(crate) async fn wait_until<R>(changed: &Notify, check: impl Fn() -> Option<R>) -> Option<R> {
    let search = async {
        loop {
            let mut next = std::pin::pin!(changed.notified());
            // Registered before the check: a notification in between is not lost.
            next.as_mut().enable();
            if let Some(found) = check() {
                return found;
            }
            next.await;
        }
    };
    tokio::time::timeout(MAX_WAIT, search).await.ok()
}
