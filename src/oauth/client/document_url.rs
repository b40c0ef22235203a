//! URLs from which documents of a client may be fetched.

use crate::oauth::redirect::{has_dot_segment, has_userinfo};
use gateway_routes::is_loopback_host;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::{Host, Url};

const MAX_URL_BYTES: usize = 1024;

/// URL of a client's document, in the canonical form that all URL parsers agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentUrl(Url);

/// Reason why a text is not the URL of a client's document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DocumentUrlError {
    /// Longer than [`MAX_URL_BYTES`].
    #[error("it is longer than {MAX_URL_BYTES} characters")]
    TooLong,
    /// Another scheme.
    #[error("it is not an https URL")]
    NotHttps,
    /// A fragment.
    #[error("it has a fragment")]
    Fragment,
    /// User information.
    #[error("it has user information before the host")]
    UserInformation,
    /// No path.
    #[error("it has no path")]
    NoPath,
    /// A `.` or `..` segment, encoded or not.
    #[error("its path has a dot segment")]
    DotSegment,
    /// Not a URL.
    #[error("it is not a URL")]
    NotAUrl(#[source] url::ParseError),
    /// An address, a name without a dot, or a loopback name.
    #[error("its host is not a name on the internet")]
    Host,
    /// Not in canonical form. Programs disagree whether another spelling, such as an upper-case host, is the same client.
    #[error("it is not written as URL parsers write it")]
    NotCanonical,
}

/// Reason why the gateway fetches no document from a URL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchNotAllowed {
    /// The URL is the gateway's own, so that it would request itself in a loop.
    #[error("this gateway publishes no clients")]
    OwnHost,
    /// The site does not list the host.
    #[error("this gateway takes nothing that is published at {0}")]
    UnlistedHost(String),
}

/// Returns `true` when a `client_id` is a URL. A sealed `client_id` contains no colon.
pub fn is_url(client_id: &str) -> bool {
    client_id.contains("://")
}

impl DocumentUrl {
    /// Parses and validates a URL (draft-ietf-oauth-client-id-metadata-document §3).
    ///
    /// # Errors
    /// The first rule that the URL breaks.
    pub fn parse(text: &str) -> Result<Self, DocumentUrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(DocumentUrlError::TooLong);
        }
        let rest = text.strip_prefix("https://").ok_or(DocumentUrlError::NotHttps)?;
        if text.contains('#') {
            return Err(DocumentUrlError::Fragment);
        }
        if has_userinfo(text) {
            return Err(DocumentUrlError::UserInformation);
        }
        if !rest.split('?').next().unwrap_or_default().contains('/') {
            return Err(DocumentUrlError::NoPath);
        }
        if has_dot_segment(text) {
            return Err(DocumentUrlError::DotSegment);
        }
        let url = Url::parse(text).map_err(DocumentUrlError::NotAUrl)?;
        let has_domain = match url.host() {
            Some(Host::Domain(name)) => name.contains('.') && !name.ends_with('.') && !is_loopback_host(name),
            _ => false,
        };
        if !has_domain {
            return Err(DocumentUrlError::Host);
        }
        if url.as_str() != text {
            return Err(DocumentUrlError::NotCanonical);
        }
        Ok(Self(url))
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed URL.
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// Host that publishes the document.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Checks whether the gateway may fetch the document: the host must be in `hosts` (empty allows all), and never the
    /// gateway itself.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn check_fetch_allowed(&self, own_authority: &str, hosts: &[&str]) -> Result<(), FetchNotAllowed> {
        if self.0.authority() == own_authority {
            return Err(FetchNotAllowed::OwnHost);
        }
        if hosts.is_empty() || hosts.contains(&self.host()) {
            return Ok(());
        }
        Err(FetchNotAllowed::UnlistedHost(self.host().to_owned()))
    }
}

impl TryFrom<String> for DocumentUrl {
    type Error = DocumentUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<DocumentUrl> for String {
    fn from(url: DocumentUrl) -> Self {
        url.0.into()
    }
}
