//! Browser origins and redirect schemes.

use super::super::problem::{ValueError, quoted};
use super::{ParseResult, leak};
use url::Url;

/// Schemes that execute code, read files or belong to the web; never allowed as private-use schemes.
const FORBIDDEN: [&str; 14] = [
    "about",
    "blob",
    "data",
    "file",
    "filesystem",
    "ftp",
    "http",
    "https",
    "intent",
    "jar",
    "javascript",
    "vbscript",
    "ws",
    "wss",
];

/// Parses an origin (`scheme://host[:port]`) in the form of the `Origin` header.
pub(crate) fn origin(text: &str) -> ParseResult<&'static str> {
    const REMEDY: &str = "write scheme://host or scheme://host:port, such as https://app.example.com";
    let invalid = || ValueError::new(format!("{} is not an origin", quoted(text)), REMEDY);
    let (scheme, rest) = text.split_once("://").ok_or_else(invalid)?;
    if !is_scheme(scheme) || rest.is_empty() || !rest.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(invalid());
    }
    if rest.contains(['/', '?', '#', '@', '\\', '*']) {
        return Err(invalid());
    }
    let url = Url::parse(text).map_err(|_| invalid())?;
    let canonical = match url.origin() {
        origin @ url::Origin::Tuple(..) => origin.ascii_serialization(),
        // Schemes of browser extensions and apps have opaque origins in the URL standard and are compared as text.
        url::Origin::Opaque(_) => text.to_ascii_lowercase(),
    };
    if canonical == text {
        return Ok(leak(text));
    }
    Err(ValueError::new(format!("browsers write {} differently", quoted(text)), format!("write {canonical}")))
}

/// Parses a private-use scheme for redirect URIs (RFC 8252 §7.1), in lower case.
pub(crate) fn redirect_scheme(text: &str) -> ParseResult<&'static str> {
    if FORBIDDEN.contains(&text.to_ascii_lowercase().as_str()) {
        let message = format!("{} is never a redirect scheme of an app", quoted(text));
        return Err(ValueError::new(message, "remove it"));
    }
    if is_scheme(text) {
        return Ok(leak(text));
    }
    let message = format!("{} is not a scheme", quoted(text));
    Err(ValueError::new(
        message,
        "write what stands before the colon, in lower case, such as myapp or com.example.app",
    ))
}

/// Checks the grammar of a scheme (RFC 3986 §3.1), in lower case.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
}
