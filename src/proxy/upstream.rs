//! One call to a server: the request out, the answer's head back.

use super::body::Body;
use super::events::Events;
use super::lease::Lease;
use super::location::Asked;
use super::pool::{Lent, Pool};
use super::upload::{Progress, Upload};
use super::{ClientBody, Failed, Forward, Proxy, headers, path};
use gateway_routes::Route;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Sends the request and waits for the answer's head.
pub(super) async fn call(
    proxy: &Proxy,
    forward: Box<Forward>,
    body: ClientBody,
) -> Result<Response<Body>, Failed> {
    let route = forward.route;
    if body.size_hint().lower() > route.max_body {
        return Err(Failed::TooLong);
    }
    let body = Upload::new(body, route.max_body);
    let progress = body.progress();
    let (request, asked, mut lease) = request(proxy, forward, body)?;
    let sent = send(&proxy.pool, request, (route, &progress), &mut lease).await;
    let (response, mut lent) = sent.map_err(|failed| progress.fault().unwrap_or(failed))?;
    if !progress.is_sent() {
        lent.line.detach();
    }
    answer(response, asked, (lease, lent), proxy.keep_alive)
}

fn request(
    proxy: &Proxy,
    forward: Box<Forward>,
    body: Upload,
) -> Result<(Request<Upload>, Asked, Lease), Failed> {
    let Forward { route, rest, mut head, forwarded_for, identity, lease } = *forward;
    let path = head.uri.path_and_query().ok_or(Failed::BadPath)?;
    let path = PathAndQuery::try_from(path::target(route, rest, path).ok_or(Failed::BadPath)?);
    let path = path.map_err(|_| Failed::BadPath)?;
    head.uri = Uri::from(path.clone());
    head.version = Version::HTTP_11;
    head.extensions = http::Extensions::new();
    let way = (&forwarded_for, &proxy.entrance);
    headers::toward_server(&mut head.headers, route, identity.as_deref(), way);
    let asked = Asked { route, path, base_url: Arc::clone(&proxy.base_url) };
    Ok((Request::from_parts(head, body), asked, lease))
}

/// Sends on an idle connection; when the server had closed that one before anything was sent, on a new one.
async fn send(
    pool: &Pool,
    mut request: Request<Upload>,
    (route, progress): (&'static Route, &Progress),
    lease: &mut Lease,
) -> Result<(Response<Incoming>, Lent), Failed> {
    let mut lent = match pool.lend(route, progress) {
        Some(lent) => lent,
        None => pool.connect(route, progress).await?,
    };
    loop {
        let mut answer = pin!(lent.line.send(request));
        lent.line.patience.set(route.response_timeout);
        let answered = poll_fn(|context| {
            let answered = lent.line.poll(context, |context| answer.as_mut().poll(context).map_err(Box::new));
            if answered.is_ready() {
                return answered.map(Ok);
            }
            if lease.poll_cancelled(context).is_ready() {
                return Poll::Ready(Err(Failed::Unreachable));
            }
            lent.line.patience.poll(context).map(|()| Err(progress.overdue()))
        });
        let mut failed = match answered.await? {
            Ok(response) => return Ok((response, lent)),
            Err(failed) => failed,
        };
        let unsent = failed.take_message().filter(|_| lent.used);
        let Some(unsent) = unsent else {
            tracing::warn!(route = route.pattern, error = %failed.error(), "the MCP server broke off");
            return Err(Failed::Unreachable);
        };
        request = unsent;
        lent = pool.connect(route, progress).await?;
    }
}

fn answer(
    response: Response<Incoming>,
    asked: Asked,
    (lease, lent): (Lease, Lent),
    keep_alive: Duration,
) -> Result<Response<Body>, Failed> {
    let route = asked.route;
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
        let to = asked.rewritten(to).ok_or(Failed::BadAnswer)?;
        head.headers.insert(LOCATION, to);
    }
    let events = is_open_event_stream(&head).then(|| Events::new(keep_alive, asked));
    head.version = Version::HTTP_11;
    Ok(Response::from_parts(head, Body::streamed(incoming, lease, lent, events)))
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
