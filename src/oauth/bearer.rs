//! The bearer token of a request, and the challenge that answers a bad one (RFC 6750, RFC 9728 §5.1).

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use std::fmt::Write as _;

/// What a request brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// No credentials, or some of another scheme.
    Nothing,
    /// A token, not yet looked at.
    Token(&'a str),
    /// The scheme is ours, but no token can be what follows.
    Malformed,
}

/// More than one `Authorization` header.
#[derive(Debug, PartialEq, Eq)]
pub struct Several;

/// The `Authorization` header, the only place where a token may stand (OAuth 2.1 §5.1.1).
///
/// # Errors
/// There are several.
pub fn credentials(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Several> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let credentials = values.next();
    if values.next().is_some() { Err(Several) } else { Ok(credentials) }
}

/// The bearer token of an `Authorization` header.
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

/// The grammar of RFC 6750 §2.1. Folded to the end rather than `all`: tokens are long, and the compiler then looks at
/// many bytes at once.
fn is_b64token(token: &str) -> bool {
    token.bytes().fold(true, |fits, byte| {
        fits & matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
    })
}

/// Why a request is challenged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It brought no token: no error code (RFC 6750 §3.1).
    NoToken,
    /// It brought a token twice, or where none may stand: 400 `invalid_request`.
    InvalidRequest,
    /// The token does not count: 401 `invalid_token`.
    InvalidToken,
    /// The token counts, but a scope is missing: 403 `insufficient_scope`.
    InsufficientScope,
}

/// The value of `WWW-Authenticate`: where the metadata is and which scopes are needed.
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
    fn a_bearer_token_is_read_whatever_the_case_of_its_scheme() {
        assert_eq!(presented("bearer a.b-c"), Presented::Token("a.b-c"));
    }

    #[test]
    fn anything_else_is_no_token() {
        assert_eq!(presented("Basic eDp5"), Presented::Nothing);
        for value in ["Bearer", "Bearer a b", "Bearer a,b"] {
            assert_eq!(presented(value), Presented::Malformed, "{value}");
        }
    }

    #[test]
    fn there_are_credentials_once_or_not_at_all() {
        let headers = |values: &[&'static str]| -> HeaderMap {
            values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
        };
        assert_eq!(credentials(&headers(&[])), Ok(None));
        assert!(credentials(&headers(&["Bearer a"])).unwrap().is_some());
        assert_eq!(credentials(&headers(&["Bearer a", "Bearer b"])), Err(Several));
    }
}
