//! One call to a server: the request out, the answer's head back.

use super::body::Body;
use super::lease::Lease;
use super::pool::{Lent, Pool};
use super::{Failed, Forward, headers, location, path};
use bytes::Bytes;
use gateway_routes::Route;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, LOCATION};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The client's body on its way, no longer than the route takes.
pub(super) struct RequestBody {
    incoming: Incoming,
    left: u64,
    /// Tells the caller why sending failed.
    too_long: Rc<Cell<bool>>,
}

/// Why sending a body was given up.
#[derive(Debug)]
pub(super) enum Unsendable {
    Client(hyper::Error),
    TooLong,
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => write!(f, "the client broke off: {error}"),
            Self::TooLong => f.write_str("the body is longer than the route takes"),
        }
    }
}

impl std::error::Error for Unsendable {}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Unsendable;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unsendable>>> {
        loop {
            let frame = match std::task::ready!(Pin::new(&mut self.incoming).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(Unsendable::Client(error)))),
                Some(Ok(frame)) => frame,
            };
            // A client's trailers could repeat headers that were looked at and removed.
            let Ok(data) = frame.into_data() else { continue };
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                self.too_long.set(true);
                return Poll::Ready(Some(Err(Unsendable::TooLong)));
            };
            self.left = left;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Sends the request and waits for the answer's head.
pub(super) async fn call(
    pool: &Pool,
    forward: Forward,
    body: Incoming,
    keep_alive: Duration,
) -> Result<Response<Body>, Failed> {
    let Forward { route, base_url, mut lease, .. } = forward;
    let too_long = Rc::new(Cell::new(false));
    if body.size_hint().lower() > route.max_body {
        return Err(Failed::TooLong);
    }
    let body = RequestBody { incoming: body, left: route.max_body, too_long: Rc::clone(&too_long) };
    let head = (forward.head, forward.rest);
    let request = request(route, head, (forward.address, &base_url, forward.identity.as_ref()), body)?;
    let asked = request.uri().clone();
    let answered = tokio::select! {
        answered = tokio::time::timeout(route.response_timeout, send(pool, route, request)) => answered,
        () = poll_fn(|context| lease.poll_cancelled(context)) => return Err(Failed::Unreachable),
    };
    let (response, lent) = match answered {
        Err(_) => return Err(Failed::TimedOut),
        Ok(Err(_)) if too_long.get() => return Err(Failed::TooLong),
        Ok(Err(failed)) => return Err(failed),
        Ok(Ok(answer)) => answer,
    };
    answer(response, (route, &asked, &base_url), (lease, lent), keep_alive)
}

fn request(
    route: &'static Route,
    (mut head, rest): (http::request::Parts, usize),
    (peer, base_url, identity): (std::net::IpAddr, &str, Option<&headers::Identity>),
    body: RequestBody,
) -> Result<Request<RequestBody>, Failed> {
    let path = head.uri.path_and_query().ok_or(Failed::BadPath)?;
    let target = path::target(route, rest, path).ok_or(Failed::BadPath)?;
    head.uri = Uri::from(PathAndQuery::try_from(target).map_err(|_| Failed::BadPath)?);
    head.version = Version::HTTP_11;
    // We read the body whether or not the server would have said "continue".
    head.headers.remove(EXPECT);
    headers::toward_server(&mut head.headers, route, identity, (peer, base_url));
    head.extensions = http::Extensions::new();
    Ok(Request::from_parts(head, body))
}

/// Sends on an idle connection; when the server had closed that one before anything was sent, on a new one.
async fn send(
    pool: &Pool,
    route: &'static Route,
    mut request: Request<RequestBody>,
) -> Result<(Response<Incoming>, Lent), Failed> {
    let mut lent = pool.lend(route).await?;
    loop {
        let mut failed = match lent.sender.try_send_request(request).await {
            Ok(response) => return Ok((response, lent)),
            Err(failed) => failed,
        };
        let unsent = failed.take_message().filter(|_| lent.used);
        let Some(unsent) = unsent else {
            tracing::warn!(route = route.pattern, error = %failed.error(), "the MCP server broke off");
            return Err(Failed::Unreachable);
        };
        request = unsent;
        lent = pool.connect(route).await?;
    }
}

fn answer(
    response: Response<Incoming>,
    (route, asked, base_url): (&'static Route, &Uri, &str),
    (lease, lent): (Lease, Lent),
    keep_alive: Duration,
) -> Result<Response<Body>, Failed> {
    let (mut head, incoming) = response.into_parts();
    // The client cannot help a server that does not trust the gateway; it would throw its own token away.
    let hopeless = [
        StatusCode::UNAUTHORIZED,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        StatusCode::SWITCHING_PROTOCOLS,
    ];
    if hopeless.contains(&head.status) {
        tracing::warn!(route = route.pattern, status = %head.status, "an answer that cannot be passed on");
        return Err(Failed::BadAnswer);
    }
    headers::toward_client(&mut head.headers);
    if let Some(to) = head.headers.get(LOCATION) {
        let to = location::rewritten(to, asked, route, base_url).ok_or(Failed::BadAnswer)?;
        head.headers.insert(LOCATION, to);
    }
    let keep_alive = is_open_event_stream(&head).then_some(keep_alive);
    head.version = Version::HTTP_11;
    Ok(Response::from_parts(head, Body::streamed(incoming, lease, lent, keep_alive)))
}

/// An event stream that we may add comments to: no content coding, no promised length.
fn is_open_event_stream(head: &http::response::Parts) -> bool {
    let content_type =
        head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("text/event-stream")
        && !head.headers.contains_key(CONTENT_ENCODING)
        && !head.headers.contains_key(CONTENT_LENGTH)
}
