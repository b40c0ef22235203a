//! One forwarded request: sends it upstream and returns the response head.

use super::body::{Body, Streamed};
use super::events::Events;
use super::headers::ForwardedHeaders;
use super::http1::ResponseHead;
use super::location::RedirectContext;
use super::pool::PooledConnection;
use super::proxy_error::ProxyError;
use super::request_body::{BodyChunk, RequestBody, RequestFraming};
use super::upload::Upload;
use super::upstream_connection::UpstreamConnection;
use super::{ClientBody, Forward, Proxy, RequestBodyError, UpstreamError, headers, path, takes_content};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use std::future::{Future as _, poll_fn};
use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Request on its way to the MCP server.
struct Request<'a> {
    proxy: &'a Proxy,
    forward: Box<Forward>,
    /// Path and query at the MCP server.
    path: String,
    framing: RequestFraming,
    /// First chunk of the body, sent together with the head.
    first: Option<BodyChunk>,
    /// Rest of the body; `None` once all of it has been handed to the connection.
    unsent_body: Option<Box<RequestBody>>,
    /// Timeout of a pause within the response body; `None` for event streams.
    idle_timeout: Option<Duration>,
}

/// Response of the MCP server, with the headers that the client gets.
struct UpstreamResponse {
    head: Box<ResponseHead>,
    /// Body bytes that arrived with the head.
    first: Bytes,
    pooled: PooledConnection,
    /// Present for open event streams only.
    events: Option<Box<Events>>,
}

/// Sends the request and waits for the response head.
pub(super) async fn forward(
    proxy: &Proxy,
    forward: Box<Forward>,
    body: ClientBody,
) -> Result<Response<Body>, ProxyError> {
    let framing = RequestFraming::of(&body);
    let unsent_body = RequestBody::new(body, forward.route.max_body);
    let idle_timeout = Some(forward.route.response_idle_timeout);
    let path = String::new();
    let mut request = Request { proxy, forward, path, framing, first: None, unsent_body, idle_timeout };
    let response = request.run().await?;
    Ok(request.respond(response))
}

