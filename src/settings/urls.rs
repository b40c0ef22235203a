//! URLs in settings.

use gateway_routes::is_loopback_host;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Origin of the gateway, which is also its issuer: without path and trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: Arc<str>,
    authority: Arc<str>,
}

impl BaseUrl {
    /// Parses and normalizes an origin: lower-case host, no default port, no trailing slash.
    ///
    /// # Errors
    /// The problem and its remedy.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = parse(text)?;
        if url.path() != "/" {
            return Err("must be an origin without a path, such as https://mcp.example.com".into());
        }
        let text: Arc<str> = url.origin().ascii_serialization().into();
        let authority = text.split_once("://").map_or(&*text, |(_, authority)| authority).into();
        Ok(Self { text, authority })
    }

    /// The origin, such as `https://mcp.example.com`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Shared copy of the origin.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Expected value of the `Host` header, such as `mcp.example.com`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns true when browsers reach the gateway over TLS.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Parses an https URL, or http on loopback, without credentials, query and fragment.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "is not a URL: write it with https://".to_owned())?;
    match url.scheme() {
        "https" if url.host().is_some() => {}
        "http" if url.host_str().is_some_and(is_loopback_host) => {}
        "http" => return Err("uses http, which is accepted only on loopback: use https".into()),
        _ => return Err("must start with https://".into()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold credentials".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment".into());
    }
    Ok(url)
}
