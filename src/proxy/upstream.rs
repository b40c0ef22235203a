//! One call to a server: the request out, the answer's head back.

use super::body::Body;
use super::events::Events;
use super::headers::ForwardedHeaders;
use super::http1::ResponseHead;
use super::location::RedirectContext;
use super::pool::{Pool, PooledConnection};
use super::request_body::{BodyChunk, RequestBody, RequestFraming};
use super::{ClientBody, Forward, Proxy, ProxyError, UpstreamError, headers, path, takes_content};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use std::future::poll_fn;
use std::io::Write as _;
use std::sync::Arc;
use std::task::Poll;

/// A request as its server gets it.
struct Request<'a> {
    proxy: &'a Proxy,
    forward: Box<Forward>,
    /// Path and query at the server.
    path: String,
    framing: RequestFraming,
    /// What of the body goes along with the head.
    first: Option<BodyChunk>,
    /// What follows.
    unsent_body: Option<Box<RequestBody>>,
}

/// Sends the request and waits for the answer's head.
pub(super) async fn call(
    proxy: &Proxy,
    forward: Box<Forward>,
    body: ClientBody,
) -> Result<Response<Body>, ProxyError> {
    let framing = RequestFraming::of(&body);
    if matches!(framing, RequestFraming::Length(length) if length > forward.route.max_body) {
        return Err(ProxyError::TooLong);
    }
    let asked = forward.head.uri.path_and_query().ok_or(ProxyError::BadPath)?;
    let path = path::target(forward.route, forward.rest, asked).ok_or(ProxyError::BadPath)?;
    let unsent_body = RequestBody::new(body, forward.route.max_body);
    let mut request = Request { proxy, forward, path, framing, first: None, unsent_body };
    request.begin().await?;
    let (head, first, pooled) = request.send().await?;
    request.answered(*head, first, pooled)
}

impl Request<'_> {
    async fn begin(&mut self) -> Result<(), ProxyError> {
        if let Some(unsent_body) = &mut self.unsent_body {
            self.first = unsent_body.first().await?;
        }
        if self.first.as_ref().is_some_and(|first| first.is_last) {
            self.unsent_body = None;
        }
        Ok(())
    }

    /// Sends on an idle connection; when the server had closed that one, on a new one.
    async fn send(&mut self) -> Result<(Box<ResponseHead>, Bytes, PooledConnection), ProxyError> {
        let (route, pool) = (self.forward.route, &self.proxy.pool);
        let mut pooled = match pool.acquire(route) {
            Some(pooled) => pooled,
            None => pool.connect(route).await?,
        };
        loop {
            let why = match self.exchange(&mut pooled, pool).await? {
                Ok((head, first)) => return Ok((head, first, pooled)),
                Err(why) => why,
            };
            let is_idempotent =
                self.framing == RequestFraming::Nothing && self.forward.head.method.is_idempotent();
            if !pooled.used || !pooled.connection.can_be_repeated(is_idempotent) {
                tracing::warn!(route = route.pattern, error = %why, "the MCP server broke off");
                return Err(ProxyError::Unreachable);
            }
            pooled = pool.connect(route).await?;
        }
    }

    async fn exchange(
        &mut self,
        pooled: &mut PooledConnection,
        pool: &Pool,
    ) -> Result<Result<(Box<ResponseHead>, Bytes), UpstreamError>, ProxyError> {
        let head = self.head(std::mem::take(&mut pool.buffers().write));
        pooled.connection.begin(head, self.first.as_ref());
        pooled.connection.response_deadline.set(self.forward.route.response_timeout);
        poll_fn(|context| {
            let (connection, mut buffers) = pooled.parts();
            let was_sent = self.unsent_body.is_none() && connection.is_sent();
            connection.poll_send(&mut self.unsent_body, context, &mut buffers)?;
            if let Poll::Ready(head) =
                connection.poll_response_head(&self.forward.head.method, context, &mut buffers)
            {
                // A server that responds before it has the whole body may ignore the rest, and read it as a request.
                if !was_sent {
                    connection.retire();
                }
                return Poll::Ready(Ok(head));
            }
            if self.forward.cancel.poll_cancelled(context).is_ready() {
                return Poll::Ready(Err(ProxyError::Unreachable));
            }
            connection.response_deadline.poll(context).map(|()| Err(self.overdue()))
        })
        .await
    }

    /// Who is to blame when the time is up.
    fn overdue(&self) -> ProxyError {
        let waits_for_client =
            self.unsent_body.as_ref().is_some_and(|unsent_body| unsent_body.waits_for_client());
        if waits_for_client { ProxyError::TooSlow } else { ProxyError::TimedOut }
    }

    /// The head, written to an empty buffer.
    fn head(&self, mut out: Vec<u8>) -> Vec<u8> {
        let Forward { route, head, forwarded_for, identity, .. } = &*self.forward;
        for part in [head.method.as_str(), " ", &self.path, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        let public_origin = &self.proxy.public_origin;
        let forwarded =
            ForwardedHeaders { route, identity: identity.as_deref(), forwarded_for, public_origin };
        headers::toward_server(&head.headers, &forwarded, &mut out);
        match self.framing {
            RequestFraming::Nothing if takes_content(&head.method) => {
                out.extend_from_slice(b"content-length: 0\r\n");
            }
            RequestFraming::Nothing => {}
            // Writing to a vector does not fail.
            RequestFraming::Length(length) => drop(write!(out, "content-length: {length}\r\n")),
            RequestFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    fn answered(
        self,
        head: ResponseHead,
        first: Bytes,
        pooled: PooledConnection,
    ) -> Result<Response<Body>, ProxyError> {
        let Forward { route, cancel, .. } = *self.forward;
        let ResponseHead { status, mut headers, .. } = head;
        // The client cannot help a server that does not trust the gateway; it would throw its own token away.
        let hopeless = [
            StatusCode::UNAUTHORIZED,
            StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            StatusCode::SWITCHING_PROTOCOLS,
        ];
        if hopeless.contains(&status) {
            tracing::warn!(route = route.pattern, %status, "an answer that cannot be passed on");
            return Err(ProxyError::BadAnswer);
        }
        headers::toward_client(&mut headers);
        let asked = || RedirectContext { route, path: self.path, base_url: Arc::clone(&self.proxy.base_url) };
        let mut events = None;
        if let Some(to) = headers.get(LOCATION) {
            let to = asked().rewritten(to).ok_or(ProxyError::BadAnswer)?;
            headers.insert(LOCATION, to);
        } else if is_open_event_stream(&headers) {
            events = Some(Box::new(Events::new(self.proxy.keep_alive, asked())));
        }
        let mut response = Response::new(Body::streamed(first, (pooled, self.unsent_body), cancel, events));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// An event stream that we may add comments to: no content coding, no promised length.
fn is_open_event_stream(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else { return false };
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_LENGTH)
}
