//! Issuers: the org authorization server and custom ones.

use gateway_routes::AuthorizationServer;
use url::Url;

/// Issuer of an Okta authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    url: String,
    custom: bool,
}

impl Issuer {
    /// Returns the issuer of an authorization server of the org; a URL with a path is the issuer itself.
    pub fn of(url: &Url, server: AuthorizationServer) -> Self {
        let text = url.as_str().trim_end_matches('/');
        match server {
            _ if !url.path().trim_end_matches('/').is_empty() => Self { url: text.to_owned(), custom: true },
            AuthorizationServer::Org => Self { url: text.to_owned(), custom: false },
            AuthorizationServer::Custom(id) => Self { url: format!("{text}/oauth2/{id}"), custom: true },
        }
    }

    /// The issuer as in metadata and tokens.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Returns `true` for a custom authorization server.
    pub(super) const fn is_custom(&self) -> bool {
        self.custom
    }
}
