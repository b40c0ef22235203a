//! HTTP responses.

use crate::app::cors;
use crate::app::request_error::RequestError;
use crate::pages;
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, PRAGMA, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// Error code of JSON-RPC error bodies: the first one that servers may define (JSON-RPC 2.0 §5.1).
const JSON_RPC_ERROR: i32 = -32_000;

/// Returns a JSON response that is never cached (RFC 6749 §5.1 requires both headers).
pub fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, "application/json");
    set(&mut response, CACHE_CONTROL, "no-store");
    set(&mut response, PRAGMA, "no-cache");
    response
}

/// Returns the error response of a request, with a JSON-RPC error body, which MCP clients display.
pub fn request_error(error: &RequestError) -> Response<Bytes> {
    let message = error.message();
    let body =
        json!({ "jsonrpc": "2.0", "id": null, "error": { "code": JSON_RPC_ERROR, "message": message } });
    let mut response = json(error.status(), &body);
    set(&mut response, HeaderName::from_static("x-content-type-options"), "nosniff");
    match error {
        RequestError::Denied(denied) => set(&mut response, WWW_AUTHENTICATE, &denied.challenge),
        RequestError::UnsupportedMethod => set(&mut response, ALLOW, "GET, HEAD, POST, DELETE, OPTIONS"),
        _ => {}
    }
    if let Some(delay) = error.retry_after() {
        set(&mut response, RETRY_AFTER, &delay.as_secs().to_string());
    }
    response
}

/// Returns a public JSON document that scripts of any origin may read and caches keep for a minute.
pub fn document(body: &Value) -> Response<Bytes> {
    let mut response = json(StatusCode::OK, body);
    set(&mut response, CACHE_CONTROL, "public, max-age=60");
    response.headers_mut().remove(PRAGMA);
    cors::any_origin(response)
}

/// Returns an HTML page.
pub fn html(status: StatusCode, page: pages::Page) -> Response<Bytes> {
    let mut response = Response::new(page.html.into());
    *response.status_mut() = status;
    for (name, value) in pages::headers() {
        set(&mut response, HeaderName::from_static(name), value);
    }
    response
}

/// Redirects the browser with 302.
pub fn redirect(to: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::FOUND;
    set(&mut response, LOCATION, to);
    set(&mut response, CACHE_CONTROL, "no-store");
    set(&mut response, HeaderName::from_static("referrer-policy"), "no-referrer");
    response
}

/// Adds a `Set-Cookie` header.
pub fn with_cookie(mut response: Response<Bytes>, cookie: &str) -> Response<Bytes> {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

/// Sets a header. A value that is not a valid header value is logged and left out.
pub fn set(response: &mut Response<Bytes>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    } else {
        tracing::error!(header = %name, "invalid header value omitted");
    }
}
