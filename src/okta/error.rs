//! Errors of requests to Okta.

use crate::crypto::jose::JoseError;
use std::time::Duration;
use thiserror::Error;

/// Error of a request to Okta.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OktaError {
    /// Outage: timeout, connection failure, 429 or 5xx.
    #[error("Okta is unavailable: {0}")]
    Unavailable(String),
    /// Okta rejected the gateway's own credentials, which says nothing about the user: an outage, too.
    #[error("Okta rejects the gateway's credentials: check OKTA_CLIENT_SECRET: {description}")]
    Credentials {
        /// Error description.
        description: String,
    },
    /// Okta returned an OAuth error.
    #[error("Okta returned an error: {error}: {description}")]
    Refused {
        /// Error code.
        error: String,
        /// Error description.
        description: String,
    },
    /// The ID token failed verification.
    #[error("invalid response from Okta: the ID token: {0}")]
    IdToken(#[source] JoseError),
    /// The response failed verification.
    #[error("invalid response from Okta: {0}")]
    Invalid(String),
}

impl OktaError {
    /// Returns the error of a request without a response within this time.
    pub fn no_response(limit: Duration) -> Self {
        Self::Unavailable(format!("no response within {} s", limit.as_secs()))
    }
}
