//! Errors that end a request before, or instead of, its response, and what the client is told about them.
//!
//! The error and its sources are for the log and the audit event; the client gets [`RequestError::status`] and
//! [`RequestError::message`], which have no internal details.

use crate::app::audit::Outcome;
use crate::app::failure_log::FailureKind;
use crate::app::rate_limit::TooMany;
use crate::credential::TokenError;
use crate::oauth::bearer::Reason;
use crate::proxy::{CancelReason, ProxyError};
use crate::store::Unavailable;
use http::StatusCode;
use std::error::Error as StdError;
use std::time::Duration;
use thiserror::Error;

/// `Retry-After` while the gateway or an address has all its connections in use, and during a shutdown.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(5);
/// `Retry-After` while a service is unavailable.
pub const OUTAGE_RETRY_AFTER: Duration = Duration::from_secs(2);

/// Error that ends a request before, or instead of, its response.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The connections or concurrent requests of the gateway are in use.
    #[error("the connection limit is reached")]
    ConnectionLimit,
    /// Those of the client's address are in use.
    #[error("the connection limit of the address is reached")]
    AddressLimit,
    /// CONNECT or TRACE.
    #[error("the method is CONNECT or TRACE")]
    UnsupportedMethod,
    /// The request target is `*` or an authority.
    #[error("the request target has no path")]
    TargetWithoutPath,
    /// `Host` is missing, repeated or another one: DNS rebinding, or a proxy that replaces it.
    #[error(transparent)]
    ForeignHost(Box<HostMismatch>),
    /// Scripts of the origin may not call MCP servers.
    #[error("the origin may not call MCP servers")]
    ForeignOrigin,
    /// No endpoint has the path.
    #[error("no endpoint has this path")]
    NotFound,
    /// The endpoint does not have the method.
    #[error("the endpoint does not have this method")]
    MethodNotAllowed,
    /// Content that the method does not define.
    #[error("the request has content that its method does not define")]
    UndefinedContent,
    /// A path that servers may read differently.
    #[error("the path has a dot segment, an empty segment or an encoded slash")]
    AmbiguousPath,
    /// A header that servers may read differently.
    #[error("an MCP header is repeated with different values, or has a look-alike")]
    RepeatedHeader,
    /// The access token is missing, invalid or insufficient; the response has the challenge.
    #[error(transparent)]
    Denied(Box<Denied>),
    /// The signature of the token was not verified: too many were wrong. Not 401, at which clients discard tokens.
    #[error("too many tokens with an invalid signature")]
    ForgeryLimit(TooMany),
    /// The user is in none of the route's groups; holds the message for the user.
    #[error("the user is in none of the route's groups")]
    NotInGroup(String),
    /// The status of the grant is unknown. Not 401, at which clients discard tokens.
    #[error("the grant cannot be checked")]
    StoreUnavailable(#[source] Unavailable),
    /// The read of the grant's status panicked, or the gateway is shutting down.
    #[error("the check of the grant was aborted")]
    CheckAborted,
    /// The request could not be forwarded.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The body exceeds the endpoint's limit.
    #[error("the request body is longer than the endpoint takes")]
    BodyTooLong,
    /// The body is malformed, or its client has disconnected.
    #[error("the request body could not be read")]
    BodyUnreadable(#[source] Box<dyn StdError + Send + Sync>),
    /// The body did not arrive in time.
    #[error("the request body took too long")]
    BodyTimeout,
    /// The handler panicked, or the gateway is shutting down.
    #[error("the handler of the request was aborted")]
    HandlerAborted,
    /// There was no response before the end of the shutdown.
    #[error("no response before the end of the shutdown")]
    ShutDown,
    /// The filters replied without a decision, which is a programming error.
    #[error("a filter replied without a decision")]
    NoDecision,
}

/// `Host` of a request, and the one that the gateway requires.
#[derive(Debug, Error)]
#[error("the Host is {received:?}, and this gateway's is {expected:?}")]
pub struct HostMismatch {
    /// Host of the request, truncated; several are separated by commas, and none is empty.
    pub received: String,
    /// Authority of `base_url`.
    pub expected: String,
}

/// Access that was denied because of the token, with the challenge that tells the client how to get another.
#[derive(Debug, Error)]
#[error("{denial}")]
pub struct Denied {
    /// The reason.
    pub denial: Denial,
    /// Value of `WWW-Authenticate`.
    pub challenge: String,
}

/// Reason to deny access because of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Denial {
    /// No `Authorization` header.
    #[error("no access token")]
    NoToken,
    /// Credentials of another scheme than `Bearer`.
    #[error("no access token, but credentials of another scheme")]
    OtherScheme,
    /// The `Authorization` header is repeated.
    #[error("several Authorization headers")]
    SeveralTokens,
    /// A token in the query, which OAuth 2.1 §5.1 forbids.
    #[error("an access token in the query")]
    TokenInQuery,
    /// The header has no token by the grammar of RFC 6750 §2.1.
    #[error("the bearer credentials are malformed")]
    Malformed,
    /// The token is not valid for the route.
    #[error("{0}")]
    InvalidToken(TokenError),
    /// The token's grant is revoked or has expired.
    #[error("the grant is revoked or has ended")]
    GrantEnded,
    /// The token lacks a scope of the route.
    #[error("a scope is missing")]
    MissingScope,
}

