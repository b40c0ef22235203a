//! Cancellation of a proxied request from another thread, for example when its grant is revoked.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use thiserror::Error;
use tokio::sync::oneshot;

/// Reason of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CancelReason {
    /// The grant was revoked, or it expired and cannot be refreshed.
    #[error("the grant was revoked or has expired")]
    GrantEnded,
    /// The route or the user's groups have changed, and the route no longer admits the user.
    #[error("the route no longer admits the user")]
    NotAuthorized,
    /// The store was unavailable for longer than the status of a grant may be used.
    #[error("the grant could not be checked for too long")]
    Unchecked,
}

impl CancelReason {
    /// Returns `true` if the grant or the policy is the cause, and not the store.
    pub const fn is_refusal(self) -> bool {
        match self {
            Self::GrantEnded | Self::NotAuthorized => true,
            Self::Unchecked => false,
        }
    }
}

/// Cancellation signal that a proxied request polls.
pub struct CancelSignal(oneshot::Receiver<CancelReason>);

/// Cancellation handle of a proxied request; works from any thread.
pub struct CancelHandle(oneshot::Sender<CancelReason>);

impl CancelSignal {
    /// Creates a signal and its handle.
    pub fn new() -> (Self, CancelHandle) {
        let (sender, receiver) = oneshot::channel();
        (Self(receiver), CancelHandle(sender))
    }

    /// Returns the reason once the request has been cancelled.
    pub(super) fn reason(&mut self) -> Option<CancelReason> {
        self.0.try_recv().ok()
    }

    /// Becomes ready when the request is cancelled. Dropping the handle does not cancel.
    pub(super) fn poll_cancelled(&mut self, context: &mut Context<'_>) -> Poll<CancelReason> {
        if self.0.is_terminated() {
            return Poll::Pending;
        }
        match Pin::new(&mut self.0).poll(context) {
            Poll::Ready(Ok(reason)) => Poll::Ready(reason),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl CancelHandle {
    /// Cancels the request, unless it has already completed.
    pub fn cancel(self, reason: CancelReason) {
        // An error means that the request has completed.
        let _ = self.0.send(reason);
    }

    /// Returns `true` once the request has completed.
    pub fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}
