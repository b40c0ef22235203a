//! Mapping of request paths below a route to paths below its target.

use gateway_routes::Route;

/// Returns `true` if all parsers read the path alike: no dot segment, empty segment, encoded separator, backslash,
/// control character or invalid percent-encoding, in any spelling. Such a path cannot leave its route.
pub fn is_normal(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else { return false };
    if is_plain(path.as_bytes()) {
        return true;
    }
    let segments = segments.strip_suffix('/').unwrap_or(segments);
    segments.split('/').all(|segment| {
        let lower = segment.to_ascii_lowercase();
        let hidden =
            ["%2f", "%5c", "%0", "%1", "%7f", "%25", "\\"].iter().any(|hidden| lower.contains(hidden));
        let plain = lower.replace("%2e", ".").replace("%3b", ";");
        // Some servers remove matrix parameters before they resolve dot segments.
        let bare = plain.split(';').next().unwrap_or_default();
        let readable = segment.bytes().all(|byte| byte.is_ascii_graphic());
        readable
            && !hidden
            && is_validly_encoded(segment)
            && !segment.is_empty()
            && bare != "."
            && bare != ".."
    })
}

/// Returns `true` if two hex digits follow each percent sign (RFC 3986 §2.1): decoded twice, `%%31e` would be a control
/// character.
fn is_validly_encoded(segment: &str) -> bool {
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    segment.split('%').skip(1).all(|behind| behind.get(..2).is_some_and(is_hex))
}

/// Fast path for most requests: returns true if the path has no byte that needs a closer check.
fn is_plain(path: &[u8]) -> bool {
    let mut before = ByteClass::Other;
    path.iter().all(|byte| {
        let class = BYTE_CLASSES[usize::from(*byte)];
        let is_empty_segment = (before, class) == (ByteClass::Slash, ByteClass::Slash);
        before = class;
        class != ByteClass::Special && !is_empty_segment
    })
}

/// Class of a byte in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ByteClass {
    Slash,
    /// Needs a closer check.
    Special,
    Other,
}

const BYTE_CLASSES: [ByteClass; 256] = {
    let mut classes = [ByteClass::Special; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        let is_plain = byte.is_ascii_graphic() && !matches!(byte, b'%' | b'.' | b'\\');
        if is_plain {
            classes[byte as usize] = if byte == b'/' { ByteClass::Slash } else { ByteClass::Other };
        }
        byte += 1;
    }
    classes
};

/// Builds the upstream request target: the target's path, one slash, the rest of the path, the query. The bare route
/// maps to the target as configured. Returns `None` for a path that is not normal.
pub fn target(route: &Route, rest: usize, path_and_query: &http::uri::PathAndQuery) -> Option<String> {
    let path = path_and_query.path();
    if !is_normal(path) {
        return None;
    }
    let rest = path.get(rest..)?;
    let target = &route.target;
    let bare = !path.ends_with('/') && rest.is_empty();
    let mut joined = String::with_capacity(target.path.len() + path_and_query.as_str().len());
    joined.push_str(target.path);
    if !bare || target.trailing_slash || target.path.is_empty() {
        joined.push('/');
    }
    joined.push_str(rest);
    if let Some(query) = path_and_query.query() {
        joined.push('?');
        joined.push_str(query);
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::test_route::TEST_ROUTE;
    use gateway_routes::Target;

    fn joined(target_path: &'static str, trailing_slash: bool, request: &'static str) -> Option<String> {
        let joined = Target { path: target_path, trailing_slash, ..TEST_ROUTE.target };
        let route = Route { target: joined, ..TEST_ROUTE };
        let rest = request.split('?').next().unwrap_or_default().len().min("/mcp/dice/".len());
        target(&route, rest, &request.parse().unwrap())
    }

    #[test]
    fn the_rest_is_joined_with_exactly_one_slash() {
        for (target, trailing, request, expected) in [
            ("", false, "/mcp/dice/mcp", "/mcp"),
            ("", false, "/mcp/dice/", "/"),
            ("", false, "/mcp/dice", "/"),
            ("/api", false, "/mcp/dice/mcp?a=%20b", "/api/mcp?a=%20b"),
            ("/api", true, "/mcp/dice/mcp", "/api/mcp"),
            ("/api", false, "/mcp/dice", "/api"),
            ("/api", true, "/mcp/dice?x", "/api/?x"),
            ("/api", false, "/mcp/dice/", "/api/"),
        ] {
            assert_eq!(joined(target, trailing, request).as_deref(), Some(expected), "{target} {request}");
        }
    }

    #[test]
    fn ambiguous_paths_are_not_normal() {
        for path in [
            "/a/../b",
            "/a/./b",
            "/a/%%31e",
            "/a/..%3b/b",
            "/a/%2e%2E%3Bx/b",
            "/a/%%32e%%32e/b",
            "/a/100%",
            "/a/%2e%2e/b",
            "/a/.%2E/b",
            "/a/%2e/b",
            "/a%2fb",
            "/a%2F..%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a//b",
            "//a",
            "/a/..",
            "/..",
            "/a/..;x/b",
            "/a/%252e%252e/b",
            "/a%00b",
            "/a%0d%0aHost:b",
            "/a%7Fb",
            "/a\0b",
            "/a\tb",
            "a",
            "",
        ] {
            assert!(!is_normal(path), "{path}");
        }
        for path in
            ["/", "/a", "/a/", "/a/b.c/..d/e..", "/caf%C3%A9/x", "/a;b=1/c", "/a/...", "/.well-known/x"]
        {
            assert!(is_normal(path), "{path}");
        }
    }
}
