//! One call to a server: the request out, the answer's head back.

use super::body::Body;
use super::events::Events;
use super::headers::Told;
use super::http1::Answer;
use super::location::Asked;
use super::pool::{Lent, Pool};
use super::upload::{Framing, Piece, Upload};
use super::{Broken, ClientBody, Failed, Forward, Proxy, headers, path, takes_content};
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
    framing: Framing,
    /// What of the body goes along with the head.
    first: Option<Piece>,
    /// What follows.
    upload: Option<Box<Upload>>,
}

/// Sends the request and waits for the answer's head.
pub(super) async fn call(
    proxy: &Proxy,
    forward: Box<Forward>,
    body: ClientBody,
) -> Result<Response<Body>, Failed> {
    let framing = Framing::of(&body);
    if matches!(framing, Framing::Length(length) if length > forward.route.max_body) {
        return Err(Failed::TooLong);
    }
    let asked = forward.head.uri.path_and_query().ok_or(Failed::BadPath)?;
    let path = path::target(forward.route, forward.rest, asked).ok_or(Failed::BadPath)?;
    let upload = Upload::new(body, forward.route.max_body);
    let mut request = Request { proxy, forward, path, framing, first: None, upload };
    request.begin().await?;
    let (answer, first, lent) = request.send().await?;
    request.answered(*answer, first, lent)
}

impl Request<'_> {
    async fn begin(&mut self) -> Result<(), Failed> {
        if let Some(upload) = &mut self.upload {
            self.first = upload.first().await?;
        }
        if self.first.as_ref().is_some_and(|first| first.is_last) {
            self.upload = None;
        }
        Ok(())
    }

    /// Sends on an idle connection; when the server had closed that one, on a new one.
    async fn send(&mut self) -> Result<(Box<Answer>, Bytes, Lent), Failed> {
        let (route, pool) = (self.forward.route, &self.proxy.pool);
        let mut lent = match pool.lend(route) {
            Some(lent) => lent,
            None => pool.connect(route).await?,
        };
        loop {
            let why = match self.exchange(&mut lent, pool).await? {
                Ok((answer, first)) => return Ok((answer, first, lent)),
                Err(why) => why,
            };
            let is_idempotent = self.framing == Framing::Nothing && self.forward.head.method.is_idempotent();
            if !lent.used || !lent.line.can_be_repeated(is_idempotent) {
                tracing::warn!(route = route.pattern, error = %why, "the MCP server broke off");
                return Err(Failed::Unreachable);
            }
            lent = pool.connect(route).await?;
        }
    }

    async fn exchange(
        &mut self,
        lent: &mut Lent,
        pool: &Pool,
    ) -> Result<Result<(Box<Answer>, Bytes), Broken>, Failed> {
        let head = self.head(std::mem::take(&mut pool.scratch().write));
        lent.line.begin(head, self.first.as_ref());
        lent.line.patience.set(self.forward.route.response_timeout);
        poll_fn(|context| {
            let (line, mut scratch) = lent.parts();
            let was_sent = self.upload.is_none() && line.is_sent();
            line.poll_send(&mut self.upload, context, &mut scratch)?;
            if let Poll::Ready(answer) = line.poll_answer(&self.forward.head.method, context, &mut scratch) {
                // A server that responds before it has the whole body may ignore the rest, and read it as a request.
                if !was_sent {
                    line.retire();
                }
                return Poll::Ready(Ok(answer));
            }
            if self.forward.lease.poll_cancelled(context).is_ready() {
                return Poll::Ready(Err(Failed::Unreachable));
            }
            line.patience.poll(context).map(|()| Err(self.overdue()))
        })
        .await
    }

    /// Who is to blame when the time is up.
    fn overdue(&self) -> Failed {
        let waits_for_client = self.upload.as_ref().is_some_and(|upload| upload.waits_for_client());
        if waits_for_client { Failed::TooSlow } else { Failed::TimedOut }
    }

    /// The head, written to an empty buffer.
    fn head(&self, mut out: Vec<u8>) -> Vec<u8> {
        let Forward { route, head, forwarded_for, identity, .. } = &*self.forward;
        for part in [head.method.as_str(), " ", &self.path, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        let entrance = &self.proxy.entrance;
        let told = Told { route, identity: identity.as_deref(), forwarded_for, entrance };
        headers::toward_server(&head.headers, &told, &mut out);
        match self.framing {
            Framing::Nothing if takes_content(&head.method) => {
                out.extend_from_slice(b"content-length: 0\r\n");
            }
            Framing::Nothing => {}
            // Writing to a vector does not fail.
            Framing::Length(length) => drop(write!(out, "content-length: {length}\r\n")),
            Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    fn answered(self, answer: Answer, first: Bytes, lent: Lent) -> Result<Response<Body>, Failed> {
        let Forward { route, lease, .. } = *self.forward;
        let Answer { status, mut headers, .. } = answer;
        // The client cannot help a server that does not trust the gateway; it would throw its own token away.
        let hopeless = [
            StatusCode::UNAUTHORIZED,
            StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            StatusCode::SWITCHING_PROTOCOLS,
        ];
        if hopeless.contains(&status) {
            tracing::warn!(route = route.pattern, %status, "an answer that cannot be passed on");
            return Err(Failed::BadAnswer);
        }
        headers::toward_client(&mut headers);
        let asked = || Asked { route, path: self.path, base_url: Arc::clone(&self.proxy.base_url) };
        let mut events = None;
        if let Some(to) = headers.get(LOCATION) {
            let to = asked().rewritten(to).ok_or(Failed::BadAnswer)?;
            headers.insert(LOCATION, to);
        } else if is_open_event_stream(&headers) {
            events = Some(Box::new(Events::new(self.proxy.keep_alive, asked())));
        }
        let mut response = Response::new(Body::streamed(first, (lent, self.upload), lease, events));
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
