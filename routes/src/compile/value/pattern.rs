//! The path prefix of a route.

use super::super::problem::{Wrong, quoted};
use super::{Parsed, keep};
use crate::RESERVED;

const LONGEST: usize = 200;

/// A pattern in the one form that no client, proxy or URL library rewrites: segments of RFC 3986 §2.3's
/// unreserved characters, so that two patterns are the same route only if they are the same string.
pub(crate) fn pattern(text: &str) -> Parsed<&'static str> {
    if let Some(stranger) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._~/".contains(*c))) {
        let wrong = format!("{} has the character {stranger:?}", quoted(text));
        return Err(Wrong::new(wrong, "use letters, digits, `-`, `.`, `_` and `~` between the slashes"));
    }
    if text.len() > LONGEST {
        let wrong = format!("{} is longer than {LONGEST} characters", quoted(text));
        return Err(Wrong::new(wrong, "write a shorter one"));
    }
    let canonical = canonical(text);
    if RESERVED.contains(&"/") && canonical == "/" || shadows(&canonical) {
        let wrong = format!("{} shadows the gateway's own paths", quoted(text));
        return Err(Wrong::new(wrong, "put it below a path of its own, such as `/mcp/dice/`"));
    }
    if text == canonical {
        return Ok(keep(canonical));
    }
    let wrong =
        format!("{} does not start and end with a slash, or has an empty or a dot segment", quoted(text));
    Err(Wrong::new(wrong, format!("write {}", quoted(&canonical))))
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

fn shadows(pattern: &str) -> bool {
    let first = |path: &'static str| path.trim_matches('/');
    let segment = pattern[1..].split('/').next().unwrap_or_default();
    RESERVED.iter().any(|own| first(own) == segment)
}
