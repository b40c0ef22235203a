//! The body of every answer: whole, or streamed from a server with room for what a gateway adds and cuts.

use super::endpoint_event::Passed;
use super::events::Events;
use super::lease::Lease;
use super::pool::Lent;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

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
    /// For open event streams alone.
    events: Option<Box<Events>>,
}

impl Body {
    /// A whole body.
    pub fn full(bytes: Bytes) -> Self {
        Self(Kind::Full(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// A server's body; `events` is for open event streams alone.
    pub(super) fn streamed(
        incoming: Incoming,
        lease: Lease,
        lent: Lent,
        events: Option<Box<Events>>,
    ) -> Self {
        let mut streamed = Streamed { incoming, lease, lent: Some(lent), events };
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
        self.incoming.is_end_stream() && self.events.as_ref().is_none_or(|events| events.is_empty())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Polled {
        loop {
            let polled = self.poll_frame(context);
            if self.lease.is_cancelled()
                || polled.is_pending() && self.lease.poll_cancelled(context).is_ready()
            {
                return self.cut(Cut::Cancelled);
            }
            match polled {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are hop-by-hop here: we do not send `TE`.
                    let Ok(data) = frame.into_data() else { continue };
                    let passed = match &mut self.events {
                        None => Passed::Done(data),
                        Some(events) => events.pass(data),
                    };
                    match passed {
                        Passed::Held => {}
                        Passed::Done(data) => {
                            self.give_back_at_end();
                            return Poll::Ready(Some(Ok(Frame::data(data))));
                        }
                        Passed::Refused => return self.cut(Cut::Misdirected),
                    }
                }
                Poll::Ready(Some(Err(error))) => return self.cut(Cut::Upstream(error)),
                Poll::Ready(None) => {
                    self.give_back();
                    let rest = self.events.as_mut().map(|events| events.rest()).unwrap_or_default();
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
                }
                Poll::Pending => {
                    let Some(events) = &mut self.events else { return Poll::Pending };
                    return events.poll_comment(context).map(|comment| Some(Ok(Frame::data(comment))));
                }
            }
        }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let mut incoming = Pin::new(&mut self.incoming);
        match &mut self.lent {
            Some(lent) => lent.line.poll(context, |context| incoming.as_mut().poll_frame(context)),
            None => incoming.poll_frame(context),
        }
    }

    /// Ends the call, and its connection with it.
    fn cut(&mut self, why: Cut) -> Polled {
        self.lent = None;
        tracing::debug!(%why, "an answer was cut");
        Poll::Ready(Some(Err(why)))
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
            Kind::Streamed(streamed) if streamed.events.is_none() => streamed.incoming.size_hint(),
            Kind::Streamed(_) => SizeHint::default(),
        }
    }
}
