//! Failures of requests to the OAuth endpoints. [`Failure::report`] writes the audit event and the log line, and returns
//! the failure for the response: JSON, a redirect or a page.

mod response;

pub use response::{ProblemText, Reported};

use crate::app::audit::{Audit, Outcome};
use crate::app::audit_subject::AuditSubject;
use crate::app::failure_log::{FailedRequest, FailureKind};
use crate::app::rate_limit::{Kind, TooMany};
use crate::app::request::Request;
use crate::app::request_error::RequestError;
use crate::base::error_chain::ErrorChain;
use crate::crypto::jose::JoseError;
use crate::fetch::FetchError;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::okta::OktaError;
use crate::store::Unavailable;
use http::StatusCode;
use thiserror::Error;

/// The failure of a request, the client's or the gateway's.
#[derive(Debug, Error)]
pub enum Failure {
    /// An OAuth error of the client, sent with its error code.
    #[error("{0}")]
    OAuth(OAuthError),
    /// A `client_id` without a metadata document at its URL. The client is not told the reason, so that nobody can use
    /// the gateway to probe other servers.
    #[error("{told}")]
    ClientDocument {
        /// The error for the client.
        told: OAuthError,
        /// The reason.
        #[source]
        error: FetchError,
    },
    /// The login cannot continue in this browser: a page asks the user to start again.
    #[error(transparent)]
    Restart(#[from] RestartReason),
    /// The client exceeded a rate limit: 429 with `Retry-After`.
    #[error("too many requests")]
    TooMany(TooMany),
    /// The request has not been handled: its method, content or body is wrong, or its handler did not respond.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A service that the gateway needs is unavailable: 503 with `Retry-After`; the cause is logged only.
    #[error(transparent)]
    Unavailable(#[from] Outage),
    /// An internal error: 500; the cause is logged only.
    #[error(transparent)]
    Internal(#[from] InternalError),
}

/// Reason why a login cannot continue in this browser; the text is for the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RestartReason {
    /// The form has expired, or was not issued by this gateway.
    #[error("The page was open for too long, or is not ours.")]
    InvalidForm,
    /// The form was posted without the page's cookie, or from another origin.
    #[error("The form did not come from the page of this sign-in, or it was submitted before.")]
    ForeignForm,
    /// The form was decided before.
    #[error("This page was submitted before.")]
    AlreadyDecided,
    /// Okta's authorization response has no `state`.
    #[error("Okta's response lacks its state.")]
    MissingState,
    /// There is no login with this `state`.
    #[error("This login has expired, or was finished before.")]
    UnknownLogin,
    /// The login is bound to the cookie of another browser.
    #[error("This login was begun in another browser.")]
    OtherBrowser,
    /// The request has none of the gateway's cookies.
    #[error(
        "Your browser sent no cookie of this gateway: it blocks cookies, or the page was submitted before, or was opened \
         in another browser."
    )]
    NoCookies,
}

