//! Request bodies as clients send them.

use bytes::Bytes;
use http::Method;
use http::header::EXPECT;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

/// Maximum time for which the rest of a body is read and discarded.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);
/// Read timeout between two frames that are discarded.
const DISCARD_READ_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout for the end of an HTTP/2 stream whose HEADERS frame did not end it and that has no content.
const END_STREAM_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns `true` for methods whose requests may have content (RFC 9110 §9.3, RFC 5789). GET, HEAD, DELETE and OPTIONS
/// define none, and other methods are unknown. A server that ignores such content would read it as its next request,
/// whose identity headers the client could forge.
pub fn takes_content(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

/// Request body of a client. When it is dropped early, its rest is read and discarded for a while: closing a
/// connection with unread bytes resets it, and the client may lose the response (RFC 9112 §9.6).
pub struct ClientBody {
    incoming: Option<Incoming>,
    discard: Discard,
}

/// Rule for the unread rest of a dropped body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Discard {
    /// Read it and discard it.
    Rest,
    /// Nothing to discard until "100 Continue" has been sent (RFC 9110 §10.1.1).
    AfterContinue,
    /// Nothing to discard: HTTP/2 resets one stream and leaves the others alone.
    Nothing,
}

impl ClientBody {
    /// Wraps the body of the request with this head. Must be dropped on the thread that serves the connection.
    pub fn new(incoming: Incoming, head: &Parts) -> Self {
        let discard = match head.version {
            http::Version::HTTP_2 => Discard::Nothing,
            _ if head.headers.contains_key(EXPECT) => Discard::AfterContinue,
            _ => Discard::Rest,
        };
        Self { incoming: Some(incoming), discard }
    }

    /// Returns `true` if the request has content. In HTTP/1 the head decides: `Transfer-Encoding`, or a
    /// `Content-Length` other than 0. In HTTP/2 only a DATA frame with data does, so that the first frames are awaited.
    pub async fn has_content(&mut self) -> bool {
        match self.size_hint().exact() {
            Some(0) => false,
            None if self.discard == Discard::Nothing => !self.ends_empty().await,
            Some(_) | None => !self.is_end_stream(),
        }
    }

    async fn ends_empty(&mut self) -> bool {
        let ends = async {
            while let Some(frame) = self.frame().await {
                // Trailers are not forwarded, so they are no content.
                if !frame.is_ok_and(|frame| frame.data_ref().is_none_or(Bytes::is_empty)) {
                    return false;
                }
            }
            true
        };
        timeout(END_STREAM_TIMEOUT, ends).await.unwrap_or(false)
    }

    /// Body of a request without content.
    pub fn empty() -> Self {
        Self { incoming: None, discard: Discard::Nothing }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // hyper sends "100 Continue" at the first poll.
        if self.discard == Discard::AfterContinue {
            self.discard = Discard::Rest;
        }
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.incoming = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        let rest = self.incoming.take().filter(|incoming| !incoming.is_end_stream());
        if let (Some(rest), Discard::Rest) = (rest, self.discard) {
            tokio::task::spawn_local(async move {
                // The result does not matter: the response has had time to arrive.
                let _ = timeout(DISCARD_TIMEOUT, discard(rest)).await;
            });
        }
    }
}

async fn discard(mut rest: Incoming) {
    while let Ok(Some(Ok(_))) = timeout(DISCARD_READ_TIMEOUT, rest.frame()).await {}
}
