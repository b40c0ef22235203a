//! The token request (RFC 6749 §3.2): what a client asks for.

use super::error::{ErrorCode, OAuthError};
use super::parameters::Parameters;
use crate::base::secret::Secret;

/// What a client asks for.
#[derive(Debug)]
pub enum TokenRequest {
    /// RFC 6749 §4.1.3.
    AuthorizationCode {
        /// The code.
        code: Secret,
        /// The PKCE verifier (RFC 7636 §4.5).
        verifier: Secret,
        /// Must be the one of the authorization, when it is sent (OAuth 2.1 §10.2 lets it go).
        redirect_uri: Option<String>,
    },
    /// RFC 6749 §6.
    RefreshToken {
        /// The refresh token.
        token: Secret,
        /// Fewer scopes than were granted.
        scope: Option<String>,
    },
}

impl TokenRequest {
    /// From the body.
    ///
    /// # Errors
    /// `invalid_request` or `unsupported_grant_type`.
    pub fn parse(body: &Parameters) -> Result<Self, OAuthError> {
        match body.require("grant_type")? {
            "authorization_code" => Ok(Self::AuthorizationCode {
                code: Secret::new(body.require("code")?),
                verifier: Secret::new(body.require("code_verifier")?),
                redirect_uri: body.get("redirect_uri").map(str::to_owned),
            }),
            "refresh_token" => Ok(Self::RefreshToken {
                token: Secret::new(body.require("refresh_token")?),
                scope: body.get("scope").map(str::to_owned),
            }),
            _ => Err(OAuthError::new(
                ErrorCode::UnsupportedGrantType,
                "grant_type must be authorization_code or refresh_token",
            )),
        }
    }
}
