//! Response bodies: complete ones, and ones streamed from an MCP server.

use super::cancel::{CancelReason, CancelSignal};
use super::endpoint_event::EndpointError;
use super::events::Events;
use super::pool::PooledConnection;
use super::request_body::{RequestBody, RequestBodyError};
use super::upstream_error::UpstreamError;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use thiserror::Error;

/// Body of a response.
pub struct Body(Kind);

enum Kind {
    Full(Option<Bytes>),
    /// Boxed: bodies are moved several times, and most are `Full`.
    Streamed(Box<Streamed>),
}

/// Error that ends a response body early. The client connection is closed, so that the client sees a truncated
/// response as such.
#[derive(Debug, Error)]
pub enum BodyError {
    /// The upstream connection broke.
    #[error("upstream connection broke")]
    Upstream(#[source] UpstreamError),
    /// The rest of the client's request body failed after an early response.
    #[error("request body failed after an early response")]
    Request(#[source] RequestBodyError),
    /// The request was cancelled.
    #[error(transparent)]
    Cancelled(CancelReason),
    /// An `endpoint` event cannot be rewritten.
    #[error(transparent)]
    Endpoint(EndpointError),
    /// The server paused for longer than the idle timeout of the route.
    #[error(
        "the server paused within the response body for longer than `response_idle_timeout` of the route"
    )]
    IdleTimeout,
}

impl BodyError {
    /// Returns `true` if the client or the policy ended the response, and not the MCP server or the store.
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Request(_) => true,
            Self::Cancelled(reason) => reason.is_refusal(),
            Self::Upstream(_) | Self::Endpoint(_) | Self::IdleTimeout => false,
        }
    }
}

/// Response body that is streamed from an MCP server.
pub(super) struct Streamed {
    /// Bytes that arrived together with the head.
    pub(super) first: Bytes,
    /// Upstream connection: released to the pool at the end of the body; dropping it earlier cancels the request.
    pub(super) pooled: Option<PooledConnection>,
    /// Unsent rest of the request body, after an early response.
    pub(super) request_body: Option<Box<RequestBody>>,
    pub(super) cancel: CancelSignal,
    /// Present for open event streams only.
    pub(super) events: Option<Box<Events>>,
    /// Timeout of a pause of the server; `None` for event streams. There is no minimum rate: some servers send white
    /// space until their result is ready, and a slow body costs no more than an event stream.
    pub(super) idle_timeout: Option<Duration>,
}

impl Body {
    /// Creates a body from complete content.
    pub fn full(bytes: Bytes) -> Self {
        Self(Kind::Full(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// Returns `true` for a body of known end that has arrived completely.
    pub fn is_complete(&self) -> bool {
        matches!(self.0, Kind::Full(_))
    }

    /// Returns `true` for an open event stream, which has no end of its own.
    pub fn is_event_stream(&self) -> bool {
        matches!(&self.0, Kind::Streamed(streamed) if streamed.events.is_some())
    }

    /// Cancels the request of an event stream. Returns false in the middle of an event, and for other bodies.
    pub fn end_between_events(&mut self) -> bool {
        let Kind::Streamed(streamed) = &mut self.0 else { return false };
        let ends = streamed.events.as_ref().is_some_and(|events| events.is_between_events());
        if ends {
            streamed.pooled = None;
        }
        ends
    }

    /// Streams from an MCP server; a body that has arrived completely releases its connection at once.
    pub(super) fn streamed(mut streamed: Streamed) -> Self {
        if streamed.events.is_none() && streamed.request_body.is_none() {
            streamed.release_at_end();
            if streamed.pooled.is_none() {
                return Self::full(std::mem::take(&mut streamed.first));
            }
        }
        Self(Kind::Streamed(Box::new(streamed)))
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Streamed {
    /// Releases the connection to the pool once both bodies are complete.
    fn release_at_end(&mut self) {
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
        if let Some(comment) = self.events.as_mut().and_then(|events| events.take_opening()) {
            return Poll::Ready(Some(Ok(Frame::data(comment))));
        }
        loop {
            let polled = self.poll_data(context);
            if let Some(reason) = self.cancelled(&polled, context) {
                return self.abort(BodyError::Cancelled(reason));
            }
            match polled {
                Poll::Ready(Some(Ok(data))) => {
                    let passed = match &mut self.events {
                        None => Ok(data),
                        Some(events) => events.process(data),
                    };
                    match passed {
                        Ok(data) if data.is_empty() => {}
                        Ok(data) => {
                            self.release_at_end();
                            return Poll::Ready(Some(Ok(Frame::data(data))));
                        }
                        Err(error) => return self.abort(BodyError::Endpoint(error)),
                    }
                }
                Poll::Ready(Some(Err(error))) => return self.abort(error),
                Poll::Ready(None) => {
                    self.release_at_end();
                    let rest = self.events.as_mut().map(|events| events.rest()).unwrap_or_default();
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
                }
                Poll::Pending => {
                    if let Some(events) = &mut self.events {
                        return events.poll_comment(context).map(|comment| Some(Ok(Frame::data(comment))));
                    }
                    ready!(self.poll_idle_timeout(context));
                    return self.abort(BodyError::IdleTimeout);
                }
            }
        }
    }

    /// Becomes ready when the server has paused for too long. While the client's body is awaited, its own timeout
    /// applies.
    fn poll_idle_timeout(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let waits_for_client = self.request_body.as_ref().is_some_and(|body| body.waits_for_client());
        match (self.idle_timeout, &mut self.pooled) {
            (Some(timeout), Some(pooled)) if !waits_for_client => {
                pooled.connection.poll_idle_timeout(timeout, context)
            }
            _ => Poll::Pending,
        }
    }

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.first))));
        }
        let Some(pooled) = &mut self.pooled else { return Poll::Ready(None) };
        let (connection, mut buffers) = pooled.parts();
        if let Err(error) = connection.poll_send(&mut self.request_body, context, &mut buffers) {
            return Poll::Ready(Some(Err(BodyError::Request(error))));
        }
        connection.poll_data(context, &mut buffers).map_err(BodyError::Upstream)
    }

    fn size_hint(&self) -> SizeHint {
        let remaining =
            self.pooled.as_ref().map_or(Some(0), |pooled| pooled.connection.framing().remaining());
        match remaining {
            Some(remaining) if self.events.is_none() => {
                SizeHint::with_exact(self.first.len() as u64 + remaining)
            }
            _ => SizeHint::default(),
        }
    }

    /// Returns the reason of a cancellation; while no data is there, also registers the task to be woken by one.
    fn cancelled<T>(&mut self, polled: &Poll<T>, context: &mut Context<'_>) -> Option<CancelReason> {
        if let Some(reason) = self.cancel.reason() {
            return Some(reason);
        }
        match polled.is_pending().then(|| self.cancel.poll_cancelled(context)) {
            Some(Poll::Ready(reason)) => Some(reason),
            Some(Poll::Pending) | None => None,
        }
    }

    /// Closes the upstream connection and ends the body with this error.
    fn abort(&mut self, error: BodyError) -> Polled {
        self.pooled = None;
        Poll::Ready(Some(Err(error)))
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
