//! Request body of a client, read chunk by chunk for the upstream connection.

use super::client_body::ClientBody;
use bytes::Bytes;
use http_body::Body as _;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Sleep, sleep};

/// Read timeout between two frames of the client's body.
const CLIENT_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Framing of a request body (RFC 9112 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFraming {
    /// The request has no body.
    Nothing,
    Length(u64),
    Chunked,
}

/// Error of a client's request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestBodyError {
    /// The body is larger than the route's `max_body`.
    #[error("the request body is larger than the route allows")]
    TooLarge,
    /// The body cannot be read, or the client has disconnected.
    #[error("the request body is incomplete or malformed")]
    Malformed,
    /// The client paused for longer than the read timeout.
    #[error("the client paused for too long within the request body")]
    Timeout,
}

/// Part of a request body, as its framing needs it.
#[derive(Debug, Clone)]
pub(super) struct BodyChunk {
    /// Content; empty only in the last chunk.
    pub(super) data: Bytes,
    pub(super) is_chunked: bool,
    pub(super) is_last: bool,
}

/// Request body with the route's size limit and a read timeout.
pub(super) struct RequestBody {
    body: ClientBody,
    framing: RequestFraming,
    /// Bytes that may still arrive.
    remaining: u64,
    /// Read timeout; set while the client is awaited.
    read_timeout: Option<Pin<Box<Sleep>>>,
}

impl RequestFraming {
    pub(super) fn of(body: &ClientBody) -> Self {
        match body.size_hint().exact() {
            // In HTTP/2 a Content-Length of 0 may come before the end of the stream.
            Some(0) => Self::Nothing,
            _ if body.is_end_stream() => Self::Nothing,
            Some(length) => Self::Length(length),
            None => Self::Chunked,
        }
    }
}

impl RequestBody {
    /// Wraps a body of at most `max_bytes`; returns `None` for a request without a body.
    pub(super) fn new(body: ClientBody, max_bytes: u64) -> Option<Box<Self>> {
        let framing = RequestFraming::of(&body);
        let remaining = match framing {
            RequestFraming::Nothing => return None,
            RequestFraming::Length(length) => length,
            RequestFraming::Chunked => max_bytes,
        };
        Some(Box::new(Self { body, framing, remaining, read_timeout: None }))
    }

    /// Returns the first chunk if it arrives within one poll of the event loop: it is then sent with the head.
    pub(super) async fn first(&mut self) -> Result<Option<BodyChunk>, RequestBodyError> {
        let mut retries = 0;
        poll_fn(|context| match self.poll(context) {
            Poll::Ready(chunk) => Poll::Ready(chunk.map(Some)),
            Poll::Pending if retries > 0 => Poll::Ready(Ok(None)),
            Poll::Pending => {
                retries += 1;
                // hyper reads the body only when polled: bytes that came with the head are there at the second poll.
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await
    }

    /// Polls for the next chunk; not to be called after the last one.
    pub(super) fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<BodyChunk, RequestBodyError>> {
        let polled = self.poll(context);
        if polled.is_ready() {
            self.read_timeout = None;
            return polled;
        }
        ready!(
            self.read_timeout
                .get_or_insert_with(|| Box::pin(sleep(CLIENT_READ_TIMEOUT)))
                .as_mut()
                .poll(context)
        );
        Poll::Ready(Err(RequestBodyError::Timeout))
    }

    /// Returns the number of bytes that may still arrive.
    pub(super) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Returns `true` while the client is awaited.
    pub(super) fn waits_for_client(&self) -> bool {
        self.read_timeout.is_some()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<BodyChunk, RequestBodyError>> {
        let is_chunked = self.framing == RequestFraming::Chunked;
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None if is_chunked => {
                    return Poll::Ready(Ok(BodyChunk { data: Bytes::new(), is_chunked, is_last: true }));
                }
                None => return Poll::Ready(Err(RequestBodyError::Malformed)),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    tracing::debug!(%error, "reading the request body failed");
                    return Poll::Ready(Err(RequestBodyError::Malformed));
                }
            };
            // Trailers are dropped: they could repeat headers that were removed.
            let Ok(data) = frame.into_data() else { continue };
            if data.is_empty() {
                continue;
            }
            let Some(remaining) = self.remaining.checked_sub(data.len() as u64) else {
                return Poll::Ready(Err(RequestBodyError::TooLarge));
            };
            self.remaining = remaining;
            let is_last = if is_chunked { self.body.is_end_stream() } else { remaining == 0 };
            return Poll::Ready(Ok(BodyChunk { data, is_chunked, is_last }));
        }
    }
}
