//! Patterns: path prefixes of routes.

use super::super::problem::{ValueError, quoted};
use super::{ParseResult, leak};
use crate::RESERVED;

const MAX_PATTERN_BYTES: usize = 200;

/// Parses a pattern: segments of unreserved characters (RFC 3986 §2.3), which no client, proxy or URL library rewrites.
/// Two patterns are therefore the same route only if they are the same string.
pub(crate) fn pattern(text: &str) -> ParseResult<&'static str> {
    if let Some(character) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._~/".contains(*c))) {
        let message = format!("{} has the character {character:?}", quoted(text));
        return Err(ValueError::new(
            message,
            "use letters, digits, `-`, `.`, `_` and `~` between the slashes",
        ));
    }
    if text.len() > MAX_PATTERN_BYTES {
        let message = format!("{} is longer than {MAX_PATTERN_BYTES} characters", quoted(text));
        return Err(ValueError::new(message, "write a shorter one"));
    }
    let canonical = canonical(text);
    if shadows(&canonical) {
        let message = format!("{} shadows the gateway's own paths", quoted(text));
        return Err(ValueError::new(message, "put it below a path of its own, such as `/mcp/dice/`"));
    }
    if text == canonical {
        return Ok(leak(canonical));
    }
    let why = if !text.starts_with('/') {
        "does not start with a slash"
    } else if !text.ends_with('/') {
        "does not end with a slash"
    } else {
        "has an empty or a dot segment, which clients rewrite"
    };
    Err(ValueError::new(format!("{} {why}", quoted(text)), format!("write {}", quoted(&canonical))))
}

/// Canonical form: one slash before, between and after the segments, no dot segments.
fn canonical(text: &str) -> String {
    let mut canonical = String::from("/");
    for segment in text.split('/').filter(|segment| !matches!(*segment, "" | "." | "..")) {
        canonical.push_str(segment);
        canonical.push('/');
    }
    canonical
}

/// Returns `true` when the first segment belongs to the gateway's own paths.
fn shadows(pattern: &str) -> bool {
    let first = pattern[1..].split('/').next().unwrap_or_default();
    RESERVED.iter().any(|own| own.trim_matches('/') == first)
}
