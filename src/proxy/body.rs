//! The body of every answer: whole, or streamed from a server with room for what a gateway adds and cuts.

use super::endpoint_event::{EndpointEvent, Passed};
use super::lease::Lease;
use super::pool::Lent;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// A comment that every event stream parser skips.
const COMMENT: &[u8] = b": keep-alive\n\n";

/// The body of an answer.
pub struct Body(Kind);

enum Kind {
    Full(Option<Bytes>),
    Streamed(Streamed),
}

/// Why a body ended before its end; the connection to the client is cut, so that half an answer never looks whole.
#[derive(Debug)]
pub enum Cut {
    /// The server broke off.
    Upstream(hyper::Error),
    /// The lease was cancelled.
    Cancelled,
    /// The server sends the client's messages, and its token with them, to somebody else.
    Misdirected,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(error) => write!(f, "the MCP server broke off: {error}"),
            Self::Cancelled => f.write_str("the grant behind the stream has ended"),
            Self::Misdirected => f.write_str("the endpoint event leads out of the target"),
        }
    }
}

impl std::error::Error for Cut {}

/// What a server sends, as it comes.
pub(super) struct Streamed {
    incoming: Incoming,
    lease: Lease,
    /// Goes back to the pool when the body has ended as it should; dropped before that, it ends the call.
    lent: Option<Lent>,
    keep_alive: Option<KeepAlive>,
    /// Until the first event is known.
    endpoint: Option<Box<EndpointEvent>>,
}

/// What an open event stream gets beside what its server sends.
pub(super) struct Events {
    /// After how much silence there is a comment.
    pub(super) keep_alive: Duration,
    /// What is done to the first event.
    pub(super) endpoint: Box<EndpointEvent>,
}

/// Keeps a silent event stream from looking dead to what is between us and the client.
struct KeepAlive {
    after: Duration,
    sleep: Pin<Box<Sleep>>,
    boundary: Boundary,
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

impl Body {
    /// A whole body.
    pub fn full(bytes: Bytes) -> Self {
        Self(Kind::Full(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// A server's body; `events` is for open event streams alone.
    pub(super) fn streamed(incoming: Incoming, lease: Lease, lent: Lent, events: Option<Events>) -> Self {
        let (keep_alive, endpoint) = events.map(|events| (events.keep_alive, events.endpoint)).unzip();
        let keep_alive = keep_alive.map(|after| KeepAlive {
            after,
            sleep: Box::pin(sleep(after)),
            boundary: Boundary::START,
        });
        let mut streamed = Streamed { incoming, lease, lent: Some(lent), keep_alive, endpoint };
        streamed.give_back_at_end();
        Self(Kind::Streamed(streamed))
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, Cut>>>;

impl Streamed {
    fn give_back_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some(lent) = self.lent.take() {
            lent.give_back();
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream() && self.endpoint.as_ref().is_none_or(|endpoint| endpoint.is_empty())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Polled {
        if self.lease.poll_cancelled(context).is_ready() {
            return self.cut(Cut::Cancelled);
        }
        loop {
            match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are hop-by-hop here: we do not send `TE`.
                    let Ok(data) = frame.into_data() else { continue };
                    match self.first_event(data) {
                        Passed::Held => {}
                        Passed::Done(data) => return self.send(data),
                        Passed::Refused => return self.cut(Cut::Misdirected),
                    }
                }
                Poll::Ready(Some(Err(error))) => return self.cut(Cut::Upstream(error)),
                Poll::Ready(None) => {
                    self.give_back();
                    let rest = self.endpoint.take().map(|endpoint| endpoint.rest()).unwrap_or_default();
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
                }
                Poll::Pending => return self.poll_keep_alive(context),
            }
        }
    }

    fn first_event(&mut self, data: Bytes) -> Passed {
        let Some(endpoint) = &mut self.endpoint else { return Passed::Done(data) };
        let passed = endpoint.pass(&data);
        if !matches!(passed, Passed::Held) {
            self.endpoint = None;
        }
        passed
    }

    fn send(&mut self, data: Bytes) -> Polled {
        if let Some(keep_alive) = &mut self.keep_alive {
            keep_alive.boundary.pass(&data);
            keep_alive.restart();
        }
        self.give_back_at_end();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    /// Ends the call, and its connection with it.
    fn cut(&mut self, why: Cut) -> Polled {
        self.lent = None;
        tracing::debug!(%why, "an answer was cut");
        Poll::Ready(Some(Err(why)))
    }

    fn poll_keep_alive(&mut self, context: &mut Context<'_>) -> Polled {
        let Some(keep_alive) = &mut self.keep_alive else { return Poll::Pending };
        loop {
            ready!(keep_alive.sleep.as_mut().poll(context));
            keep_alive.restart();
            if keep_alive.boundary.between_events {
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(COMMENT)))));
            }
        }
    }
}

impl KeepAlive {
    fn restart(&mut self) {
        self.sleep.as_mut().reset(Instant::now() + self.after);
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        match &mut self.get_mut().0 {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Streamed(streamed) => streamed.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Streamed(streamed) => streamed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Streamed(streamed) if streamed.keep_alive.is_none() => streamed.incoming.size_hint(),
            Kind::Streamed(_) => SizeHint::default(),
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
