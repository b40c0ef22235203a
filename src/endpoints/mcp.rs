//! Requests to the protected MCP servers: every method on every path below a route.

pub mod access;

use crate::app::request::{Decision, Request, RequestHead};
use crate::app::state::Gateway;
use bytes::Bytes;
use gateway_routes::Found;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderValue, Method, Response, StatusCode};
use std::sync::Arc;

/// Decides about a request to an MCP server. `Origin` is validated first (DNS rebinding: MCP transports, "Security
/// Warning"); a CORS preflight needs no token.
pub fn any(gateway: &Arc<Gateway>, head: Box<RequestHead>, found: Found) -> Decision {
    let origin = head.parts.headers.get(ORIGIN);
    if origin.is_some_and(|origin| !access::is_allowed_origin(gateway, origin)) {
        return Decision::Respond(access::error(
            StatusCode::FORBIDDEN,
            "this origin may not call MCP servers here",
        ));
    }
    if head.undefined_content {
        return Decision::Respond(access::refuse_content(Request { gateway, head: &head }, found.route));
    }
    if head.parts.method == Method::OPTIONS && head.parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    {
        return Decision::Respond(preflight(&head, origin));
    }
    access::decide(gateway, head, found)
}

/// Responds to a CORS preflight of an allowed origin. All request headers are allowed: only the MCP server knows which
/// `Mcp-Param-…` headers its tools use.
fn preflight(head: &RequestHead, origin: Option<&HeaderValue>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE, OPTIONS"));
    headers.insert(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    if let Some(requested) = head.parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    access::with_cors(response, origin)
}
