//! The body that a client sends.

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

/// How long the rest of a body is read away.
const MAX_LINGER: Duration = Duration::from_secs(10);
/// How long a client may pause while it is.
const LINGER_READ_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an HTTP/2 stream whose head did not end it may take to end without content.
const END_WAIT: Duration = Duration::from_secs(10);

/// Whether requests of this method may have content (RFC 9110 §9.3, RFC 5789). No content is defined for GET, HEAD,
/// DELETE and OPTIONS, and nobody knows what is for other methods. A server that ignores such content reads it as its
/// next request, in which the client writes the identity headers.
pub fn takes_content(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

/// A client's body. When it is dropped early, because the answer needs no more of it, its rest is read away for a
/// while: closing on unread bytes resets the connection, and the client may lose the answer (RFC 9112 §9.6).
pub struct ClientBody {
    incoming: Option<Incoming>,
    lingers: Lingers,
}

/// Whether the rest is to be read away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lingers {
    Yes,
    /// The client sends nothing before we ask for it with "100 Continue".
    OnceAskedFor,
    /// HTTP/2 ends a stream without hurting the others.
    Never,
}

impl ClientBody {
    /// The body that came with this head. To be dropped on the thread that serves the connection.
    pub fn new(incoming: Incoming, head: &Parts) -> Self {
        let lingers = match head.version {
            http::Version::HTTP_2 => Lingers::Never,
            _ if head.headers.contains_key(EXPECT) => Lingers::OnceAskedFor,
            _ => Lingers::Yes,
        };
        Self { incoming: Some(incoming), lingers }
    }

    /// Whether the request has content. In HTTP/1 its head says so: `Transfer-Encoding`, or a `BodyFraming-Length` other
    /// than 0. In HTTP/2 only a frame with data does, so that the first frames are waited for.
    pub async fn has_content(&mut self) -> bool {
        match self.size_hint().exact() {
            Some(0) => false,
            None if self.lingers == Lingers::Never => !self.ends_empty().await,
            Some(_) | None => !self.is_end_stream(),
        }
    }

    async fn ends_empty(&mut self) -> bool {
        let ends = async {
            while let Some(frame) = self.frame().await {
                // Trailers are not passed on.
                if !frame.is_ok_and(|frame| frame.data_ref().is_none_or(Bytes::is_empty)) {
                    return false;
                }
            }
            true
        };
        timeout(END_WAIT, ends).await.unwrap_or(false)
    }

    /// The body of a request that has none.
    pub fn empty() -> Self {
        Self { incoming: None, lingers: Lingers::Never }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.lingers == Lingers::OnceAskedFor {
            self.lingers = Lingers::Yes;
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
        if let (Some(rest), Lingers::Yes) = (rest, self.lingers) {
            tokio::task::spawn_local(async move {
                // However it ends: the answer had its time to arrive.
                let _ = timeout(MAX_LINGER, read_away(rest)).await;
            });
        }
    }
}

async fn read_away(mut rest: Incoming) {
    while let Ok(Some(Ok(_))) = timeout(LINGER_READ_TIMEOUT, rest.frame()).await {}
}
