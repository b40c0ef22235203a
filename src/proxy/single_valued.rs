//! Headers of the MCP transports that have one value: equal copies count once, different ones are refused, because two
//! parsers might read different values.
//!
//! Some clients send `MCP-Protocol-Version` twice, and some proxies join copies to one header with a list.

use super::removed_headers::dashed;
use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

/// Headers beside `Mcp-*` that have one value.
const NAMES: [&str; 2] = ["content-type", "last-event-id"];
/// Headers that other names may be mistaken for by CGI-like servers, which read every special character as `_`.
const PROTOCOL_NAMES: [&str; 5] =
    ["last-event-id", "mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id"];
/// Prefix of headers with arguments of a tool.
const ARGUMENT_PREFIX: &str = "mcp-param-";

/// Error of a single-valued header that has different values.
#[derive(Debug, Error)]
#[error("the header {0} has different values")]
pub struct ConflictingHeader(Box<str>);

/// Returns `true` if a single-valued header of a request has different values, or a look-alike such as `Mcp_Session-Id`.
pub fn is_ambiguous(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| is_look_alike(name.as_str())) || conflict(headers).is_some()
}

/// Returns `true` if servers may take the name for that of a protocol header.
fn is_look_alike(name: &str) -> bool {
    if !name.starts_with("mcp") && !name.starts_with("last") {
        return false;
    }
    let plain = dashed(name);
    plain != name && (PROTOCOL_NAMES.contains(&&*plain) || plain.starts_with(ARGUMENT_PREFIX))
}

/// Removes equal copies of single-valued headers.
pub(super) fn fold(headers: &mut HeaderMap) -> Result<(), ConflictingHeader> {
    if let Some(name) = conflict(headers) {
        return Err(ConflictingHeader(name.as_str().into()));
    }
    let has_copies = headers.len() != headers.keys_len();
    let is_folded = |name: &&HeaderName| {
        let is_copied = || has_copies && is_single_valued(name) && headers.get_all(*name).iter().count() > 1;
        is_copied() || headers.get(*name).is_some_and(|first| value(name, first).len() != first.len())
    };
    let is_mcp = |name: &&HeaderName| name.as_str().starts_with("mcp-");
    if !has_copies && !headers.keys().any(|name| is_mcp(&name)) {
        return Ok(());
    }
    let names: Vec<HeaderName> = headers.keys().filter(is_folded).cloned().collect();
    for name in names {
        let first = headers.get(&name).and_then(|first| HeaderValue::from_bytes(value(&name, first)).ok());
        if let Some(first) = first {
            headers.insert(name, first);
        }
    }
    Ok(())
}

/// Returns `true` if the field is a further copy of the field before it.
pub(super) fn is_copy(name: &HeaderName, previous: Option<&HeaderName>) -> bool {
    previous == Some(name) && is_single_valued(name)
}

/// Returns the value of a header without further copies that a proxy has joined to it.
pub(super) fn value<'a>(name: &HeaderName, value: &'a HeaderValue) -> &'a [u8] {
    let bytes = value.as_bytes();
    if is_list(name, bytes) { parts(bytes).next().unwrap_or(bytes) } else { bytes }
}

/// Returns a single-valued header that has different values.
fn conflict(headers: &HeaderMap) -> Option<&HeaderName> {
    let has_copies = headers.len() != headers.keys_len();
    headers.keys().find(|name| {
        let is_checked = name.as_str().starts_with("mcp-") || (has_copies && is_single_valued(name));
        if !is_checked {
            return false;
        }
        let mut values = headers.get_all(*name).iter();
        let Some(first) = values.next() else { return false };
        let expected = value(name, first);
        let is_other = |bytes: &[u8]| {
            if is_list(name, bytes) { parts(bytes).any(|part| part != expected) } else { bytes != expected }
        };
        is_other(first.as_bytes()) || values.any(|value| is_other(value.as_bytes()))
    })
}

fn is_single_valued(name: &HeaderName) -> bool {
    name.as_str().starts_with("mcp-") || NAMES.contains(&name.as_str())
}

