//! Errors of requests to Okta.

use super::refusal;
use crate::crypto::jose::JoseError;
use std::time::Duration;
use thiserror::Error;

/// Error of a request to Okta.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OktaError {
    /// Outage: timeout, connection failure, 429, 5xx, or a response that is not an error of OAuth.
    #[error("Okta is unavailable: {0}")]
    Unavailable(String),
    /// Okta rejected the gateway's own credentials, which says nothing about the user.
    #[error(
        "Okta rejects the gateway's credentials: check OKTA_CLIENT_SECRET and OKTA_CLIENT_ID, and that the app is \
         active: {description}"
    )]
    Credentials {
        /// Error description.
        description: String,
    },
    /// Okta rejected the settings of the gateway's app or of its authorization server, which says nothing about the user.
    #[error("Okta rejects the settings of the gateway's app: {remedy}: {error}: {description}")]
    AppSettings {
        /// Error code.
        error: String,
        /// Error description.
        description: String,
        /// Setting to change.
        remedy: &'static str,
    },
    /// Okta refused the user.
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
    /// Classifies an OAuth error code, such as that of an authorization response (RFC 6749 §4.1.2.1).
    pub fn of_code(error: &str, description: &str) -> Self {
        refusal::classify(error, description)
    }

    /// Returns the error of a request without a response within this time.
    pub fn no_response(limit: Duration) -> Self {
        Self::Unavailable(format!("no response within {} s", limit.as_secs()))
    }

    /// Returns the error of a request that a panic or the shutdown of the gateway ended.
    pub fn aborted() -> Self {
        Self::Unavailable("the request was aborted by a fault of the gateway or by its shutdown".into())
    }

    /// Returns the error of a document or a token of another issuer than expected.
    pub(super) fn other_issuer(document: &str, issuer: &str, expected: &str) -> Self {
        let issuer: String = issuer.chars().filter(|c| !c.is_control()).take(200).collect();
        Self::Invalid(format!(
            "{document} is of the issuer {issuer}, but OKTA_URL and okta.authorization_server mean {expected}: set \
             OKTA_URL to {issuer}, or change the Issuer setting of the app or of the authorization server at Okta"
        ))
    }

    /// Returns `true` if an administrator must change the app's settings, at Okta or here.
    pub const fn needs_administrator(&self) -> bool {
        matches!(self, Self::Credentials { .. } | Self::AppSettings { .. })
    }

    /// Returns `true` if Okta refused the refresh token, perhaps because of the token and not of its user.
    pub fn is_about_token(&self) -> bool {
        matches!(self, Self::Refused { error, description }
            if error == "invalid_grant" && !refusal::names_policy(description))
    }

    /// Returns `true` if the refresh token may have failed where a new login works: Okta responded, and accepts the
    /// gateway's credentials.
    pub fn new_login_may_work(&self) -> bool {
        matches!(self, Self::AppSettings { remedy, .. } if *remedy != refusal::TOO_MANY_GROUPS_REMEDY)
    }
}
