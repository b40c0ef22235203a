//! Answers in HTTP, and the one mapping from failures to them.

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

/// A request that failed: theirs or ours.
#[derive(Debug)]
pub enum Failure {
    /// Theirs: it goes out with its code.
    OAuth(OAuthError),
    /// Theirs, and passing: they asked too often.
    TooMany(TooMany),
    /// Ours, and passing: the store or Okta does not answer. Logged; says 503 and when to come back.
    Unavailable(String),
    /// Ours: logged, says nothing.
    Internal(String),
}

impl From<OAuthError> for Failure {
    fn from(refused: OAuthError) -> Self {
        Self::OAuth(refused)
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
            OktaError::Untrustworthy(reason) => {
                Self::Internal(format!("Okta's answer is not to be trusted: {reason}"))
            }
        }
    }
}

impl Failure {
    /// What a client may know of it.
    pub fn public(self) -> OAuthError {
        match self {
            Self::OAuth(refused) => refused,
            // Clients keep their tokens and their registration at this code. At one that they do not know, such as
            // `slow_down`, the TypeScript SDK gives the refresh up and begins a new login: more requests still.
            Self::TooMany(_) => OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "too many requests from this address or client: Retry-After says when to try again",
            ),
            Self::Unavailable(cause) => {
                tracing::warn!(cause, "unavailable");
                OAuthError::new(
                    ErrorCode::TemporarilyUnavailable,
                    "a service behind the gateway does not answer: try again",
                )
            }
            Self::Internal(cause) => {
                tracing::error!(cause, "broken");
                OAuthError::new(ErrorCode::ServerError, "the gateway failed: its log says why")
            }
        }
    }
}

/// The JSON of a refusal at an endpoint that answers JSON (RFC 6749 §5.2, RFC 7591 §3.2.2).
pub fn refused(failure: Failure) -> Response<Bytes> {
    let too_many = if let Failure::TooMany(too_many) = &failure { Some(*too_many) } else { None };
    let refused = failure.public();
    let body = json!({ "error": refused.code.as_str(), "error_description": refused.description });
    let status = match refused.code {
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

/// 429 (RFC 6585 §4): a page for a browser, JSON for a program.
pub fn too_many(head: &RequestHead, too_many: TooMany) -> Response<Bytes> {
    too_many_with(head, too_many, pages::Guidance::Text("Wait a minute, then reload this page."))
}

/// 429 with other words about what the person can do.
pub fn too_many_with(
    head: &RequestHead,
    too_many: TooMany,
    what_to_do: pages::Guidance<'_>,
) -> Response<Bytes> {
    if !wants_page(head) {
        return refused(too_many.into());
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

/// Whether a browser asks: programs that look at an authorization URL first do not name HTML.
pub fn wants_page(head: &RequestHead) -> bool {
    let accept = head.parts.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// A JSON answer that is never cached (RFC 6749 §5.1 wants both headers).
pub fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, "application/json");
    set(&mut response, CACHE_CONTROL, "no-store");
    set(&mut response, PRAGMA, "no-cache");
    response
}

/// A JSON document that any browser script may read, and caches for a while.
pub fn document(body: &Value) -> Response<Bytes> {
    let mut response = json(StatusCode::OK, body);
    set(&mut response, CACHE_CONTROL, "public, max-age=60");
    response.headers_mut().remove(PRAGMA);
    cors_any_origin(response)
}

/// Lets scripts of any origin read the answer: what it says is public or comes with credentials of its own.
pub fn cors_any_origin(mut response: Response<Bytes>) -> Response<Bytes> {
    set(&mut response, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    let exposed = HeaderName::from_static("access-control-expose-headers");
    set(&mut response, exposed, "WWW-Authenticate");
    response
}

/// A page.
pub fn html(status: StatusCode, page: pages::Page) -> Response<Bytes> {
    let mut response = Response::new(page.html.into());
    *response.status_mut() = status;
    for (name, value) in pages::headers() {
        set(&mut response, HeaderName::from_static(name), value);
    }
    response
}

/// Sends the browser on by GET.
pub fn redirect(to: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::FOUND;
    set(&mut response, LOCATION, to);
    set(&mut response, CACHE_CONTROL, "no-store");
    set(&mut response, HeaderName::from_static("referrer-policy"), "no-referrer");
    response
}

/// Adds a cookie.
pub fn with_cookie(mut response: Response<Bytes>, cookie: &str) -> Response<Bytes> {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

/// Sets a header whose value we made.
pub fn set(response: &mut Response<Bytes>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    } else {
        tracing::error!(header = %name, "a value that no header can hold was left out");
    }
}
