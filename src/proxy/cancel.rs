//! Cancellation of a proxied request from another thread, for example when its grant is revoked.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Cancellation signal that a proxied request polls.
pub struct CancelSignal(oneshot::Receiver<()>);

/// Cancellation handle of a proxied request; works from any thread.
pub struct CancelHandle(oneshot::Sender<()>);

impl CancelSignal {
    /// Creates a signal and its handle.
    pub fn new() -> (Self, CancelHandle) {
        let (sender, receiver) = oneshot::channel();
        (Self(receiver), CancelHandle(sender))
    }

    /// Returns true once the request has been cancelled.
    pub(super) fn is_cancelled(&mut self) -> bool {
        self.0.try_recv().is_ok()
    }

    /// Becomes ready when the request is cancelled. Dropping the handle does not cancel.
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
    /// Cancels the request, unless it has already completed.
    pub fn cancel(self) {
        // An error means that the request has completed.
        let _ = self.0.send(());
    }

    /// Returns true once the request has completed.
    pub fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}
