//! Names, identifiers, scopes and host names.

use super::super::problem::{ValueError, quoted};
use super::{ParseResult, leak};
use crate::AuthorizationServer;

/// Parses a display name: one line of at most 80 characters.
pub(crate) fn label(text: &str) -> ParseResult<&'static str> {
    line(text, 80)
}

/// Parses a description: one line of at most 300 characters.
pub(crate) fn sentence(text: &str) -> ParseResult<&'static str> {
    line(text, 300)
}

/// Parses the name of an Okta group or claim.
pub(crate) fn identifier(text: &str) -> ParseResult<&'static str> {
    line(text, 255)
}

/// Parses an Okta id.
pub(crate) fn okta_id(text: &str) -> ParseResult<&'static str> {
    if !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    {
        return Ok(leak(text));
    }
    let message = format!("{} is not an id", quoted(text));
    Err(ValueError::new(message, "copy it from Okta's admin console: letters, digits, `-`, `_` and `.`"))
}

/// Parses `org`, `default` or the id of a custom authorization server.
pub(crate) fn authorization_server(text: &str) -> ParseResult<AuthorizationServer> {
    match okta_id(text)? {
        "org" => Ok(AuthorizationServer::Org),
        id => Ok(AuthorizationServer::Custom(id)),
    }
}

/// Parses a scope token (RFC 6749 §3.3).
pub(crate) fn scope(text: &str) -> ParseResult<&'static str> {
    let token = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    if text == "offline_access" {
        let message = "offline_access is no permission of a route";
        return Err(ValueError::new(message, "remove it: refresh tokens come without it"));
    }
    if !text.is_empty() && text.len() <= 128 && text.bytes().all(token) {
        return Ok(leak(text));
    }
    let message = format!("{} is not a scope", quoted(text));
    Err(ValueError::new(
        message,
        "write up to 128 visible ASCII characters without space, `\"` and `\\`, such as dice:roll; each scope is an \
         entry of its own",
    ))
}

/// Parses a host name without scheme and port.
pub(crate) fn host(text: &str) -> ParseResult<&'static str> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let ends = bytes.first().is_some_and(|b| letter(*b)) && bytes.last().is_some_and(|b| letter(*b));
        ends && bytes.len() <= 63 && bytes.iter().all(|b| letter(*b) || *b == b'-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        return Ok(leak(text));
    }
    let message = format!("{} is not a host name", quoted(text));
    Err(ValueError::new(message, "write it in lower case without scheme, port and path, such as claude.ai"))
}

/// Parses one line of visible text of at most `max_chars` characters.
pub(super) fn line(text: &str, max_chars: usize) -> ParseResult<&'static str> {
    if text.trim().is_empty() {
        return Err(ValueError::new("the text is empty", "write one, or remove the key"));
    }
    if text.trim() != text {
        let message = format!("{} has white space around it", quoted(text));
        return Err(ValueError::new(message, format!("write {}", quoted(text.trim()))));
    }
    if let Some(character) = text.chars().find(|c| c.is_control() || is_invisible(*c)) {
        let message = format!("the text has the invisible character U+{:04X}", u32::from(character));
        return Err(ValueError::new(message, "write one line of visible text"));
    }
    if text.chars().count() > max_chars {
        let message = format!("the text has {} characters", text.chars().count());
        return Err(ValueError::new(message, format!("write at most {max_chars}")));
    }
    Ok(leak(text))
}

/// Returns `true` for characters that reorder or hide text on a consent page.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}
