//! What an open event stream gets beside what its server sends.

use super::deadline::Deadline;
use super::endpoint_event::{EndpointEvent, Processed};
use super::location::RedirectContext;
use bytes::Bytes;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A comment that every event stream parser skips.
const COMMENT: &[u8] = b": keep-alive\n\n";

/// Comments that keep a silent stream from looking dead to what is between us and the client, and another first
/// event.
pub(super) struct Events {
    keep_alive: Duration,
    silence: Deadline,
    boundary: Boundary,
    /// Until the first event is known.
    endpoint: Option<EndpointEvent>,
}

impl Events {
    /// A comment after so much silence.
    pub(super) fn new(keep_alive: Duration, asked: RedirectContext) -> Self {
        Self {
            keep_alive,
            silence: Deadline::after(keep_alive),
            boundary: Boundary::START,
            endpoint: Some(EndpointEvent::new(asked)),
        }
    }

    /// What the client gets of what the server has sent.
    pub(super) fn pass(&mut self, data: Bytes) -> Processed {
        let passed = match &mut self.endpoint {
            None => Processed::Done(data),
            Some(endpoint) => endpoint.pass(&data),
        };
        if !matches!(passed, Processed::Held) {
            self.endpoint = None;
        }
        if let Processed::Done(data) = &passed {
            self.boundary.pass(data);
            self.silence.set(self.keep_alive);
        }
        passed
    }

    /// Whether nothing is held back.
    pub(super) fn is_empty(&self) -> bool {
        self.endpoint.as_ref().is_none_or(EndpointEvent::is_empty)
    }

    /// What is held back when the stream ends.
    pub(super) fn rest(&mut self) -> Bytes {
        self.endpoint.take().map(EndpointEvent::rest).unwrap_or_default()
    }

    /// Ready with a comment when the server has been silent for long enough.
    pub(super) fn poll_comment(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        loop {
            ready!(self.silence.poll(context));
            self.silence.set(self.keep_alive);
            if self.boundary.between_events {
                return Poll::Ready(Bytes::from_static(COMMENT));
            }
        }
    }
}

/// Whether the stream stands between two events: nowhere else may a comment go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    line_is_empty: bool,
    after_return: bool,
    between_events: bool,
}

impl Boundary {
    /// Before the first byte.
    pub const START: Self = Self { line_is_empty: true, after_return: false, between_events: true };

    /// Follows the line grammar of event streams: lines end with CR LF, LF or CR; an empty one ends an event.
    pub fn pass(&mut self, data: &[u8]) {
        for byte in data {
            match byte {
                b'\n' if self.after_return => self.after_return = false,
                b'\n' | b'\r' => {
                    self.between_events = self.line_is_empty;
                    self.line_is_empty = true;
                    self.after_return = *byte == b'\r';
                }
                _ => *self = Self { line_is_empty: false, after_return: false, between_events: false },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(data: &[&str]) -> bool {
        let mut boundary = Boundary::START;
        for data in data {
            boundary.pass(data.as_bytes());
        }
        boundary.between_events
    }

    #[test]
    fn a_comment_may_only_go_between_two_events() {
        for data in [
            &[][..],
            &["data: a\n\n"],
            &["data: a\n", "\n"],
            &["a\r\n\r\n"],
            &["a\r\r"],
            &["a\r\n\r", "\n"],
            &["\n"],
        ] {
            assert!(between(data), "{data:?}");
        }
        for data in [&["data: a"][..], &["data: a\n"], &["a\r\n"], &["a\n\ndata"], &["a\n\nb\n"]] {
            assert!(!between(data), "{data:?}");
        }
    }
}
