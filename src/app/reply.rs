//! HTTP responses.

use crate::pages;
use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, LOCATION, PRAGMA, SET_COOKIE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// Returns a JSON response that is never cached (RFC 6749 §5.1 requires both headers).
pub fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, "application/json");
    set(&mut response, CACHE_CONTROL, "no-store");
    set(&mut response, PRAGMA, "no-cache");
    response
}

/// Returns an error response with a JSON-RPC error body, which MCP clients display.
pub fn json_rpc_error(status: StatusCode, message: &str) -> Response<Bytes> {
    let body = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32_000, "message": message } });
    let mut response = json(status, &body);
    set(&mut response, HeaderName::from_static("x-content-type-options"), "nosniff");
    response
}

/// Returns a public JSON document that scripts of any origin may read and caches keep for a minute.
pub fn document(body: &Value) -> Response<Bytes> {
    let mut response = json(StatusCode::OK, body);
    set(&mut response, CACHE_CONTROL, "public, max-age=60");
    response.headers_mut().remove(PRAGMA);
    cors_any_origin(response)
}

/// Adds CORS headers for any origin: the response is public, or the request carried its own credentials.
pub fn cors_any_origin(mut response: Response<Bytes>) -> Response<Bytes> {
    set(&mut response, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    let exposed = HeaderName::from_static("access-control-expose-headers");
    set(&mut response, exposed, "WWW-Authenticate");
    response
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
