//! Reasons for which calls are dropped before their response has been sent.
//!
//! A call is dropped together with the future or the body that holds it, which knows no reason. The code that drops it
//! sets the reason beforehand, for its thread: requests never leave their thread.

use std::cell::Cell;
use thiserror::Error;

/// Reason for which a call is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Interruption {
    /// The client closed the connection or reset the stream; the default.
    #[error("the client disconnected")]
    Disconnected,
    /// The client read nothing for longer than the write timeout.
    #[error("the client did not read the response")]
    Stalled,
    /// The shutdown timeout expired.
    #[error("the gateway shut down")]
    ShutDown,
}

thread_local! {
    static CURRENT: Cell<Interruption> = const { Cell::new(Interruption::Disconnected) };
}

/// Scope in which drops have another reason.
#[must_use]
pub struct Scope {
    outer: Interruption,
}

impl Interruption {
    /// Returns the reason of drops on this thread.
    pub fn current() -> Self {
        CURRENT.get()
    }

    /// Makes this the reason of drops on this thread until the scope is dropped.
    pub fn scope(self) -> Scope {
        Scope { outer: CURRENT.replace(self) }
    }

    /// Makes this the reason of all further drops on this thread.
    pub fn set(self) {
        CURRENT.set(self);
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}
