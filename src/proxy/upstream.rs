//! One call to a server: the request out, the answer's head back.

use super::body::{Body, Events};
use super::endpoint_event::EndpointEvent;
use super::lease::Lease;
use super::location::Asked;
use super::pool::{Lent, Pool};
use super::upload::{Progress, Upload};
use super::{ClientBody, Failed, Forward, headers, path};
use gateway_routes::Route;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, LOCATION};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use std::future::poll_fn;
use std::time::Duration;

/// How long a client may pause in the middle of its body.
const UPLOAD_PAUSE: Duration = Duration::from_secs(30);

/// Sends the request and waits for the answer's head.
pub(super) async fn call(
    pool: &Pool,
    forward: Forward,
    body: ClientBody,
    keep_alive: Duration,
) -> Result<Response<Body>, Failed> {
    let Forward { route, base_url, mut lease, .. } = forward;
    if body.size_hint().lower() > route.max_body {
        return Err(Failed::TooLong);
    }
    let body = Upload::new(body, route.max_body, UPLOAD_PAUSE);
    let progress = body.progress();
    let head = (forward.head, forward.rest);
    let request = request(route, head, (forward.address, &base_url, forward.identity.as_ref()), body)?;
    let asked = Asked { route, uri: request.uri().clone(), base_url };
    let sent = send(pool, route, request, &progress);
    let answered = tokio::select! {
        answered = tokio::time::timeout(route.response_timeout, sent) => answered,
        () = poll_fn(|context| lease.poll_cancelled(context)) => return Err(Failed::Unreachable),
    };
    let (response, lent) = match answered {
        Err(_) => return Err(progress.overdue()),
        Ok(Err(failed)) => return Err(progress.fault().unwrap_or(failed)),
        Ok(Ok(answer)) => answer,
    };
    answer(response, asked, (lease, lent), keep_alive)
}

fn request(
    route: &'static Route,
    (mut head, rest): (http::request::Parts, usize),
    (peer, base_url, identity): (std::net::IpAddr, &str, Option<&headers::Identity>),
    body: Upload,
) -> Result<Request<Upload>, Failed> {
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
    mut request: Request<Upload>,
    progress: &Progress,
) -> Result<(Response<Incoming>, Lent), Failed> {
    let mut lent = pool.lend(route, progress).await?;
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
    let events = is_open_event_stream(&head)
        .then(|| Events { keep_alive, endpoint: Box::new(EndpointEvent::new(asked)) });
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
