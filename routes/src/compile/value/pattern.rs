//! The path prefix of a route.

use super::super::problem::{Wrong, quoted};
use super::{Parsed, keep};
use crate::RESERVED;

const MAX_PATTERN_BYTES: usize = 200;

/// A pattern in the one form that no client, proxy or URL library rewrites: segments of RFC 3986 §2.3's
/// unreserved characters, so that two patterns are the same route only if they are the same string.
pub(crate) fn pattern(text: &str) -> Parsed<&'static str> {
    if let Some(stranger) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._~/".contains(*c))) {
        let wrong = format!("{} has the character {stranger:?}", quoted(text));
        return Err(Wrong::new(wrong, "use letters, digits, `-`, `.`, `_` and `~` between the slashes"));
    }
    if text.len() > MAX_PATTERN_BYTES {
        let wrong = format!("{} is longer than {MAX_PATTERN_BYTES} characters", quoted(text));
        return Err(Wrong::new(wrong, "write a shorter one"));
    }
    let canonical = canonical(text);
    if shadows(&canonical) {
        let wrong = format!("{} shadows the gateway's own paths", quoted(text));
        return Err(Wrong::new(wrong, "put it below a path of its own, such as `/mcp/dice/`"));
    }
    if text == canonical {
        return Ok(keep(canonical));
    }
    let why = if !text.starts_with('/') {
        "does not start with a slash"
    } else if !text.ends_with('/') {
        "does not end with a slash"
    } else {
        "has an empty or a dot segment, which clients rewrite"
    };
    Err(Wrong::new(format!("{} {why}", quoted(text)), format!("write {}", quoted(&canonical))))
}

/// With one slash before, between and behind the segments, and no dot segments.
fn canonical(text: &str) -> String {
    let mut canonical = String::from("/");
    for segment in text.split('/').filter(|segment| !matches!(*segment, "" | "." | "..")) {
        canonical.push_str(segment);
        canonical.push('/');
    }
    canonical
}

/// The gateway's own paths have one segment, or none: whatever starts with it is taken.
fn shadows(pattern: &str) -> bool {
    let first = pattern[1..].split('/').next().unwrap_or_default();
    RESERVED.iter().any(|own| own.trim_matches('/') == first)
}
