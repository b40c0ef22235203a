//! Work on the control runtime that must complete before the process exits, although nobody may wait for it any more.
//!
//! `TaskTracker` of tokio-util does the same, with the feature `rt` that nothing else needs.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Counter of futures that have not completed.
#[derive(Default)]
pub struct ControlWork(Arc<Running>);

#[derive(Default)]
struct Running {
    count: AtomicUsize,
    none_left: Notify,
}

/// One future that has not completed.
struct Tracked(Arc<Running>);

impl ControlWork {
    /// Counts a future, from now until it has completed or is dropped.
    pub fn track<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        let tracked = Tracked(Arc::clone(&self.0));
        async move {
            let result = work.await;
            drop(tracked);
            result
        }
    }

    /// Waits until all futures have completed.
    pub async fn done(&self) {
        loop {
            // Notifications count from here on, before the first poll.
            let none_left = self.0.none_left.notified();
            if self.0.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            none_left.await;
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    #[tokio::test]
    async fn work_is_awaited_that_nobody_else_waits_for() {
        let work = ControlWork::default();
        work.done().await;
        let (first, second) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        tokio::spawn(work.track(first.1));
        tokio::spawn(work.track(second.1));
        drop(first.0);
        assert!(timeout(Duration::from_millis(50), work.done()).await.is_err());
        drop(second.0);
        timeout(Duration::from_secs(20), work.done()).await.unwrap();
        drop(work.track(std::future::pending::<()>()));
        work.done().await;
    }
}
