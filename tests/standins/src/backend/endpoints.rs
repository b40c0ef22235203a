//! Endpoints of the backend.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Json, Response};
use bytes::Bytes;
use http_body::Body as _;
use serde_json::{Value, json};

use super::Shared;
use super::bodies::{Big, Exchange, Feed};
use super::recorded::Recorded;
use crate::params::Params;

const MAX_RECORDED_BYTES: usize = 1024 * 1024;

/// Headers that a proxy must not forward to a browser or an MCP client.
const HOSTILE: [(&str, &str); 14] = [
    ("set-cookie", "evil=1; Path=/"),
    ("set-cookie", "__Host-gateway=1; Secure; Path=/"),
    ("clear-site-data", "\"*\""),
    ("access-control-allow-origin", "*"),
    ("access-control-allow-credentials", "true"),
    ("access-control-expose-headers", "*"),
    ("www-authenticate", "Bearer realm=\"backend\""),
    ("proxy-authenticate", "Basic realm=\"backend\""),
    ("connection", "keep-alive, x-hop"),
    ("x-hop", "1"),
    ("keep-alive", "timeout=5"),
    ("upgrade", "websocket"),
    ("mcp-session-id", "backend-session"),
    ("x-harmless", "kept"),
];

pub(super) async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
    let (head, body) = request.into_parts();
    if path == "/upload" || path == "/upload/refused" {
        shared.log.push(recorded(&head, Bytes::new()));
        return if path == "/upload" { upload(&shared, body).await } else { refuse_upload() };
    }
    let mut exchange = Exchange::begin(&shared);
    let Ok(body) = to_bytes(body, MAX_RECORDED_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let record = recorded(&head, body);
    shared.log.push(record.clone());
    let response = route_request(&shared, &record, &path, &query).await;
    // From here on the body records whether it was read.
    exchange.finish();
    response
}

async fn route_request(shared: &Arc<Shared>, record: &Recorded, path: &str, query: &Params) -> Response {
    if let Some(scripted) = shared.scripts.lock().get(path) {
        return scripted.response();
    }
    if let Some(code) = path.strip_prefix("/status/") {
        return status(code);
    }
    match path {
        "/sse" => events(shared, query),
        "/sse/silent" => silent(shared),
        "/slow-head" => slow_head(shared).await,
        "/redirect" => redirect(query),
        "/big" => big(shared, query),
        "/broken" => broken(shared),
        "/headers" => hostile(),
        _ => Json(echo(record)).into_response(),
    }
}

fn recorded(head: &Parts, body: Bytes) -> Recorded {
    Recorded {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers.clone(),
        body: body.into(),
    }
}

fn echo(record: &Recorded) -> Value {
    let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in &record.headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str()).or_default().push(text);
    }
    json!({ "method": record.method, "target": record.target, "headers": headers, "body": record.text() })
}

fn number(query: &Params, name: &str) -> Option<u64> {
    query.get(name)?.parse().ok()
}

/// Sends `n` events, `every_ms` milliseconds apart.
fn events(shared: &Arc<Shared>, query: &Params) -> Response {
    let (sender, feed) = Feed::new(shared);
    let count = number(query, "n").unwrap_or(1);
    let pause = Duration::from_millis(number(query, "every_ms").unwrap_or(0));
    tokio::spawn(async move {
        for n in 0..count {
            if n > 0 && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            if sender.send(Ok(Bytes::from(format!("id: {n}\ndata: event {n}\n\n")))).await.is_err() {
                break;
            }
        }
    });
    event_stream(feed)
}

fn silent(shared: &Arc<Shared>) -> Response {
    let (sender, feed) = Feed::new(shared);
    let mut open = shared.silent.lock();
    open.retain(|sender| !sender.is_closed());
    open.push(sender);
    event_stream(feed)
}

fn event_stream(feed: Feed) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::new(feed)).into_response()
}

async fn slow_head(shared: &Shared) -> Response {
    match shared.heads.acquire().await {
        Ok(permit) => permit.forget(),
        Err(_closed) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
    "at last".into_response()
}

fn status(code: &str) -> Response {
    let status = code.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.unwrap_or(StatusCode::NOT_FOUND);
    let mut response = (status, format!("status {status}")).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"backend\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn redirect(query: &Params) -> Response {
    let status =
        number(query, "status").and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok());
    let target = query.get("to").unwrap_or("/").to_owned();
    (status.unwrap_or(StatusCode::FOUND), [(header::LOCATION, target)]).into_response()
}

fn big(shared: &Arc<Shared>, query: &Params) -> Response {
    let left = number(query, "bytes").unwrap_or(0);
    let body = Big { left, exchange: Exchange::begin(shared) };
    ([(header::CONTENT_LENGTH, left)], Body::new(body)).into_response()
}

/// Announces a hundred bytes, sends ten and closes the connection.
fn broken(shared: &Arc<Shared>) -> Response {
    let (sender, feed) = Feed::new(shared);
    tokio::spawn(async move {
        let _disconnected = sender.send(Ok(Bytes::from_static(b"0123456789"))).await;
        let _disconnected = sender.send(Err(std::io::ErrorKind::ConnectionReset.into())).await;
    });
    ([(header::CONTENT_LENGTH, 100)], Body::new(feed)).into_response()
}

fn hostile() -> Response {
    let headers: HeaderMap = HOSTILE
        .iter()
        .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    (headers, "hostile headers").into_response()
}

/// Reads the body in chunks and counts its bytes.
async fn upload(shared: &Arc<Shared>, mut body: Body) -> Response {
    let mut exchange = Exchange::begin(shared);
    let mut total = 0;
    while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(frame) = frame else { return StatusCode::BAD_REQUEST.into_response() };
        let size = frame.data_ref().map_or(0, Bytes::len);
        total += size;
        shared.uploaded.add(size);
    }
    exchange.finish();
    Json(json!({ "bytes": total })).into_response()
}

/// Responds without reading the body.
fn refuse_upload() -> Response {
    (StatusCode::PAYLOAD_TOO_LARGE, "not that much").into_response()
}
