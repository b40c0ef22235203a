//! The body of every answer: whole, or streamed from a server with room for what a gateway adds and cuts.

use super::UpstreamError;
use super::cancel::CancelSignal;
use super::endpoint_event::Processed;
use super::events::Events;
use super::pool::PooledConnection;
use super::request_body::RequestBody;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of an answer.
pub struct Body(Kind);

enum Kind {
    Full(Option<Bytes>),
    /// In a box: bodies are moved on several times, and most are whole.
    Streamed(Box<Streamed>),
}

/// Why a body ended before its end; the connection to the client is cut, so that half an answer never looks whole.
#[derive(Debug)]
pub enum BodyError {
    /// The server broke off.
    Upstream(UpstreamError),
    /// The rest of the request did not come, or was too long.
    Request,
    /// The lease was cancelled.
    Cancelled,
    /// The server sends the client's messages, and its token with them, to somebody else.
    Misdirected,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(error) => write!(f, "the MCP server broke off: {error}"),
            Self::Request => f.write_str("the server answered early, and the request was not whole"),
            Self::Cancelled => f.write_str("the grant behind the stream has ended"),
            Self::Misdirected => f.write_str("the endpoint event leads out of the target"),
        }
    }
}

impl std::error::Error for BodyError {}

/// What a server sends, as it comes.
pub(super) struct Streamed {
    /// What came along with the head.
    first: Bytes,
    /// Goes back to the pool when the body has ended as it should; dropped before that, it ends the call.
    pooled: Option<PooledConnection>,
    /// The rest of the request, when the server has answered before it had all of it.
    request_body: Option<Box<RequestBody>>,
    cancel: CancelSignal,
    /// For open event streams alone.
    events: Option<Box<Events>>,
}

impl Body {
    /// A whole body.
    pub fn full(bytes: Bytes) -> Self {
        Self(Kind::Full(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// A server's body that begins with these bytes; `events` is for open event streams alone.
    pub(super) fn streamed(
        first: Bytes,
        (pooled, request_body): (PooledConnection, Option<Box<RequestBody>>),
        cancel: CancelSignal,
        events: Option<Box<Events>>,
    ) -> Self {
        if events.is_none() && request_body.is_none() && pooled.connection.framing().is_at_end() {
            pooled.release();
            return Self::full(first);
        }
        Self(Kind::Streamed(Box::new(Streamed { first, pooled: Some(pooled), request_body, cancel, events })))
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Streamed {
    fn give_back_at_end(&mut self) {
        if self.request_body.is_none()
            && let Some(pooled) = self.pooled.take_if(|pooled| pooled.connection.framing().is_at_end())
        {
            pooled.release();
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_at_end = self.pooled.as_ref().is_none_or(|pooled| pooled.connection.framing().is_at_end());
        self.first.is_empty() && is_at_end && self.events.as_ref().is_none_or(|events| events.is_empty())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Polled {
        loop {
            let polled = self.poll_data(context);
            if self.cancel.is_cancelled()
                || polled.is_pending() && self.cancel.poll_cancelled(context).is_ready()
            {
                return self.cut(BodyError::Cancelled);
            }
            match polled {
                Poll::Ready(Some(Ok(data))) => {
                    let passed = match &mut self.events {
                        None => Processed::Done(data),
                        Some(events) => events.pass(data),
                    };
                    match passed {
                        Processed::Held => {}
                        Processed::Done(data) => {
                            self.give_back_at_end();
                            return Poll::Ready(Some(Ok(Frame::data(data))));
                        }
                        Processed::Refused => return self.cut(BodyError::Misdirected),
                    }
                }
                Poll::Ready(Some(Err(why))) => return self.cut(why),
                Poll::Ready(None) => {
                    self.give_back_at_end();
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

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.first))));
        }
        let Some(pooled) = &mut self.pooled else { return Poll::Ready(None) };
        let (connection, mut buffers) = pooled.parts();
        if connection.poll_send(&mut self.request_body, context, &mut buffers).is_err() {
            return Poll::Ready(Some(Err(BodyError::Request)));
        }
        connection.poll_data(context, &mut buffers).map_err(BodyError::Upstream)
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.pooled.as_ref().map_or(Some(0), |pooled| pooled.connection.framing().left());
        match left {
            Some(left) if self.events.is_none() => SizeHint::with_exact(self.first.len() as u64 + left),
            _ => SizeHint::default(),
        }
    }

    /// Ends the call, and its connection with it.
    fn cut(&mut self, why: BodyError) -> Polled {
        self.pooled = None;
        tracing::debug!(%why, "an answer was cut");
        Poll::Ready(Some(Err(why)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

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
            Kind::Streamed(streamed) => streamed.size_hint(),
        }
    }
}
