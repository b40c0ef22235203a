//! A client's body on its way to a server, piece by piece.

use super::ProxyError;
use super::client_body::ClientBody;
use bytes::Bytes;
use http_body::Body as _;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How long a client may pause in the middle of its body.
const CLIENT_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How a server knows where a body ends (RFC 9112 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFraming {
    /// There is none.
    Nothing,
    Length(u64),
    Chunked,
}

/// A part of a body, in its framing.
#[derive(Debug, Clone)]
pub(super) struct BodyChunk {
    /// Empty only when it is the last.
    pub(super) data: Bytes,
    pub(super) is_chunk: bool,
    pub(super) is_last: bool,
}

/// A client's body, no longer than the route takes.
pub(super) struct RequestBody {
    body: ClientBody,
    framing: RequestFraming,
    /// How much may still come.
    left: u64,
    /// Runs while it is the client's turn.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl RequestFraming {
    pub(super) fn of(body: &ClientBody) -> Self {
        match body.size_hint().exact() {
            // HTTP/2 may announce a length of 0 and end the stream later.
            Some(0) => Self::Nothing,
            _ if body.is_end_stream() => Self::Nothing,
            Some(length) => Self::Length(length),
            None => Self::Chunked,
        }
    }
}

impl RequestBody {
    /// At most `longest` bytes of this body; nothing when there is none.
    pub(super) fn new(body: ClientBody, longest: u64) -> Option<Box<Self>> {
        let framing = RequestFraming::of(&body);
        let left = match framing {
            RequestFraming::Nothing => return None,
            RequestFraming::Length(length) => length,
            RequestFraming::Chunked => longest,
        };
        Some(Box::new(Self { body, framing, left, waiting: None }))
    }

    /// The first piece, if it is there within one turn: it comes along with the head then.
    pub(super) async fn first(&mut self) -> Result<Option<BodyChunk>, ProxyError> {
        let mut turns = 0;
        poll_fn(|context| match self.poll(context) {
            Poll::Ready(chunk) => Poll::Ready(chunk.map(Some)),
            Poll::Pending if turns > 0 => Poll::Ready(Ok(None)),
            Poll::Pending => {
                turns += 1;
                // Asked for only now, what has come along with the client's head is there at the next turn.
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await
    }

    /// Ready with the next piece, until the last one was there.
    pub(super) fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<BodyChunk, ProxyError>> {
        let polled = self.poll(context);
        if polled.is_ready() {
            self.waiting = None;
            return polled;
        }
        ready!(
            self.waiting.get_or_insert_with(|| Box::pin(sleep(CLIENT_READ_TIMEOUT))).as_mut().poll(context)
        );
        Poll::Ready(Err(ProxyError::TooSlow))
    }

    /// Whether it is the client's turn.
    pub(super) fn waits_for_client(&self) -> bool {
        self.waiting.is_some()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<BodyChunk, ProxyError>> {
        let is_chunk = self.framing == RequestFraming::Chunked;
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None if is_chunk => {
                    return Poll::Ready(Ok(BodyChunk { data: Bytes::new(), is_chunk, is_last: true }));
                }
                None => return Poll::Ready(Err(ProxyError::BadBody)),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    tracing::debug!(%error, "the client broke off");
                    return Poll::Ready(Err(ProxyError::BadBody));
                }
            };
            // A client's trailers could repeat headers that were looked at and removed.
            let Ok(data) = frame.into_data() else { continue };
            if data.is_empty() {
                continue;
            }
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                return Poll::Ready(Err(ProxyError::TooLong));
            };
            self.left = left;
            let is_last = if is_chunk { self.body.is_end_stream() } else { left == 0 };
            return Poll::Ready(Ok(BodyChunk { data, is_chunk, is_last }));
        }
    }
}
