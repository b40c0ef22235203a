//! Browser origins and redirect schemes.

use super::super::problem::{Wrong, quoted};
use super::{Parsed, keep};
use url::Url;

/// Schemes that run code, read files or belong to the web itself: never a private-use scheme.
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

/// `scheme://host[:port]`, as a browser writes it in `Origin`.
pub(crate) fn origin(text: &str) -> Parsed<&'static str> {
    const REMEDY: &str = "write scheme://host or scheme://host:port, such as https://app.example.com";
    let wrong = || Wrong::new(format!("{} is not an origin", quoted(text)), REMEDY);
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    if !is_scheme(scheme) || rest.is_empty() || !rest.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(wrong());
    }
    if rest.contains(['/', '?', '#', '@', '\\', '*']) {
        return Err(wrong());
    }
    let url = Url::parse(text).map_err(|_| wrong())?;
    let canonical = match url.origin() {
        origin @ url::Origin::Tuple(..) => origin.ascii_serialization(),
        // A browser extension's or an app's own scheme: opaque to the URL standard, compared as written.
        url::Origin::Opaque(_) => text.to_ascii_lowercase(),
    };
    if canonical == text {
        return Ok(keep(text));
    }
    Err(Wrong::new(format!("browsers write {} differently", quoted(text)), format!("write {canonical}")))
}

/// A private-use scheme for redirect URIs (RFC 8252 §7.1), in lower case.
pub(crate) fn redirect_scheme(text: &str) -> Parsed<&'static str> {
    if FORBIDDEN.contains(&text.to_ascii_lowercase().as_str()) {
        let wrong = format!("{} is never a redirect scheme of an app", quoted(text));
        return Err(Wrong::new(wrong, "remove it"));
    }
    if is_scheme(text) {
        return Ok(keep(text));
    }
    let wrong = format!("{} is not a scheme", quoted(text));
    Err(Wrong::new(
        wrong,
        "write what stands before the colon, in lower case, such as myapp or com.example.app",
    ))
}

/// RFC 3986 §3.1, in lower case.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
}