/// An outage of a service that the gateway needs.
#[derive(Debug, Error)]
pub enum Outage {
    /// The store.
    #[error(transparent)]
    Store(#[from] Unavailable),
    /// The store, which did not take the user's denial: the client is told all the same.
    #[error("the denial could not be stored")]
    Denial(#[source] Unavailable),
    /// Okta.
    #[error(transparent)]
    Okta(#[from] OktaError),
    /// Okta, by the error of its authorization response, and what the client is told about it.
    #[error("Okta did not sign the user in")]
    SignIn {
        /// The error.
        #[source]
        error: OktaError,
        /// The error for the client.
        told: OAuthError,
    },
    /// Okta, for longer than `okta_grace`; the error of the last request is the source, if this replica made it.
    #[error("the user could not be revalidated for longer than okta_grace")]
    Revalidation(#[source] Option<OktaError>),
    /// A client's metadata document or key set.
    #[error("fetch of the client document {url}: {error}")]
    Document {
        /// The URL of the document.
        url: String,
        /// The error of the fetch.
        #[source]
        error: FetchError,
    },
    /// A key that a client's key set does not contain; it was fetched within the last minute.
    #[error("the key set {url} has no such key and was refetched within the last minute")]
    UnknownKey {
        /// The URL of the key set.
        url: String,
    },
}

/// An internal error of the gateway.
#[derive(Debug, Error)]
pub enum InternalError {
    /// Okta's response failed verification.
    #[error(transparent)]
    Okta(#[from] OktaError),
    /// A client registered `private_key_jwt` without keys.
    #[error("a client of private_key_jwt has no keys")]
    MissingClientKeys,
    /// A consent form could not be sealed.
    #[error("a consent form could not be sealed")]
    ConsentForm(#[source] serde_json::Error),
    /// An access token could not be signed.
    #[error("an access token could not be signed")]
    AccessToken(#[source] JoseError),
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
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<OktaError> for Failure {
    fn from(error: OktaError) -> Self {
        match error {
            OktaError::Refused { error, description } => Self::OAuth(OAuthError::new(
                ErrorCode::AccessDenied,
                format!("Okta refused: {error}: {description}"),
            )),
            // Okta may publish a new key after it has signed with it.
            OktaError::IdToken(JoseError::UnknownKey) => Self::Unavailable(error.into()),
            OktaError::Invalid(_) | OktaError::IdToken(_) => Self::Internal(error.into()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl RestartReason {
    const fn status(self) -> StatusCode {
        match self {
            Self::ForeignForm | Self::OtherBrowser | Self::NoCookies => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl Outage {
    const fn kind(&self) -> FailureKind {
        match self {
            Self::Store(_) => FailureKind::Store,
            Self::Denial(_) => FailureKind::Denial,
            Self::Okta(error) | Self::SignIn { error, .. } | Self::Revalidation(Some(error))
                if error.needs_administrator() =>
            {
                FailureKind::OktaSettings
            }
            Self::Okta(_) | Self::SignIn { .. } | Self::Revalidation(_) => FailureKind::Okta,
            Self::Document { .. } | Self::UnknownKey { .. } => FailureKind::Document,
        }
    }
}

impl Failure {
    /// Writes the failure to the audit log and, when it is not the client's, to the log. Called once per failure.
    pub fn report<'a>(self, request: Request<'a>, kind: Kind, subject: &AuditSubject) -> Reported<'a> {
        let (outcome, log_kind) = match &self {
            Self::OAuth(_) | Self::ClientDocument { .. } | Self::Restart(_) | Self::TooMany(_) => {
                (Outcome::Refused, None)
            }
            Self::Request(error) => (error.outcome(), error.failure_kind()),
            Self::Unavailable(outage) => (Outcome::Failed, Some(outage.kind())),
            Self::Internal(_) => (Outcome::Failed, Some(FailureKind::Internal)),
        };
        if let Some(log_kind) = log_kind {
            self.log(request, kind, log_kind);
        }
        let reason = &ErrorChain(&self).to_string();
        subject.record(Audit { outcome, reason, ..request.allowed(kind.as_str()) });
        Reported { request, kind, failure: self }
    }

    /// Writes an outage that does not end the request to the log.
    pub fn note(self, request: Request<'_>, kind: Kind) {
        let log_kind = match &self {
            Self::Unavailable(Outage::Document { .. }) => FailureKind::DocumentCopy,
            Self::Unavailable(outage) => match (outage, outage.kind()) {
                (Outage::Revalidation(_), FailureKind::Okta) => FailureKind::Revalidation,
                (_, kind) => kind,
            },
            _ => FailureKind::Internal,
        };
        self.log(request, kind, log_kind);
    }

    fn log(&self, request: Request<'_>, kind: Kind, log_kind: FailureKind) {
        let (request_id, event, cause) = (request.id(), kind.as_str(), ErrorChain(self));
        let failed = FailedRequest { request_id, event, route: "", cause };
        request.gateway.failure_log.write(log_kind, failed);
    }

    /// Returns the OAuth error that the client receives.
    fn oauth_error(&self) -> OAuthError {
        match self {
            Self::OAuth(error) | Self::ClientDocument { told: error, .. } => error.clone(),
            Self::Restart(reason) => OAuthError::invalid_request(reason.to_string()),
            // Clients keep their tokens and registration at this code. At an unknown code, such as `slow_down`, the
            // TypeScript SDK aborts the refresh and starts a new login, which causes more requests.
            Self::TooMany(_) => OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "too many requests from this address or client: Retry-After says when to try again",
            ),
            Self::Request(error) => {
                let code = match error.status().as_u16() {
                    429 | 503 => ErrorCode::TemporarilyUnavailable,
                    500.. => ErrorCode::ServerError,
                    _ => ErrorCode::InvalidRequest,
                };
                OAuthError::new(code, error.message().to_owned())
            }
            Self::Unavailable(Outage::SignIn { told, .. }) => told.clone(),
            Self::Unavailable(Outage::Document { .. }) => OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "what the app publishes about itself could not be fetched: try again",
            ),
            Self::Unavailable(_) => OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "a service behind the gateway does not respond: try again",
            ),
            Self::Internal(_) => {
                OAuthError::new(ErrorCode::ServerError, "the gateway failed: its log says why")
            }
        }
    }

    /// Returns the status of the response, where it is not a redirect.
    fn status(&self) -> StatusCode {
        match self {
            Self::OAuth(OAuthError { code: ErrorCode::InvalidClient, .. }) | Self::ClientDocument { .. } => {
                StatusCode::UNAUTHORIZED
            }
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::OAuth(_) => StatusCode::BAD_REQUEST,
            Self::Restart(reason) => reason.status(),
            Self::Request(error) => error.status(),
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
