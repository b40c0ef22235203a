//! How many fetches one subscriber may have under way, so that no few of them hold up all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many one subscriber may have.
const MOST_OF_ONE: usize = 4;

tokio::task_local! {
    static HELD: Arc<Share>;
}

/// The fetches under way, by subscriber.
#[derive(Default)]
pub(super) struct Shares(Arc<Mutex<Counts>>);

type Counts = HashMap<[u8; 8], usize>;

/// One fetch of a subscriber. It counts until it is dropped, by whoever works for the fetch: also by a look-up of a
/// name that nobody waits for any more.
pub(super) struct Share {
    counts: Arc<Mutex<Counts>>,
    subscriber: [u8; 8],
}

impl Shares {
    /// One more, unless there are as many as there may be.
    pub(super) fn take(&self, subscriber: [u8; 8]) -> Option<Share> {
        let mut counts = lock(&self.0);
        let count = counts.entry(subscriber).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Share { counts: Arc::clone(&self.0), subscriber })
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
        match counts.get_mut(&self.subscriber) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.subscriber)),
        }
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