/// Returns `true` if the value must be a list of copies: it has a character that no single value may have.
fn is_list(name: &HeaderName, value: &[u8]) -> bool {
    match name.as_str() {
        "mcp-protocol-version" => value.contains(&b','),
        // Visible ASCII.
        "mcp-session-id" => value.contains(&b',') && value.iter().any(|byte| matches!(byte, b' ' | b'\t')),
        _ => false,
    }
}

fn parts(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn equal_copies_of_a_single_valued_header_count_once() {
        for fields in [
            &[("mcp-protocol-version", "2025-06-18"), ("mcp-protocol-version", "2025-06-18")][..],
            &[("mcp-protocol-version", "2025-06-18, 2025-06-18")],
            &[("mcp-protocol-version", "2025-06-18,2025-06-18"), ("mcp-protocol-version", "2025-06-18")],
            &[("mcp-session-id", "a"), ("mcp-session-id", "a"), ("mcp-session-id", "a")],
            &[("mcp-session-id", "a, a")],
            &[("mcp-name", "a, a"), ("mcp-name", "a, a")],
            &[("mcp-param-a", "1"), ("mcp-param-a", "1")],
            &[("last-event-id", "1"), ("last-event-id", "1")],
            &[("content-type", "text/event-stream"), ("content-type", "text/event-stream")],
        ] {
            let mut headers = headers(fields);
            assert!(!is_ambiguous(&headers), "{fields:?}");
            fold(&mut headers).unwrap();
            assert_eq!(headers.len(), 1, "{fields:?}");
            let (name, value) = headers.iter().next().unwrap();
            let expected =
                if name == "mcp-name" { fields[0].1 } else { fields[0].1.split(',').next().unwrap() };
            assert_eq!(value, expected, "{fields:?}");
        }
    }

    #[test]
    fn different_copies_of_a_single_valued_header_are_refused() {
        for fields in [
            &[("mcp-protocol-version", "2025-06-18"), ("mcp-protocol-version", "2025-03-26")][..],
            &[("mcp-protocol-version", "2025-06-18, 2025-03-26")],
            &[("mcp-protocol-version", "2025-06-18"), ("mcp-protocol-version", "2025-06-18,2025-03-26")],
            &[("mcp-session-id", "a"), ("mcp-session-id", "A")],
            &[("mcp-session-id", "a, b")],
            &[("mcp-method", "ping"), ("mcp-method", "tools/call")],
            &[("mcp-unknown", "a"), ("mcp-unknown", "")],
            &[("last-event-id", "1"), ("last-event-id", "2")],
            &[("content-type", "application/json"), ("content-type", "text/event-stream")],
        ] {
            let mut headers = headers(fields);
            assert!(is_ambiguous(&headers), "{fields:?}");
            assert!(fold(&mut headers).unwrap_err().to_string().contains(fields[0].0), "{fields:?}");
        }
    }

    #[test]
    fn other_headers_may_have_several_values() {
        let fields = &[
            ("accept", "a"),
            ("accept", "b"),
            ("vary", "a"),
            ("vary", "a"),
            ("mcp-session-id", "a,b"),
            ("mcp-name", "a, b"),
        ];
        let mut headers = headers(fields);
        assert!(!is_ambiguous(&headers));
        fold(&mut headers).unwrap();
        assert_eq!(headers.len(), fields.len());
    }

    #[test]
    fn only_names_of_protocol_headers_have_look_alikes() {
        for name in [
            "mcp_session-id",
            "mcp_protocol_version",
            "mcp.method",
            "mcp-param_a",
            "mcp_name",
            "last_event_id",
        ] {
            let headers =
                [(HeaderName::from_static(name), HeaderValue::from_static("1"))].into_iter().collect();
            assert!(is_ambiguous(&headers), "{name}");
        }
        for name in [
            "mcp_api_key",
            "mcp-api_key",
            "mcp_token",
            "mcp",
            "mcp_",
            "mcp_session",
            "mcpsessionid",
            "last_event",
        ] {
            let headers =
                [(HeaderName::from_static(name), HeaderValue::from_static("1"))].into_iter().collect();
            assert!(!is_ambiguous(&headers), "{name}");
        }
    }
}
