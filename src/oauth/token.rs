//! Token request (RFC 6749 §3.2).

use super::error::{ErrorCode, OAuthError};
use super::parameters::Parameters;
use crate::base::secret::Secret;

/// Token request, by grant type.
#[derive(Debug)]
pub enum TokenRequest {
    /// Authorization code grant (RFC 6749 §4.1.3).
    AuthorizationCode {
        /// Authorization code.
        code: Secret,
        /// PKCE verifier (RFC 7636 §4.5).
        verifier: Secret,
        /// Must equal the redirect URI of the authorization request if sent; optional since OAuth 2.1 §10.2.
        redirect_uri: Option<String>,
    },
    /// Refresh (RFC 6749 §6). `scope` is not read: a token needs all scopes of its route.
    RefreshToken {
        /// Refresh token.
        token: Secret,
    },
}

impl TokenRequest {
    /// Parses the form body.
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
            "refresh_token" => Ok(Self::RefreshToken { token: Secret::new(body.require("refresh_token")?) }),
            _ => Err(OAuthError::new(
                ErrorCode::UnsupportedGrantType,
                "grant_type must be authorization_code or refresh_token",
            )),
        }
    }
}