impl Denial {
    /// Returns the reason that the challenge states.
    pub const fn challenge_reason(self) -> Reason {
        match self {
            Self::NoToken | Self::OtherScheme => Reason::NoToken,
            Self::SeveralTokens | Self::TokenInQuery => Reason::InvalidRequest,
            Self::Malformed | Self::InvalidToken(_) | Self::GrantEnded => Reason::InvalidToken,
            Self::MissingScope => Reason::InsufficientScope,
        }
    }
}

impl RequestError {
    /// Returns the outcome in the audit log: refused if the client or the policy is the cause, else failed.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Proxy(error) if error.is_refusal() => Outcome::Refused,
            Self::Proxy(_)
            | Self::ConnectionLimit
            | Self::StoreUnavailable(_)
            | Self::CheckAborted
            | Self::HandlerAborted
            | Self::ShutDown
            | Self::NoDecision => Outcome::Failed,
            _ => Outcome::Refused,
        }
    }

    /// Returns the kind of failure for the log; `None` where the client or the policy is the cause, and for the connection
    /// limit, which `Admission` logs as it does connections that it refuses.
    pub fn failure_kind(&self) -> Option<FailureKind> {
        match self {
            Self::ForeignHost(_) => Some(FailureKind::Host),
            Self::StoreUnavailable(_)
            | Self::Proxy(ProxyError::Cancelled { reason: CancelReason::Unchecked, .. }) => {
                Some(FailureKind::Store)
            }
            Self::Proxy(error) => (!error.is_refusal()).then_some(FailureKind::Server),
            Self::ShutDown => Some(FailureKind::ShutDown),
            Self::CheckAborted | Self::HandlerAborted | Self::NoDecision => Some(FailureKind::Internal),
            _ => None,
        }
    }

    /// Returns the status of the error response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TargetWithoutPath
            | Self::UndefinedContent
            | Self::AmbiguousPath
            | Self::RepeatedHeader
            | Self::BodyUnreadable(_) => StatusCode::BAD_REQUEST,
            Self::ForeignHost(_) | Self::ForeignOrigin | Self::NotInGroup(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::UnsupportedMethod | Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::AddressLimit | Self::ForgeryLimit(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::ConnectionLimit | Self::StoreUnavailable(_) | Self::CheckAborted | Self::ShutDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::HandlerAborted | Self::NoDecision => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Proxy(error) => error.status(),
            Self::Denied(denied) => match denied.denial.challenge_reason() {
                Reason::NoToken | Reason::InvalidToken => StatusCode::UNAUTHORIZED,
                Reason::InvalidRequest => StatusCode::BAD_REQUEST,
                Reason::InsufficientScope => StatusCode::FORBIDDEN,
            },
        }
    }

    /// Returns the time after which the client may try again, if that may help.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::ConnectionLimit | Self::AddressLimit | Self::ShutDown => Some(BUSY_RETRY_AFTER),
            Self::StoreUnavailable(_)
            | Self::CheckAborted
            | Self::Proxy(ProxyError::Cancelled { reason: CancelReason::Unchecked, .. }) => {
                Some(OUTAGE_RETRY_AFTER)
            }
            Self::ForgeryLimit(too_many) => Some(too_many.retry_after),
            _ => None,
        }
    }

    /// Returns the message for the client.
    pub fn message(&self) -> &str {
        match self {
            Self::ConnectionLimit => "the gateway has all its connections in use: try again in a few seconds",
            Self::AddressLimit => {
                "too many connections and concurrent requests from this address: close some, or try again later"
            }
            Self::UnsupportedMethod => "no endpoint here has that method",
            Self::TargetWithoutPath => "ask for a path: there is nothing that concerns the server as a whole",
            Self::ForeignHost(_) => "this Host is not this gateway's: connect by its own URL",
            Self::ForeignOrigin => "this origin may not call MCP servers here",
            Self::NotFound => "there is nothing here: see the list of servers at /",
            Self::MethodNotAllowed => "this endpoint does not have that method",
            Self::UndefinedContent => "requests of this method have no content: send it without a body",
            Self::AmbiguousPath => "the path has a dot segment, an empty segment or an encoded slash",
            Self::RepeatedHeader => {
                "an MCP header is repeated with different values, or another one has almost the same name"
            }
            Self::Denied(denied) => match denied.denial.challenge_reason() {
                Reason::NoToken => "sign in first: WWW-Authenticate says where",
                Reason::InvalidRequest => "send one token, in the Authorization header and nowhere else",
                Reason::InvalidToken => "the access token does not count",
                Reason::InsufficientScope => "the access token lacks a scope",
            },
            Self::ForgeryLimit(_) => {
                "too many tokens of this network have a wrong signature: Retry-After says when to try again"
            }
            Self::NotInGroup(message) => message,
            Self::StoreUnavailable(_) | Self::CheckAborted => "the gateway cannot check the grant now",
            Self::Proxy(error) => error.message(),
            Self::BodyTooLong => "the body is too long",
            Self::BodyUnreadable(_) => "the body could not be read",
            Self::BodyTimeout => "the body took too long",
            Self::HandlerAborted | Self::NoDecision => "the gateway failed",
            Self::ShutDown => {
                "the gateway is shutting down and had no response in time: the request may have been carried out"
            }
        }
    }
}
