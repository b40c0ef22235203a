//! Redirect URIs: validation, matching and response parameters (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1).

use gateway_routes::{is_native_app_host, leads_to_own_computer};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

/// Validated redirect URI, exactly as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

/// Kind of receiver of a redirect URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Web site; holds the host.
    Web(String),
    /// Program on the user's own computer, where any program can listen; holds the host.
    Loopback(String),
    /// Private-use scheme, which any program can claim; holds the scheme with its colon.
    PrivateScheme(String),
}

impl Destination {
    /// Host, or scheme with its colon.
    pub fn label(&self) -> &str {
        match self {
            Self::Web(label) | Self::Loopback(label) | Self::PrivateScheme(label) => label,
        }
    }
}

/// Private-use schemes of known MCP clients.
const CLIENT_SCHEMES: [&str; 4] = ["cursor", "vscode", "vscode-insiders", "claude"];
/// Schemes that execute code or read files; rejected even if the configuration lists them.
const DANGEROUS_SCHEMES: [&str; 8] =
    ["javascript", "data", "file", "vbscript", "about", "blob", "filesystem", "view-source"];
const MAX_URI_BYTES: usize = 1024;

/// Reason why a redirect URI is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RedirectUriError {
    /// Longer than [`MAX_URI_BYTES`].
    #[error("it is longer than {MAX_URI_BYTES} characters")]
    TooLong,
    /// A character outside RFC 3986 §2.
    #[error("it has a character that no URI has, such as a space, a quote or a non-ASCII letter")]
    ForbiddenCharacter,
    /// Not an absolute URI.
    #[error("it is not an absolute URI")]
    NotAbsolute(#[source] url::ParseError),
    /// A fragment (RFC 6749 §3.1.2).
    #[error("it has a fragment")]
    Fragment,
    /// http or https without `//` and a host.
    #[error("its scheme is not followed by two slashes and a host")]
    NoAuthority,
    /// A `*` in the host.
    #[error("it has a wildcard: register each URI")]
    Wildcard,
    /// User information.
    #[error("it has user information before the host")]
    UserInformation,
    /// A `.` or `..` segment, encoded or not.
    #[error("its path has a dot segment")]
    DotSegment,
    /// http beyond the loopback hosts of RFC 8252 §7.3.
    #[error("http is only for loopback: use https")]
    PlainHttp,
    /// A scheme that executes code or reads files, which no site can allow.
    #[error("its scheme runs code or reads files: use https, http on loopback, or a reverse-DNS scheme")]
    DangerousScheme,
    /// A scheme that is neither https nor an allowed private-use scheme.
    #[error(
        "its scheme is not allowed here: use https, http on loopback or a reverse-DNS scheme, or let the gateway's \
         administrator list the scheme in redirect_schemes"
    )]
    Scheme,
}

impl RedirectUri {
    /// Parses and validates a URI; `schemes` are the site's private-use schemes in addition to the built-in ones.
    ///
    /// # Errors
    /// The first rule that the URI breaks.
    pub fn parse(uri: &str, schemes: &[&str]) -> Result<Self, RedirectUriError> {
        if uri.len() > MAX_URI_BYTES {
            return Err(RedirectUriError::TooLong);
        }
        // URL parsers disagree about characters that RFC 3986 §2 forbids; a browser must see the URI as these checks
        // do.
        if !uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
            return Err(RedirectUriError::ForbiddenCharacter);
        }
        let url = Url::parse(uri).map_err(RedirectUriError::NotAbsolute)?;
        if uri.contains('#') {
            return Err(RedirectUriError::Fragment);
        }
        let web = matches!(url.scheme(), "http" | "https");
        if web && !has_authority(uri) {
            return Err(RedirectUriError::NoAuthority);
        }
        if url.host_str().is_some_and(|host| host.contains('*')) {
            return Err(RedirectUriError::Wildcard);
        }
        if has_userinfo(uri) {
            return Err(RedirectUriError::UserInformation);
        }
        if has_dot_segment(uri) {
            return Err(RedirectUriError::DotSegment);
        }
        match url.scheme() {
            "https" if url.host().is_some() => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(RedirectUriError::PlainHttp),
            scheme if DANGEROUS_SCHEMES.contains(&scheme) => return Err(RedirectUriError::DangerousScheme),
            scheme if is_private_use(scheme, schemes) => {}
            _ => return Err(RedirectUriError::Scheme),
        }
        Ok(Self(uri.to_owned()))
    }

    /// The URI as the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `true` when a requested URI equals this registered URI; on loopback the port may differ (RFC 8252 §7.3).
    pub fn matches(&self, requested: &Self) -> bool {
        self.0 == requested.0 || self.without_loopback_port() == requested.without_loopback_port()
    }

    /// The URI, on loopback without its port: equal for URIs that match each other.
    pub fn without_loopback_port(&self) -> String {
        let without_port = || {
            let mut url = Url::parse(&self.0).ok().filter(is_loopback)?;
            url.set_port(None).ok()?;
            Some(url.into())
        };
        without_port().unwrap_or_else(|| self.0.clone())
    }

    /// Kind of receiver.
    pub fn destination(&self) -> Destination {
        match Url::parse(&self.0) {
            Ok(url) if is_local_computer(&url) => Destination::Loopback(host(&url)),
            Ok(url) if url.scheme() == "https" => Destination::Web(host(&url)),
            Ok(url) => Destination::PrivateScheme(format!("{}:", url.scheme())),
            Err(_) => Destination::PrivateScheme(String::new()),
        }
    }

    /// Appends parameters to the query (RFC 6749 §4.1.2).
    pub fn with_query(&self, parameters: &[(&str, Option<&str>)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in parameters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let separator = match self.0.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some(_) => "&",
        };
        format!("{}{separator}{}", self.0, query.finish())
    }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// Returns `true` for the loopback URIs of RFC 8252 §7.3, which match on any port.
fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http" && url.host_str().is_some_and(is_native_app_host)
}

/// Returns `true` for every URL that leads to the user's own computer, including https and all loopback addresses.
fn is_local_computer(url: &Url) -> bool {
    let web = matches!(url.scheme(), "http" | "https");
    web && url.host_str().is_some_and(leads_to_own_computer)
}

fn is_private_use(scheme: &str, configured: &[&str]) -> bool {
    CLIENT_SCHEMES.contains(&scheme) || configured.contains(&scheme) || scheme.contains('.')
}

/// Checks that `//` and a host follow the scheme. URL parsers accept `https:host`, `https:/host` and `https:///host` as
/// `https://host`; other programs do not.
fn has_authority(uri: &str) -> bool {
    let rest = uri.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    rest.is_some_and(|rest| !rest.starts_with(['/', '?']))
}

pub(super) fn has_userinfo(uri: &str) -> bool {
    let after_scheme = uri.split_once("://").map_or("", |(_, rest)| rest);
    after_scheme.split(['/', '?']).next().unwrap_or_default().contains('@')
}

pub(super) fn has_dot_segment(uri: &str) -> bool {
    let path = uri.split('?').next().unwrap_or_default();
    path.split('/').any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    })
}

#[cfg(test)]
mod tests;
