//! Timeout of an HTTP/2 stream whose client does not read the response.
//!
//! HTTP/2 has a flow-control window for each stream (RFC 9113 §5.2). A client that leaves it at zero and answers pings
//! would hold the response and its upstream connection forever: the connection itself is not stalled.

use crate::app::interruption::Interruption;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;

/// Progress of one response, as far as its task has been polled.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// A chunk was handed to the connection, and the next one has not been asked for.
    waits_for_client: bool,
    /// Chunks that were handed to the connection.
    chunks: u32,
}

thread_local! {
    /// The progress of the response whose task is polled on this thread.
    static CURRENT: Cell<Progress> = const { Cell::new(Progress { waits_for_client: false, chunks: 0 }) };
}

/// Notes that a chunk of the current response was handed to the connection.
pub(super) fn chunk_sent() {
    let progress = CURRENT.get();
    CURRENT.set(Progress { waits_for_client: true, chunks: progress.chunks.wrapping_add(1) });
}

/// Notes that the connection asked for the next chunk of the current response, which is not there yet.
pub(super) fn chunk_awaited() {
    CURRENT.set(Progress { waits_for_client: false, ..CURRENT.get() });
}

/// Runs the task of one stream; drops it, which resets the stream, when its client reads no chunk for `limit`. No timer
/// runs while the client reads.
pub(super) async fn with_timeout(task: impl Future<Output = ()>, limit: Duration) {
    // Declared before the task, so that it is dropped after it.
    let mut stalled = None;
    let mut task = pin!(task);
    let mut progress = Progress::default();
    let mut timer = None;
    poll_fn(|context| {
        let before = CURRENT.replace(progress);
        let polled = task.as_mut().poll(context);
        let after = CURRENT.replace(before);
        let has_moved = after.chunks != progress.chunks;
        progress = after;
        if polled.is_ready() {
            return polled;
        }
        if has_moved || !progress.waits_for_client {
            timer = None;
        }
        if !progress.waits_for_client {
            return Poll::Pending;
        }
        let timed_out = timer.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(context);
        if timed_out.is_ready() {
            tracing::debug!("HTTP/2 stream reset: the client does not read the response");
            stalled = Some(Interruption::Stalled.scope());
        }
        timed_out
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const SHORT: Duration = Duration::from_millis(30);
    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_response_that_is_not_read_times_out() {
        let stalled = async {
            chunk_sent();
            pending::<()>().await;
        };
        tokio::time::timeout(LONG, with_timeout(stalled, SHORT)).await.unwrap();
    }

    /// Notes to what its drop is attributed.
    struct Dropped<'a>(&'a Cell<Option<Interruption>>);

    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.set(Some(Interruption::current()));
        }
    }

    #[tokio::test]
    async fn a_response_that_times_out_is_attributed_to_its_client() {
        let reason = Cell::new(None);
        let dropped = Dropped(&reason);
        let stalled = async {
            let _dropped = dropped;
            chunk_sent();
            pending::<()>().await;
        };
        tokio::time::timeout(LONG, with_timeout(stalled, SHORT)).await.unwrap();
        assert_eq!(reason.get(), Some(Interruption::Stalled));
        assert_eq!(Interruption::current(), Interruption::Disconnected);
    }

    #[tokio::test]
    async fn a_silent_response_and_one_that_is_read_slowly_do_not_time_out() {
        let idle = async {
            chunk_sent();
            chunk_awaited();
            pending::<()>().await;
        };
        let slow = async {
            for _ in 0..10 {
                chunk_sent();
                sleep(SHORT / 3).await;
            }
        };
        let idle = tokio::time::timeout(SHORT * 5, with_timeout(idle, SHORT));
        assert!(idle.await.is_err());
        tokio::time::timeout(LONG, with_timeout(slow, SHORT)).await.unwrap();
    }

    #[tokio::test]
    async fn tasks_of_one_thread_do_not_share_their_progress() {
        let stalled = with_timeout(
            async {
                chunk_sent();
                pending::<()>().await;
            },
            SHORT,
        );
        let busy = with_timeout(
            async {
                for _ in 0..20 {
                    chunk_awaited();
                    sleep(SHORT / 10).await;
                }
            },
            LONG,
        );
        tokio::time::timeout(LONG, async { tokio::join!(stalled, busy) }).await.unwrap();
    }
}
