//! HTTP responses, and the mapping of failures to them.

use crate::app::rate_limit::TooMany;
use crate::app::request::RequestHead;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::okta::OktaError;
use crate::pages;
use crate::store::Unavailable;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, LOCATION, PRAGMA, RETRY_AFTER,
    SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// The failure of a request, the client's or the gateway's.
#[derive(Debug)]
pub enum Failure {
    /// An OAuth error of the client, sent with its error code.
    OAuth(OAuthError),
    /// The client exceeded a rate limit: 429 with `Retry-After`.
    TooMany(TooMany),
    /// The store or Okta is unavailable: 503 with `Retry-After`; the cause is logged only.
    Unavailable(String),
    /// An internal error: 500; the cause is logged only.
    Internal(String),
}

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<TooMany> for Failure {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}

impl From<Unavailable> for Failure {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(cause.to_string())
    }
}

impl From<OktaError> for Failure {
    fn from(error: OktaError) -> Self {
        match error {
            OktaError::Unavailable(cause) => Self::Unavailable(format!("Okta: {cause}")),
            OktaError::Refused { error, description } => Self::OAuth(OAuthError::new(
                ErrorCode::AccessDenied,
                format!("Okta refused: {error}: {description}"),
            )),
            OktaError::Invalid(reason) => Self::Internal(format!("invalid response from Okta: {reason}")),
        }
    }
}

impl Failure {
    /// Converts into the OAuth error that the client receives, and logs the cause of the gateway's own failures.
    pub fn into_oauth_error(self) -> OAuthError {
        match self {
            Self::OAuth(error) => error,
            // Clients keep their tokens and registration at this code. At an unknown code, such as `slow_down`, the
            // TypeScript SDK aborts the refresh and starts a new login, which causes more requests.
            Self::TooMany(_) => OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "too many requests from this address or client: Retry-After says when to try again",
            ),
            Self::Unavailable(cause) => {
                tracing::warn!(cause, "service unavailable");
                OAuthError::new(
                    ErrorCode::TemporarilyUnavailable,
                    "a service behind the gateway does not answer: try again",
                )
            }
            Self::Internal(cause) => {
                tracing::error!(cause, "internal error");
                OAuthError::new(ErrorCode::ServerError, "the gateway failed: its log says why")
            }
        }
    }
}

/// Returns the JSON error response of an OAuth endpoint (RFC 6749 §5.2, RFC 7591 §3.2.2).
pub fn oauth_error(failure: Failure) -> Response<Bytes> {
    let too_many = if let Failure::TooMany(too_many) = &failure { Some(*too_many) } else { None };
    let error = failure.into_oauth_error();
    let body = json!({ "error": error.code.as_str(), "error_description": error.description });
    let status = match error.code {
        ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
        ErrorCode::TemporarilyUnavailable if too_many.is_some() => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = json(status, &body);
    match status {
        StatusCode::UNAUTHORIZED => set(&mut response, WWW_AUTHENTICATE, "Basic realm=\"mcp-gateway\""),
        StatusCode::SERVICE_UNAVAILABLE => set(&mut response, RETRY_AFTER, "2"),
        _ => {}
    }
    if let Some(TooMany { retry_after }) = too_many {
        set(&mut response, RETRY_AFTER, &retry_after.as_secs().to_string());
    }
    response
}

/// Returns 429 (RFC 6585 §4): a page for a browser, JSON for other clients.
pub fn too_many(head: &RequestHead, too_many: TooMany) -> Response<Bytes> {
    too_many_with(head, too_many, pages::Guidance::Text("Wait a minute, then reload this page."))
}

/// Returns 429 with the given guidance for the user.
pub fn too_many_with(
    head: &RequestHead,
    too_many: TooMany,
    what_to_do: pages::Guidance<'_>,
) -> Response<Bytes> {
    if !wants_page(head) {
        return oauth_error(too_many.into());
    }
    let seconds = too_many.retry_after.as_secs();
    let page = pages::Problem {
        title: "Please wait a moment",
        what_happened: "There were too many requests from your network in the last minute.",
        what_to_do,
        detail: "",
        request_id: head.request_id.as_str(),
    };
    let mut response = html(StatusCode::TOO_MANY_REQUESTS, page.page());
    set(&mut response, RETRY_AFTER, &seconds.to_string());
    response
}

/// Returns `true` if the client is a browser: clients that probe an authorization URL do not accept HTML.
pub fn wants_page(head: &RequestHead) -> bool {
    let accept = head.parts.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

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
