//! Failures of requests, and the one mapping of them to responses.

use crate::app::rate_limit::TooMany;
use crate::app::reply;
use crate::app::request::RequestHead;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::okta::OktaError;
use crate::pages;
use crate::store::Unavailable;
use bytes::Bytes;
use http::header::{ACCEPT, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;

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
    let mut response = reply::json(status, &body);
    match status {
        StatusCode::UNAUTHORIZED => {
            reply::set(&mut response, WWW_AUTHENTICATE, "Basic realm=\"mcp-gateway\"")
        }
        StatusCode::SERVICE_UNAVAILABLE => reply::set(&mut response, RETRY_AFTER, "2"),
        _ => {}
    }
    if let Some(TooMany { retry_after }) = too_many {
        reply::set(&mut response, RETRY_AFTER, &retry_after.as_secs().to_string());
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
    let mut response = reply::html(StatusCode::TOO_MANY_REQUESTS, page.page());
    reply::set(&mut response, RETRY_AFTER, &seconds.to_string());
    response
}

/// Returns `true` if the client is a browser: clients that probe an authorization URL do not accept HTML.
pub fn wants_page(head: &RequestHead) -> bool {
    let accept = head.parts.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
