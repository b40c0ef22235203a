//! Bearer token of a request, and the `WWW-Authenticate` challenge (RFC 6750, RFC 9728 §5.1).

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use std::fmt::Write as _;
use thiserror::Error;

/// Bearer credentials of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// The header uses another authentication scheme.
    Nothing,
    /// A token, not yet verified.
    Token(&'a str),
    /// The scheme is `Bearer`, but no valid token follows.
    Malformed,
}

/// Error of a request with more than one `Authorization` header.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("the Authorization header is repeated")]
pub struct Repeated;

/// Returns the `Authorization` header, the only place where a token is accepted (OAuth 2.1 §5.1.1).
///
/// # Errors
/// The header is repeated.
pub fn credentials(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Repeated> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let credentials = values.next();
    if values.next().is_some() { Err(Repeated) } else { Ok(credentials) }
}

/// Parses the bearer token of an `Authorization` header.
pub fn presented(credentials: &HeaderValue) -> Presented<'_> {
    let Ok(text) = credentials.to_str() else { return Presented::Malformed };
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Presented::Nothing;
    }
    let token = token.trim_matches(' ');
    if token.is_empty() || !is_b64token(token) {
        return Presented::Malformed;
    }
    Presented::Token(token)
}

/// Checks the `b64token` grammar of RFC 6750 §2.1. `fold` instead of `all` lets the compiler vectorize: tokens are
/// long.
fn is_b64token(token: &str) -> bool {
    token.bytes().fold(true, |valid, byte| {
        valid & matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
    })
}

/// Reason of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No token: the challenge has no error code (RFC 6750 §3.1).
    NoToken,
    /// A repeated token, or a token outside the `Authorization` header: 400 `invalid_request`.
    InvalidRequest,
    /// The token is not valid: 401 `invalid_token`.
    InvalidToken,
    /// The token lacks a required scope: 403 `insufficient_scope`.
    InsufficientScope,
}

/// Builds the value of `WWW-Authenticate` with the metadata URL and the required scopes.
pub fn challenge(reason: Reason, metadata_url: &str, scopes: &[&str]) -> String {
    let mut challenge = String::from("Bearer ");
    match reason {
        Reason::NoToken => {}
        Reason::InvalidRequest => challenge.push_str(
            r#"error="invalid_request", error_description="send one token, in one Authorization header", "#,
        ),
        Reason::InvalidToken => challenge.push_str(
            r#"error="invalid_token", error_description="the access token is expired, revoked or not for this server", "#,
        ),
        Reason::InsufficientScope => challenge
            .push_str(r#"error="insufficient_scope", error_description="the token lacks a scope that this call needs", "#),
    }
    let scopes = scopes.join(" ");
    write!(challenge, r#"resource_metadata="{metadata_url}", scope="{scopes}""#)
        .expect("writing to a String does not fail");
    challenge
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(credentials: &'static str) -> Presented<'static> {
        let credentials: &'static HeaderValue = Box::leak(Box::new(HeaderValue::from_static(credentials)));
        super::presented(credentials)
    }

    #[test]
    fn the_scheme_is_case_insensitive() {
        assert_eq!(presented("bearer a.b-c"), Presented::Token("a.b-c"));
    }

    #[test]
    fn other_schemes_and_malformed_tokens_are_not_accepted() {
        assert_eq!(presented("Basic eDp5"), Presented::Nothing);
        for value in ["Bearer", "Bearer a b", "Bearer a,b"] {
            assert_eq!(presented(value), Presented::Malformed, "{value}");
        }
    }

    #[test]
    fn a_repeated_authorization_header_is_rejected() {
        let headers = |values: &[&'static str]| -> HeaderMap {
            values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
        };
        assert_eq!(credentials(&headers(&[])), Ok(None));
        assert!(credentials(&headers(&["Bearer a"])).unwrap().is_some());
        assert_eq!(credentials(&headers(&["Bearer a", "Bearer b"])), Err(Repeated));
    }
}