impl Request<'_> {
    async fn run(&mut self) -> Result<UpstreamResponse, ProxyError> {
        self.prepare().await?;
        let (mut head, first, pooled) = self.send().await?;
        let events = self.finish_head(&mut head)?;
        Ok(UpstreamResponse { head, first, pooled, events })
    }

    /// Checks length and path, and takes the first chunk of the body if it has already arrived.
    async fn prepare(&mut self) -> Result<(), ProxyError> {
        let Forward { route, rest, head, .. } = &*self.forward;
        if matches!(self.framing, RequestFraming::Length(length) if length > route.max_body) {
            return Err(RequestBodyError::TooLarge.into());
        }
        let requested = head.uri.path_and_query().ok_or(ProxyError::PathOutsideRoute)?;
        self.path = path::target(route, *rest, requested).ok_or(ProxyError::PathOutsideRoute)?;
        if let Some(unsent_body) = &mut self.unsent_body {
            self.first = unsent_body.first().await?;
        }
        if self.first.as_ref().is_some_and(|first| first.is_last) {
            self.unsent_body = None;
        }
        Ok(())
    }

    /// Sends on an idle connection, and once more on a new one if the server had closed the idle one.
    async fn send(&mut self) -> Result<(Box<ResponseHead>, Bytes, PooledConnection), ProxyError> {
        let mut pooled = match self.proxy.pool.acquire(self.forward.route) {
            Some(pooled) => pooled,
            None => self.connect().await?,
        };
        loop {
            let error = match self.exchange(&mut pooled).await? {
                Ok((head, first)) => return Ok((head, first, pooled)),
                Err(error) => error,
            };
            let method = &self.forward.head.method;
            let is_idempotent = self.framing == RequestFraming::Nothing && method.is_idempotent();
            if !pooled.was_idle || !pooled.connection.can_retry(is_idempotent) {
                return Err(ProxyError::Upstream(error));
            }
            pooled = self.connect().await?;
        }
    }

    /// Connects; a request that is cancelled meanwhile is not sent.
    async fn connect(&mut self) -> Result<PooledConnection, ProxyError> {
        let mut connecting = pin!(self.proxy.pool.connect(self.forward.route));
        poll_fn(|context| match self.forward.cancel.poll_cancelled(context) {
            Poll::Ready(reason) => Poll::Ready(Err(self.forward.cancelled(reason))),
            Poll::Pending => connecting.as_mut().poll(context),
        })
        .await
    }

    /// Sends the request on one connection. The inner error may be retried on another connection.
    async fn exchange(
        &mut self,
        pooled: &mut PooledConnection,
    ) -> Result<Result<(Box<ResponseHead>, Bytes), UpstreamError>, ProxyError> {
        let head = self.head(std::mem::take(&mut self.proxy.pool.buffers().write));
        pooled.connection.begin(head, self.first.as_ref());
        let mut upload = self.start_upload(pooled);
        poll_fn(|context| {
            let (connection, mut buffers) = pooled.parts();
            let was_sent = self.unsent_body.is_none() && connection.is_sent();
            connection.poll_send(&mut self.unsent_body, context, &mut buffers)?;
            self.advance(&mut upload, connection);
            if let Poll::Ready(head) =
                connection.poll_response_head(&self.forward.head.method, context, &mut buffers)
            {
                // After an early response the server may ignore the rest of the body, and read it as a request.
                if !was_sent {
                    connection.retire();
                }
                return Poll::Ready(Ok(head));
            }
            if let Poll::Ready(reason) = self.forward.cancel.poll_cancelled(context) {
                return Poll::Ready(Err(self.forward.cancelled(reason)));
            }
            connection.response_deadline.poll(context).map(|()| Err(self.timeout_error()))
        })
        .await
    }

    /// Sets the response deadline, or that of the upload if there is one: the response timeout then runs from its end.
    fn start_upload(&self, pooled: &mut PooledConnection) -> Option<Upload> {
        let (response_timeout, now) = (self.forward.route.response_timeout, pooled.acquired_at);
        let deadline = &mut pooled.connection.response_deadline;
        let Some(unsent_body) = &self.unsent_body else {
            deadline.set_at(now + response_timeout);
            return None;
        };
        let upload = Upload::start(unsent_body.remaining(), response_timeout, now);
        deadline.set_at(now + upload.timeout(now));
        Some(upload)
    }

    /// Extends the deadline after progress of the upload, and sets the response deadline at its end.
    fn advance(&self, upload: &mut Option<Upload>, connection: &mut UpstreamConnection) {
        let Some(uploading) = upload else { return };
        let timeout = match &self.unsent_body {
            None if connection.is_sent() => {
                *upload = None;
                Some(self.forward.route.response_timeout)
            }
            // The last chunk is being written: no byte may still arrive.
            None => uploading.advance(0, Instant::now()),
            Some(unsent_body) => uploading.advance(unsent_body.remaining(), Instant::now()),
        };
        if let Some(timeout) = timeout {
            connection.response_deadline.set(timeout);
        }
    }

    /// Attributes a timeout to the client if its body is awaited, otherwise to the MCP server.
    fn timeout_error(&self) -> ProxyError {
        let waits_for_client =
            self.unsent_body.as_ref().is_some_and(|unsent_body| unsent_body.waits_for_client());
        if waits_for_client { RequestBodyError::Timeout.into() } else { ProxyError::ResponseTimeout }
    }

    /// Serializes the request head into an empty buffer.
    fn head(&self, mut out: Vec<u8>) -> Vec<u8> {
        let Forward { route, head, forwarded_for, identity, .. } = &*self.forward;
        for part in [head.method.as_str(), " ", &self.path, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        let public_origin = &self.proxy.public_origin;
        let upstream_headers = self.proxy.upstream_headers(route);
        let identity = identity.as_deref();
        let forwarded = ForwardedHeaders { route, identity, forwarded_for, public_origin, upstream_headers };
        headers::toward_server(&head.headers, &forwarded, &mut out);
        match self.framing {
            RequestFraming::Nothing if takes_content(&head.method) => {
                out.extend_from_slice(b"content-length: 0\r\n");
            }
            RequestFraming::Nothing => {}
            // Writing to a `Vec` cannot fail.
            RequestFraming::Length(length) => drop(write!(out, "content-length: {length}\r\n")),
            RequestFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Validates the response head, filters its headers and rewrites `Location`.
    fn finish_head(&mut self, head: &mut ResponseHead) -> Result<Option<Box<Events>>, ProxyError> {
        // The client cannot authenticate to the MCP server: on a 401 it would discard its gateway token.
        if head.status == StatusCode::UNAUTHORIZED {
            let has_credential = !self.forward.route.upstream_headers.is_empty();
            return Err(if has_credential {
                ProxyError::CredentialRejected
            } else {
                ProxyError::CredentialRequired
            });
        }
        let unusable = [StatusCode::PROXY_AUTHENTICATION_REQUIRED, StatusCode::SWITCHING_PROTOCOLS];
        if unusable.contains(&head.status) {
            return Err(ProxyError::UnusableStatus(head.status));
        }
        headers::toward_client(&mut head.headers)?;
        let is_event_stream = is_event_stream(&head.headers);
        if !is_event_stream && !head.headers.contains_key(LOCATION) {
            return Ok(None);
        }
        if is_event_stream {
            self.idle_timeout = None;
        }
        let context = self.redirect_context();
        if let Some(location) = head.headers.get(LOCATION) {
            match context.rewrite(location.as_bytes()) {
                Ok(location) => drop(head.headers.insert(LOCATION, location)),
                Err(url) if head.status.is_redirection() => {
                    return Err(ProxyError::RedirectOutsideTarget(url));
                }
                // Only redirects are followed (RFC 9110 §10.2.2).
                Err(_) => {}
            }
        }
        Ok(is_event_stream.then(|| self.open_events(head, context)).flatten())
    }

    /// Prepares an event stream for the client; returns the processor of its events, if it has content and is readable.
    fn open_events(&self, head: &mut ResponseHead, context: RedirectContext) -> Option<Box<Events>> {
        // nginx sends neither head nor events while it buffers.
        head.headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
        if head.framing.is_at_end() || is_encoded(&head.headers) {
            return None;
        }
        // Comments make it longer.
        head.headers.remove(CONTENT_LENGTH);
        Some(Box::new(Events::new(self.proxy.keep_alive, context)))
    }

    /// Takes the request path; called at most once.
    fn redirect_context(&mut self) -> RedirectContext {
        let path = std::mem::take(&mut self.path);
        RedirectContext { route: self.forward.route, path, base_url: Arc::clone(&self.proxy.base_url) }
    }

    fn respond(self, upstream: UpstreamResponse) -> Response<Body> {
        let UpstreamResponse { head, first, pooled, events } = upstream;
        let Forward { cancel, .. } = *self.forward;
        let body = Body::streamed(Streamed {
            first,
            pooled: Some(pooled),
            request_body: self.unsent_body,
            cancel,
            events,
            idle_timeout: self.idle_timeout,
        });
        let mut response = Response::new(body);
        let ResponseHead { status, headers, .. } = *head;
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else { return false };
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

/// Returns `true` for content with a coding. `identity` is none, although servers name it (RFC 9110 §8.4.1).
fn is_encoded(headers: &HeaderMap) -> bool {
    let mut codings =
        headers.get_all(CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    codings.any(|coding| {
        !coding.trim_ascii().is_empty() && !coding.trim_ascii().eq_ignore_ascii_case(b"identity")
    })
}
