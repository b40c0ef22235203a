//! Words and sentences.

use super::super::problem::{Wrong, quoted};
use super::{Parsed, keep};
use crate::AuthorizationServer;

/// A name that people see: one line of at most 80 characters.
pub(crate) fn label(text: &str) -> Parsed<&'static str> {
    line(text, 80)
}

/// A sentence that people see: one line of at most 300 characters.
pub(crate) fn sentence(text: &str) -> Parsed<&'static str> {
    line(text, 300)
}

/// An Okta group's or a claim's name, as Okta has it.
pub(crate) fn identifier(text: &str) -> Parsed<&'static str> {
    line(text, 255)
}

/// The id of something at Okta.
pub(crate) fn okta_id(text: &str) -> Parsed<&'static str> {
    if !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    {
        return Ok(keep(text));
    }
    let wrong = format!("{} is not an id", quoted(text));
    Err(Wrong::new(wrong, "copy it from Okta's admin console: letters, digits, `-`, `_` and `.`"))
}

/// `org`, `default` or the id of a custom authorization server.
pub(crate) fn authorization_server(text: &str) -> Parsed<AuthorizationServer> {
    match okta_id(text)? {
        "org" => Ok(AuthorizationServer::Org),
        id => Ok(AuthorizationServer::Custom(id)),
    }
}

/// A scope token (RFC 6749 §3.3).
pub(crate) fn scope(text: &str) -> Parsed<&'static str> {
    let token = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    if text == "offline_access" {
        let wrong = "offline_access is no permission of a route";
        return Err(Wrong::new(wrong, "remove it: refresh tokens come without it"));
    }
    if !text.is_empty() && text.len() <= 128 && text.bytes().all(token) {
        return Ok(keep(text));
    }
    let wrong = format!("{} is not a scope", quoted(text));
    Err(Wrong::new(
        wrong,
        "write up to 128 visible ASCII characters without space, `\"` and `\\`, such as dice:roll; each scope is an \
         entry of its own",
    ))
}

/// A host name without scheme and port.
pub(crate) fn host(text: &str) -> Parsed<&'static str> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let ends = bytes.first().is_some_and(|b| letter(*b)) && bytes.last().is_some_and(|b| letter(*b));
        ends && bytes.len() <= 63 && bytes.iter().all(|b| letter(*b) || *b == b'-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        return Ok(keep(text));
    }
    let wrong = format!("{} is not a host name", quoted(text));
    Err(Wrong::new(wrong, "write it in lower case without scheme, port and path, such as claude.ai"))
}

/// One line of visible text.
pub(super) fn line(text: &str, longest: usize) -> Parsed<&'static str> {
    if text.trim().is_empty() {
        return Err(Wrong::new("the text is empty", "write one, or remove the key"));
    }
    if text.trim() != text {
        let wrong = format!("{} has white space around it", quoted(text));
        return Err(Wrong::new(wrong, format!("write {}", quoted(text.trim()))));
    }
    if let Some(stranger) = text.chars().find(|c| c.is_control() || is_invisible(*c)) {
        let wrong = format!("the text has the invisible character U+{:04X}", u32::from(stranger));
        return Err(Wrong::new(wrong, "write one line of visible text"));
    }
    if text.chars().count() > longest {
        let wrong = format!("the text has {} characters", text.chars().count());
        return Err(Wrong::new(wrong, format!("write at most {longest}")));
    }
    Ok(keep(text))
}

/// Characters that reorder or hide what people read on a consent page.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}
