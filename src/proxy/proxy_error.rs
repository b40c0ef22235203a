//! Failure of a forwarded request before its response head was passed on.

use super::{
    CancelReason, ConflictingHeader, ConnectError, OutsideTarget, RequestBodyError, UpstreamError, Violation,
};
use http::StatusCode;
use thiserror::Error;

/// Error of a forwarded request. The error and its sources are for the log; the client gets [`ProxyError::message`].
#[derive(Debug, Error)]
pub enum ProxyError {
    /// The path is not below the route's pattern.
    #[error("the request path leaves its route")]
    PathOutsideRoute,
    /// The request body cannot be forwarded.
    #[error(transparent)]
    RequestBody(#[from] RequestBodyError),
    /// The request was cancelled before its response head arrived.
    #[error("{reason}")]
    Cancelled {
        /// The reason.
        reason: CancelReason,
        /// Path of the client's request.
        path: Box<str>,
    },
    /// No connection to the MCP server.
    #[error("upstream connection failed")]
    Connect(#[source] ConnectError),
    /// No connection to the MCP server within the connect timeout.
    #[error("upstream connection timed out")]
    ConnectTimeout,
    /// The connection broke before the response head was complete.
    #[error("upstream connection broke")]
    Upstream(#[source] UpstreamError),
    /// No response head within the response timeout.
    #[error("upstream response timed out")]
    ResponseTimeout,
    /// Status 401 from an MCP server whose route has no `upstream_headers`.
    #[error("the server requires a credential of its own (status 401): set `upstream_headers` of the route")]
    CredentialRequired,
    /// Status 401 in spite of the route's `upstream_headers`.
    #[error("the server rejects the credential in `upstream_headers` of the route (status 401)")]
    CredentialRejected,
    /// The status cannot be forwarded, such as 407.
    #[error("upstream status {0} is not forwarded")]
    UnusableStatus(StatusCode),
    /// A single-valued header has different values.
    #[error("upstream response is ambiguous")]
    ConflictingHeader(#[from] ConflictingHeader),
    /// `Location` names a URL outside the target.
    #[error("upstream redirects to a URL outside the target")]
    RedirectOutsideTarget(#[source] Box<OutsideTarget>),
}

impl ProxyError {
    /// Returns `true` if the client or the policy ended the request, and not the MCP server or the store.
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::PathOutsideRoute | Self::RequestBody(_) => true,
            Self::Cancelled { reason, .. } => reason.is_refusal(),
            _ => false,
        }
    }

    /// Returns the status of the error response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::PathOutsideRoute | Self::RequestBody(RequestBodyError::Malformed) => {
                StatusCode::BAD_REQUEST
            }
            Self::RequestBody(RequestBodyError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestBody(RequestBodyError::Timeout) => StatusCode::REQUEST_TIMEOUT,
            Self::ConnectTimeout | Self::ResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Cancelled { reason, .. } => match reason {
                CancelReason::GrantEnded => StatusCode::UNAUTHORIZED,
                CancelReason::NotAuthorized => StatusCode::FORBIDDEN,
                CancelReason::Unchecked => StatusCode::SERVICE_UNAVAILABLE,
            },
            Self::Connect(_)
            | Self::Upstream(_)
            | Self::CredentialRequired
            | Self::CredentialRejected
            | Self::UnusableStatus(_)
            | Self::ConflictingHeader(_)
            | Self::RedirectOutsideTarget(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// Returns the message for the client, without internal details.
    pub fn message(&self) -> &'static str {
        match self {
            Self::PathOutsideRoute => "the path leaves its MCP server",
            Self::RequestBody(RequestBodyError::Malformed) => "the request body is malformed",
            Self::RequestBody(RequestBodyError::TooLarge) => {
                "the request body is longer than this server takes"
            }
            Self::RequestBody(RequestBodyError::Timeout) => "the request body took too long",
            Self::Cancelled { reason, .. } => match reason {
                CancelReason::GrantEnded => "the access token does not count",
                CancelReason::NotAuthorized => "you may no longer use this MCP server",
                CancelReason::Unchecked => "the gateway cannot check the grant now",
            },
            Self::Connect(ConnectError::Tcp(_)) => "the MCP server cannot be reached",
            Self::Connect(ConnectError::Unusable(_)) => {
                "the MCP server closed the connection or sent unexpected data"
            }
            Self::Connect(
                ConnectError::Tls(_) | ConnectError::ServerName(_) | ConnectError::NoAuthorities,
            ) => "no TLS connection to the MCP server can be made",
            Self::Upstream(UpstreamError::Io(_) | UpstreamError::Protocol(Violation::NoResponse)) => {
                "the connection to the MCP server broke"
            }
            Self::ConnectTimeout | Self::ResponseTimeout => "the MCP server did not respond in time",
            Self::CredentialRequired => {
                "the MCP server requires a credential of its own: the administrator of the gateway can set it \
                 (upstream_headers)"
            }
            Self::CredentialRejected => {
                "the MCP server rejects the gateway's credential: the administrator of the gateway can correct it \
                 (upstream_headers)"
            }
            Self::Upstream(UpstreamError::Protocol(_)) | Self::ConflictingHeader(_) => {
                "the MCP server sent an invalid response"
            }
            Self::UnusableStatus(_) | Self::RedirectOutsideTarget(_) => {
                "the MCP server sent a response that cannot be forwarded"
            }
        }
    }
}

#[cfg(test)]
mod tests;
