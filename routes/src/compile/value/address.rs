//! URLs of targets, of the gateway and of Okta.

use super::super::problem::{ValueError, quoted};
use super::{ParseResult, leak};
use crate::{OktaUrlMistake, Target, is_loopback_authority, is_loopback_host, okta_url_mistake};
use url::{Host, Url};

const EXAMPLE: &str = "write a URL such as http://localhost:3000 or https://dice.example.com/mcp";

/// Parses the `target_url` of a route.
pub(crate) fn target(text: &str) -> ParseResult<Target> {
    let (url, path) = http_url(text)?;
    let host = match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        _ => url.host_str().unwrap_or_default().to_owned(),
    };
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    Ok(Target {
        tls: url.scheme() == "https",
        host: leak(host),
        port: url.port_or_known_default().unwrap_or_default(),
        authority: leak(authority),
        path: leak(path.strip_suffix('/').unwrap_or(path)),
        trailing_slash: path.ends_with('/'),
    })
}

/// Parses the gateway's origin, in the canonical form of the issuer.
pub(crate) fn base_url(text: &str) -> ParseResult<&'static str> {
    let (url, path) = confidential_url(text)?;
    if !matches!(path, "" | "/") {
        let message = format!("{} has a path", quoted(text));
        return Err(ValueError::new(message, format!("write {}", url.origin().ascii_serialization())));
    }
    canonical(text, url.origin().ascii_serialization())
}

/// Parses the URL of an Okta org, or of an issuer when it has a path.
pub(crate) fn okta_url(text: &str) -> ParseResult<&'static str> {
    let (url, path) = confidential_url(text)?;
    let origin = url.origin().ascii_serialization();
    let (scheme, authority) = origin.split_once("://").unwrap_or_default();
    if let Some(OktaUrlMistake { problem, correction }) = okta_url_mistake(authority, path) {
        let message = format!("{} {problem}", quoted(text));
        return Err(ValueError::new(message, format!("write {scheme}://{correction}")));
    }
    canonical(text, origin + path.strip_suffix('/').unwrap_or(path))
}

/// Parses the redirect URI at Okta.
pub(crate) fn redirect_uri(text: &str) -> ParseResult<&'static str> {
    let (url, path) = confidential_url(text)?;
    let origin = url.origin().ascii_serialization();
    if matches!(path, "" | "/") {
        let message = format!("{} has no path", quoted(text));
        return Err(ValueError::new(message, format!("write {origin}/auth/callback")));
    }
    canonical(text, origin + path)
}

fn canonical(text: &str, canonical: String) -> ParseResult<&'static str> {
    if text == canonical {
        return Ok(leak(canonical));
    }
    Err(ValueError::new(
        format!("{} has a shorter or plainer form", quoted(text)),
        format!("write {canonical}"),
    ))
}

/// Parses a URL to which secrets are sent: https, or http on loopback.
fn confidential_url(text: &str) -> ParseResult<(Url, &str)> {
    let (url, path) = http_url(text)?;
    if url.scheme() == "https" || url.host_str().is_some_and(is_loopback_host) {
        return Ok((url, path));
    }
    let message = format!("{} uses http, which is for this machine alone (localhost)", quoted(text));
    Err(ValueError::new(message, format!("write {}", text.replacen("http:", "https:", 1))))
}

/// Parses an http or https URL without credentials, query and fragment; returns it with its path as written.
fn http_url(text: &str) -> ParseResult<(Url, &str)> {
    // A URL that may contain a password must not appear in build logs.
    let shown = if text.contains('@') { "the URL".to_owned() } else { quoted(text) };
    let invalid = |why: &str, remedy: &str| Err(ValueError::new(format!("{shown} {why}"), remedy));
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        return invalid("does not start with http:// or https://", &with_scheme(text));
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return invalid("has credentials", "remove all up to the `@`: secrets do not belong in this file");
    }
    if let Some((character, what)) =
        [('?', "query"), ('#', "fragment")].iter().find(|(c, _)| path.contains(*c))
    {
        return invalid(&format!("has a {what}"), &format!("remove the `{character}` and what follows"));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b)) {
        return invalid(
            "has a space or a character that no URL has",
            "percent-encode it; write hosts in punycode",
        );
    }
    let Ok(url) = Url::parse(text) else { return invalid("is not a URL", EXAMPLE) };
    if authority.is_empty() || url.port() == Some(0) {
        return invalid("has no host, or port 0", EXAMPLE);
    }
    let host = url.host_str().unwrap_or_default();
    let name =
        authority.rsplit_once(':').filter(|_| !authority.ends_with(']')).map_or(authority, |(name, _)| name);
    if !name.eq_ignore_ascii_case(host) {
        return invalid(&format!("means the host {host}"), &format!("write {host}"));
    }
    if path != url.path() && !path.is_empty() || path.contains("//") {
        return invalid("has an empty or a dot segment in its path", "write the path without it");
    }
    if !has_whole_escapes(path) {
        return invalid("has a `%` without two hex digits", "write `%25` for the character itself");
    }
    Ok((url, path))
}

/// Returns `true` when two hex digits follow each `%`.
fn has_whole_escapes(path: &str) -> bool {
    let hex = |escape: &str| escape.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    path.split('%').skip(1).all(hex)
}

fn with_scheme(text: &str) -> String {
    let host = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:".contains(&b));
    match (host, is_loopback_authority(text)) {
        (false, _) => EXAMPLE.to_owned(),
        (true, true) => format!("write http://{text}"),
        (true, false) => format!("write https://{text}"),
    }
}
