//! URLs in settings.

use gateway_routes::{OktaUrlMistake, is_loopback_host, okta_url_mistake};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use url::Url;

/// Origin of the gateway, which is also its issuer: without path and trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: Arc<str>,
    authority: Arc<str>,
}

/// Problem of a URL with its remedy: a predicate that follows the name of its setting.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Not a URL.
    #[error("is not a URL: write it with https://")]
    NotAUrl(#[source] url::ParseError),
    /// http to a host that is not this computer.
    #[error("uses http, which is accepted only on loopback: use https")]
    PlainHttp,
    /// Another scheme.
    #[error("must start with https://")]
    Scheme,
    /// User information.
    #[error("must not hold credentials")]
    Credentials,
    /// A query or a fragment.
    #[error("must not have a query or a fragment")]
    QueryOrFragment,
    /// A path, where an origin is expected.
    #[error("must be an origin without a path, such as https://mcp.example.com")]
    Path,
    /// A URL of Okta that is not an org or an issuer.
    #[error("{problem}: use {correction}")]
    Okta {
        /// The mistake.
        problem: &'static str,
        /// The URL to use.
        correction: String,
    },
}

impl BaseUrl {
    /// Parses and normalizes an origin: lower-case host, no default port, no trailing slash.
    ///
    /// # Errors
    /// The text is not a URL that [`parse`] accepts, or has a path.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = parse(text)?;
        if url.path() != "/" {
            return Err(UrlError::Path);
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

    /// Returns `true` when browsers reach the gateway over TLS.
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
pub(super) fn parse(text: &str) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(UrlError::NotAUrl)?;
    match url.scheme() {
        "https" if url.host().is_some() => {}
        "http" if url.host_str().is_some_and(is_loopback_host) => {}
        "http" => return Err(UrlError::PlainHttp),
        _ => return Err(UrlError::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(UrlError::QueryOrFragment);
    }
    Ok(url)
}

/// Parses the URL of an Okta org or of the issuer of a custom authorization server. The error contains the right value.
pub(super) fn okta(text: &str) -> Result<Url, UrlError> {
    let given = Url::parse(text).map_err(UrlError::NotAUrl)?;
    let mut plain = given.clone();
    plain.set_query(None);
    plain.set_fragment(None);
    let has_credentials = !given.username().is_empty() || given.password().is_some();
    if has_credentials && (plain.set_username("").is_err() || plain.set_password(None).is_err()) {
        return Err(UrlError::Credentials);
    }
    let url = parse(plain.as_str())?;
    let origin = url.origin().ascii_serialization();
    let (scheme, authority) = origin.split_once("://").unwrap_or_default();
    if let Some(OktaUrlMistake { problem, correction }) = okta_url_mistake(authority, url.path()) {
        return Err(UrlError::Okta { problem, correction: format!("{scheme}://{correction}") });
    }
    let wrong =
        |problem| UrlError::Okta { problem, correction: url.as_str().trim_end_matches('/').to_owned() };
    if has_credentials {
        return Err(wrong("must not hold credentials"));
    }
    if given.query().is_some() || given.fragment().is_some() {
        return Err(wrong("must not have a query or a fragment"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        // The compiler of sites has a test with the same hosts.
        for host in [
            "localhost:8080",
            "app.localhost",
            "127.0.0.1",
            "127.0.0.2:8080",
            "[::1]:8080",
            "[::ffff:7f00:1]",
        ] {
            let url = format!("http://{host}");
            assert_eq!(BaseUrl::parse(&url).map(|url| url.to_string()), Ok(url.clone()), "{url}");
        }
        for host in ["mcp.example.com", "localhost.example.com", "128.0.0.1", "0.0.0.0", "[::2]"] {
            assert_eq!(parse(&format!("http://{host}")), Err(UrlError::PlainHttp), "{host}");
        }
    }

    #[test]
    fn an_error_says_what_to_write() {
        for (text, expected) in [
            ("mcp.example.com", "is not a URL: write it with https://"),
            ("ftp://mcp.example.com", "must start with https://"),
            ("https://a:b@mcp.example.com", "must not hold credentials"),
            ("https://mcp.example.com/?a", "must not have a query or a fragment"),
            (
                "https://mcp.example.com/a",
                "must be an origin without a path, such as https://mcp.example.com",
            ),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn an_okta_url_that_is_no_org_and_no_issuer_is_refused_with_the_right_value() {
        for (given, right) in [
            ("https://acme-admin.okta.com", "use https://acme.okta.com"),
            ("https://acme-admin.okta.com/admin/dashboard", "use https://acme.okta.com"),
            ("https://acme.okta.com/.well-known/openid-configuration", "use https://acme.okta.com"),
            (
                "https://acme.okta.com/oauth2/default/.well-known/openid-configuration?client_id=0oa1",
                "use https://acme.okta.com/oauth2/default",
            ),
            ("https://acme.okta.com/oauth2/default/v1/authorize", "use https://acme.okta.com/oauth2/default"),
            ("https://acme.okta.com/oauth2/v1/token", "use https://acme.okta.com"),
            ("https://acme.okta.com/app/UserHome", "use https://acme.okta.com"),
            ("http://127.0.0.1:7000/login/login.htm#top", "use http://127.0.0.1:7000"),
            ("https://acme.okta.com//", "use https://acme.okta.com"),
            ("https://acme.okta.com//x", "use https://acme.okta.com"),
            ("https://acme.okta.com/?", "use https://acme.okta.com"),
            ("https://acme.okta.com/#", "use https://acme.okta.com"),
            ("https://acme.okta.com?a=b#c", "use https://acme.okta.com"),
            ("https://acme.okta.com/ /", "use https://acme.okta.com"),
            ("https://me:secret@acme.okta.com", "use https://acme.okta.com"),
            ("https://me@ACME.okta.com:443/oauth2/aus1/", "use https://acme.okta.com/oauth2/aus1"),
            ("https://acme.okta.com./", "use https://acme.okta.com"),
            ("https://acme.okta.com/oauth2/default//", "use https://acme.okta.com/oauth2/default"),
        ] {
            let problem = okta(given).unwrap_err().to_string();
            assert!(problem.ends_with(right) && !problem.contains("secret"), "{given}: {problem}");
        }
        for given in ["https://acme.okta.com/", "https://acme.okta.com/oauth2/aus1", "https://login.acme.com"]
        {
            assert!(okta(given).is_ok(), "{given}");
        }
        // The parser normalizes these: the issuer is compared with the normalized form.
        for given in ["https://ACME.okta.com", "https://acme.okta.com:443", " https://acme.okta.com/ "] {
            assert_eq!(okta(given).unwrap().as_str(), "https://acme.okta.com/", "{given}");
        }
    }
}
