//! Processing of open event streams: comments and rewritten `endpoint` events.

use super::deadline::Deadline;
use super::endpoint_event::{EndpointError, EndpointEvents};
use super::location::RedirectContext;
use bytes::Bytes;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Comment frame, which every event stream parser skips.
const COMMENT: &[u8] = b": keep-alive\n\n";

/// Processor of an open event stream. A comment at the beginning makes proxies between gateway and client pass on the
/// head; further ones keep them from closing a silent stream.
pub(super) struct Events {
    keep_alive: Duration,
    silence: Deadline,
    /// The comment at the beginning was sent.
    is_opened: bool,
    endpoints: EndpointEvents,
}

impl Events {
    /// Creates a processor that adds a comment at the beginning and after each `keep_alive` without data.
    pub(super) fn new(keep_alive: Duration, context: RedirectContext) -> Self {
        Self {
            keep_alive,
            silence: Deadline::after(keep_alive),
            is_opened: false,
            endpoints: EndpointEvents::new(context),
        }
    }

    /// Returns the comment at the beginning of the stream, once.
    pub(super) fn take_opening(&mut self) -> Option<Bytes> {
        (!std::mem::replace(&mut self.is_opened, true)).then_some(Bytes::from_static(COMMENT))
    }

    /// Processes a chunk from the server and returns what goes to the client, which may be nothing.
    pub(super) fn process(&mut self, data: Bytes) -> Result<Bytes, EndpointError> {
        let passed = self.endpoints.process(data)?;
        if !passed.is_empty() {
            self.silence.set(self.keep_alive);
        }
        Ok(passed)
    }

    /// Returns `true` if nothing is left to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.is_opened && self.endpoints.is_empty()
    }

    /// Returns `true` if everything that was received and sent is complete events.
    pub(super) fn is_between_events(&self) -> bool {
        self.endpoints.is_between_events() && self.is_empty()
    }

    /// Returns what is held back at the end of the stream.
    pub(super) fn rest(&mut self) -> Bytes {
        self.endpoints.rest()
    }

    /// Becomes ready with a comment after `keep_alive` without data, but only between two events.
    pub(super) fn poll_comment(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        loop {
            ready!(self.silence.poll(context));
            self.silence.set(self.keep_alive);
            if self.endpoints.is_between_events() {
                return Poll::Ready(Bytes::from_static(COMMENT));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::test_route::TEST_ROUTE;
    use gateway_routes::Route;
    use std::future::poll_fn;

    static ROUTE: Route = TEST_ROUTE;

    #[tokio::test]
    async fn comments_are_only_sent_between_two_events() {
        let context =
            RedirectContext { route: &ROUTE, path: String::new(), base_url: "http://localhost".into() };
        let mut events = Events::new(Duration::from_millis(20), context);
        assert!(!events.is_empty(), "the comment at the beginning is due");
        assert_eq!(events.take_opening().as_deref(), Some(COMMENT));
        assert_eq!((events.take_opening(), events.is_empty()), (None, true));
        // An incomplete event is held back.
        assert!(events.process(Bytes::from_static(b"data: a\n")).unwrap().is_empty());
        assert_eq!(poll_fn(|context| events.poll_comment(context)).await, COMMENT);
        assert_eq!(events.process(Bytes::from_static(b"\n")).unwrap(), "data: a\n\n");
        // A long one is passed on in parts.
        events.process(Bytes::from(format!("data: {}", "a".repeat(10_000)))).unwrap();
        let silence =
            tokio::time::timeout(Duration::from_millis(100), poll_fn(|context| events.poll_comment(context)));
        assert!(silence.await.is_err());
        events.process(Bytes::from_static(b"\n\n")).unwrap();
        assert_eq!(poll_fn(|context| events.poll_comment(context)).await, COMMENT);
    }
}
