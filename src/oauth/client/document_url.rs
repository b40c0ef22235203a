//! URLs from which documents of a client may be fetched.

use crate::oauth::redirect::{has_dot_segment, has_userinfo};
use gateway_routes::is_loopback_host;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

const MAX_URL_BYTES: usize = 1024;

/// URL of a client's document, in the canonical form that all URL parsers agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentUrl(Url);

/// Returns true when a `client_id` is a URL. A sealed `client_id` contains no colon.
pub fn is_url(client_id: &str) -> bool {
    client_id.contains("://")
}

impl DocumentUrl {
    /// Parses and validates a URL (draft-ietf-oauth-client-id-metadata-document §3).
    ///
    /// # Errors
    /// The reason, in one sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_URL_BYTES {
            return Err("it is longer than 1024 characters");
        }
        let Some(rest) = text.strip_prefix("https://") else { return Err("it is not an https URL") };
        if text.contains('#') {
            return Err("it has a fragment");
        }
        if has_userinfo(text) {
            return Err("it has user information before the host");
        }
        if !rest.split('?').next().unwrap_or_default().contains('/') {
            return Err("it has no path");
        }
        if has_dot_segment(text) {
            return Err("its path has a dot segment");
        }
        let url = Url::parse(text).map_err(|_| "it is not a URL")?;
        let has_domain = match url.host() {
            Some(Host::Domain(name)) => name.contains('.') && !name.ends_with('.') && !is_loopback_host(name),
            _ => false,
        };
        if !has_domain {
            return Err("its host is not a name on the internet");
        }
        // Programs disagree whether another spelling, such as an upper-case host, is the same client.
        if url.as_str() != text {
            return Err("it is not written as URL parsers write it");
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
    /// gateway itself, because such a URL could make it request itself in a loop.
    ///
    /// # Errors
    /// The reason, in one sentence.
    pub fn check_fetch_allowed(&self, own_authority: &str, hosts: &[&str]) -> Result<(), String> {
        if self.0.authority() == own_authority {
            return Err("this gateway publishes no clients".into());
        }
        if hosts.is_empty() || hosts.contains(&self.host()) {
            return Ok(());
        }
        Err(format!("this gateway takes nothing that is published at {}", self.host()))
    }
}

impl TryFrom<String> for DocumentUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<DocumentUrl> for String {
    fn from(url: DocumentUrl) -> Self {
        url.0.into()
    }
}
