//! Failure of a forwarded request before its response head was passed on: the log line and the error response.

use super::{Body, Forward, RequestBodyError, UpstreamError};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;
use std::error::Error;
use std::fmt;

/// Error of a forwarded request. Causes go to the log, never to the client.
#[derive(Debug)]
pub(super) enum ProxyError {
    PathOutsideRoute,
    RequestBody(RequestBodyError),
    /// The grant was revoked or has expired.
    Cancelled,
    Connect(Box<dyn Error + Send + Sync>),
    ConnectTimeout,
    Upstream(UpstreamError),
    ResponseTimeout,
    /// The status cannot be forwarded, such as 401: the client cannot authenticate to the MCP server.
    UnusableStatus(StatusCode),
    RedirectOutsideTarget,
}

impl From<RequestBodyError> for ProxyError {
    fn from(error: RequestBodyError) -> Self {
        Self::RequestBody(error)
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PathOutsideRoute => f.write_str("the request path leaves its route"),
            Self::RequestBody(error) => error.fmt(f),
            Self::Cancelled => f.write_str("the grant was revoked or has expired"),
            Self::Connect(error) => write!(f, "upstream connection failed: {error}"),
            Self::ConnectTimeout => f.write_str("upstream connection timed out"),
            Self::Upstream(error) => write!(f, "upstream connection broke: {error}"),
            Self::ResponseTimeout => f.write_str("upstream response timed out"),
            Self::UnusableStatus(status) => write!(f, "upstream status {status} is not forwarded"),
            Self::RedirectOutsideTarget => f.write_str("upstream redirects to a URL outside the target"),
        }
    }
}

impl ProxyError {
    /// Logs the failure with its request id and route: at `warn` what the upstream has caused, at `info` the rest.
    pub(super) fn log(&self, forward: &Forward) {
        let request_id = forward.request_id.to_str().unwrap_or_default();
        let (route, status) = (forward.route.pattern, self.status().as_u16());
        match self {
            Self::PathOutsideRoute | Self::RequestBody(_) | Self::Cancelled => {
                tracing::info!(request_id, route, status, cause = %self, "request was not forwarded");
            }
            _ => tracing::warn!(request_id, route, status, cause = %self, "upstream request failed"),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::PathOutsideRoute | Self::RequestBody(RequestBodyError::Malformed) => {
                StatusCode::BAD_REQUEST
            }
            Self::RequestBody(RequestBodyError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestBody(RequestBodyError::Timeout) => StatusCode::REQUEST_TIMEOUT,
            Self::ConnectTimeout | Self::ResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Cancelled
            | Self::Connect(_)
            | Self::Upstream(_)
            | Self::UnusableStatus(_)
            | Self::RedirectOutsideTarget => StatusCode::BAD_GATEWAY,
        }
    }

    fn message(&self) -> &'static str {
        match self {
            Self::PathOutsideRoute => "the path leaves its MCP server",
            Self::RequestBody(RequestBodyError::Malformed) => "the request body is malformed",
            Self::RequestBody(RequestBodyError::TooLarge) => {
                "the request body is longer than this server takes"
            }
            Self::RequestBody(RequestBodyError::Timeout) => "the request body took too long",
            Self::Cancelled | Self::Connect(_) | Self::Upstream(_) => "the MCP server cannot be reached",
            Self::ConnectTimeout | Self::ResponseTimeout => "the MCP server did not answer in time",
            Self::UnusableStatus(_) | Self::RedirectOutsideTarget => {
                "the MCP server gave an answer that cannot be passed on"
            }
        }
    }

    /// Renders the failure as a JSON-RPC error response.
    pub(super) fn response(&self) -> Response<Body> {
        let error = json!({ "code": -32_000, "message": self.message() });
        let error = json!({ "jsonrpc": "2.0", "id": null, "error": error });
        let mut response = Response::new(Body::full(error.to_string().into()));
        *response.status_mut() = self.status();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

#[cfg(test)]
mod tests;
