//! What lets somebody else end a call: a lease goes with the call, its handle stays with the one who may end it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Goes with a call; the call ends when it is cancelled.
pub struct CancelSignal(oneshot::Receiver<()>);

/// Ends the call that its lease went with, from any thread.
pub struct CancelHandle(oneshot::Sender<()>);

impl CancelSignal {
    /// A lease and its handle.
    pub fn new() -> (Self, CancelHandle) {
        let (sender, receiver) = oneshot::channel();
        (Self(receiver), CancelHandle(sender))
    }

    /// Whether it is cancelled by now.
    pub(super) fn is_cancelled(&mut self) -> bool {
        self.0.try_recv().is_ok()
    }

    /// Ready once the lease is cancelled, and never after its handle is merely dropped.
    pub(super) fn poll_cancelled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.0.is_terminated() {
            return Poll::Pending;
        }
        match Pin::new(&mut self.0).poll(context) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl CancelHandle {
    /// Ends the call, if it has not ended.
    pub fn cancel(self) {
        // Fails only when the call is over.
        let _ = self.0.send(());
    }

    /// Whether the call has ended.
    pub fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}
