//! Processing of open event streams: keep-alive comments and the rewritten `endpoint` event.

use super::deadline::Deadline;
use super::endpoint_event::{EndpointEvent, Processed};
use super::location::RedirectContext;
use bytes::Bytes;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Comment frame, which every event stream parser skips.
const COMMENT: &[u8] = b": keep-alive\n\n";

/// Processor of an open event stream. Comments keep proxies between gateway and client from closing a silent stream.
pub(super) struct Events {
    keep_alive: Duration,
    silence: Deadline,
    boundary: Boundary,
    /// Present until the first event has been processed.
    endpoint: Option<EndpointEvent>,
}

impl Events {
    /// Creates a processor that adds a comment after `keep_alive` without data.
    pub(super) fn new(keep_alive: Duration, context: RedirectContext) -> Self {
        Self {
            keep_alive,
            silence: Deadline::after(keep_alive),
            boundary: Boundary::START,
            endpoint: Some(EndpointEvent::new(context)),
        }
    }

    /// Processes a chunk from the server.
    pub(super) fn process(&mut self, data: Bytes) -> Processed {
        let processed = match &mut self.endpoint {
            None => Processed::Done(data),
            Some(endpoint) => endpoint.process(&data),
        };
        if !matches!(processed, Processed::Buffered) {
            self.endpoint = None;
        }
        if let Processed::Done(data) = &processed {
            self.boundary.pass(data);
            self.silence.set(self.keep_alive);
        }
        processed
    }

    /// Returns true if nothing is buffered.
    pub(super) fn is_empty(&self) -> bool {
        self.endpoint.as_ref().is_none_or(EndpointEvent::is_empty)
    }

    /// Returns the buffered bytes at the end of the stream.
    pub(super) fn rest(&mut self) -> Bytes {
        self.endpoint.take().map(EndpointEvent::rest).unwrap_or_default()
    }

    /// Becomes ready with a comment after `keep_alive` without data, but only between two events.
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

/// Tracker of event boundaries: comments may only be inserted between two events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    line_is_empty: bool,
    after_return: bool,
    between_events: bool,
}

impl Boundary {
    /// State before the first byte.
    pub const START: Self = Self { line_is_empty: true, after_return: false, between_events: true };

    /// Advances over `data`. Lines of an event stream end with CR LF, LF or CR; an empty line ends an event.
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
    fn comments_are_only_allowed_between_two_events() {
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
