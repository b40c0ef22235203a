//! OAuth errors: the codes and descriptions that clients receive.

use std::borrow::Cow;
use thiserror::Error;

/// OAuth error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// RFC 6749 §4.1.2.1 and §5.2.
    InvalidRequest,
    /// RFC 6749 §5.2. Clients drop their registration when they see it.
    InvalidClient,
    /// RFC 6749 §5.2. Clients drop their tokens when they see it.
    InvalidGrant,
    /// RFC 6749 §5.2.
    UnsupportedGrantType,
    /// RFC 6749 §4.1.2.1.
    UnsupportedResponseType,
    /// RFC 8707 §2.
    InvalidTarget,
    /// RFC 6749 §4.1.2.1: denied by the user, by Okta or by the gateway's policy.
    AccessDenied,
    /// RFC 7591 §3.2.2.
    InvalidRedirectUri,
    /// RFC 7591 §3.2.2.
    InvalidClientMetadata,
    /// RFC 6749 §4.1.2.1: internal error of the gateway.
    ServerError,
    /// RFC 6749 §4.1.2.1: the store or Okta is unavailable.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// Code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

/// OAuth error response: a code, and a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {description}", .code.as_str())]
pub struct OAuthError {
    /// Machine-readable code.
    pub code: ErrorCode,
    /// Text for developers: printable ASCII without quotes and backslashes (RFC 6749 §5.2).
    pub description: Cow<'static, str>,
}

impl OAuthError {
    /// Creates an error. Characters that RFC 6749 §5.2 forbids in a description become `'` or are removed.
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        if description.bytes().all(is_allowed) {
            return Self { code, description };
        }
        let cleaned = description.chars().filter_map(|c| match c {
            '"' | '\\' | '`' => Some('\''),
            c if c.is_ascii() && is_allowed(c as u8) => Some(c),
            _ => None,
        });
        Self { code, description: cleaned.take(300).collect::<String>().into() }
    }

    /// `invalid_request` with this description.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// `invalid_grant` with this description.
    pub fn invalid_grant(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidGrant, description)
    }

    /// `invalid_client` with this description.
    pub fn invalid_client(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidClient, description)
    }
}

const fn is_allowed(byte: u8) -> bool {
    matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_contains_only_allowed_characters() {
        let refused = OAuthError::invalid_request("bad \"scope\"\r\nSet-Cookie: a=b\\ é");
        assert_eq!(refused.description, "bad 'scope'Set-Cookie: a=b' ");
    }
}
