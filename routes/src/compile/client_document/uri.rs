//! URLs of documents and redirect URIs. Each function returns the first broken rule as the end of a sentence.

use crate::{is_loopback_host, is_native_app_host};
use serde_json::Value;
use std::collections::HashSet;
use url::{Host, Url};

/// Longest URI, in bytes.
const MAX_URI_BYTES: usize = 1024;
/// Private-use schemes of known MCP clients.
const CLIENT_SCHEMES: [&str; 4] = ["cursor", "vscode", "vscode-insiders", "claude"];
/// Schemes that execute code or read files.
const DANGEROUS_SCHEMES: [&str; 8] =
    ["javascript", "data", "file", "vbscript", "about", "blob", "filesystem", "view-source"];

/// Checks the URL of a document or key set (draft §3): https on the internet, in canonical form.
pub(super) fn check_document_url(text: &str) -> Result<(), &'static str> {
    let rule = |holds: bool, error| if holds { Ok(()) } else { Err(error) };
    rule(text.len() <= MAX_URI_BYTES, "is longer than 1024 characters")?;
    let rest = text.strip_prefix("https://").ok_or("is not an https URL")?;
    rule(!text.contains('#'), "has a fragment")?;
    rule(!has_userinfo(text), "has user information before the host")?;
    rule(rest.split('?').next().unwrap_or_default().contains('/'), "has no path")?;
    rule(!has_dot_segment(text), "has a dot segment in its path")?;
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    let has_domain = match url.host() {
        Some(Host::Domain(name)) => name.contains('.') && !name.ends_with('.') && !is_loopback_host(name),
        _ => false,
    };
    rule(has_domain, "has a host that is not a name on the internet")?;
    rule(url.as_str() == text, "is not written as URL parsers write it")
}

/// Returns the host of a URL that the site's `hosts` lack; an empty list allows all.
pub(super) fn unlisted_host(url: &str, hosts: &[&str]) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str().filter(|host| !hosts.is_empty() && !hosts.contains(host))?;
    Some(host.to_owned())
}

/// Checks a redirect URI; `schemes` are the site's private-use schemes.
pub(super) fn check_redirect_uri(text: &str, schemes: &[&str]) -> Result<(), &'static str> {
    let rule = |holds: bool, error| if holds { Ok(()) } else { Err(error) };
    rule(text.len() <= MAX_URI_BYTES, "is longer than 1024 characters")?;
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    rule(text.bytes().all(is_allowed), "has a character that no URI has")?;
    let url = Url::parse(text).map_err(|_| "is not an absolute URI")?;
    rule(!text.contains('#'), "has a fragment")?;
    let is_web = matches!(url.scheme(), "http" | "https");
    rule(!is_web || has_authority(text), "has no host after two slashes")?;
    rule(!url.host_str().is_some_and(|host| host.contains('*')), "has a wildcard")?;
    rule(!has_userinfo(text), "has user information before the host")?;
    rule(!has_dot_segment(text), "has a dot segment in its path")?;
    match url.scheme() {
        "https" => rule(url.host().is_some(), "has no host"),
        "http" => {
            rule(url.host_str().is_some_and(is_native_app_host), "uses http, which is only for loopback")
        }
        scheme => {
            let is_known =
                CLIENT_SCHEMES.contains(&scheme) || schemes.contains(&scheme) || scheme.contains('.');
            rule(is_known && !DANGEROUS_SCHEMES.contains(&scheme), "has a scheme that is not allowed")
        }
    }
}

/// Number of different URIs; loopback URIs that differ in port alone are one.
pub(super) fn distinct(uris: &[Value]) -> usize {
    let without_loopback_port = |uri: &Value| {
        let text = uri.as_str().unwrap_or_default();
        let is_loopback =
            |url: &Url| url.scheme() == "http" && url.host_str().is_some_and(is_native_app_host);
        let without_port = || {
            let mut url = Url::parse(text).ok().filter(is_loopback)?;
            url.set_port(None).ok()?;
            Some(url.into())
        };
        without_port().unwrap_or_else(|| text.to_owned())
    };
    uris.iter().map(without_loopback_port).collect::<HashSet<String>>().len()
}

fn has_authority(uri: &str) -> bool {
    let rest = uri.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    rest.is_some_and(|rest| !rest.starts_with(['/', '?']))
}

fn has_userinfo(uri: &str) -> bool {
    let after_scheme = uri.split_once("://").map_or("", |(_, rest)| rest);
    after_scheme.split(['/', '?']).next().unwrap_or_default().contains('@')
}

fn has_dot_segment(uri: &str) -> bool {
    let path = uri.split('?').next().unwrap_or_default();
    path.split('/').any(|segment| matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | ".."))
}
