//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): a `client_id` that is the URL of what
//! the client publishes of itself.

use super::client::{AuthMethod, Client};
use super::client_keys::ClientKeys;
use super::error::{ErrorCode, OAuthError};
use super::redirect::{has_dot_segment, has_userinfo};
use super::registration::{must_include, name, redirect_uris};
use crate::base::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use url::{Host, Url};

/// The longest document that is read, in bytes (draft §8.7).
pub const MAX_DOCUMENT_BYTES: usize = 5 * 1024;
const MAX_URL_BYTES: usize = 1024;

/// A URL that a document may be fetched from, in the one spelling that all parsers read alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentUrl(Url);

/// Whether a `client_id` is meant as a URL. Those that we seal have no colon.
pub fn is_url(client_id: &str) -> bool {
    client_id.contains("://")
}

impl DocumentUrl {
    /// Checks a URL (draft §3).
    ///
    /// # Errors
    /// One sentence that says what is wrong with it.
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
        let named = match url.host() {
            Some(Host::Domain(name)) => name.contains('.') && !name.ends_with('.'),
            _ => false,
        };
        if !named {
            return Err("its host is not a name on the internet");
        }
        // Another spelling, such as an upper-case host, is another client to some and the same to others.
        if url.as_str() != text {
            return Err("it is not written as URL parsers write it");
        }
        Ok(Self(url))
    }

    /// As the client wrote it.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// To be fetched.
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// Whose document it is.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether a server of this authority fetches it, and these hosts are the only ones (any, if there are none): never
    /// from itself, because a URL of its own could make it ask itself again and again.
    ///
    /// # Errors
    /// One sentence that says why not.
    pub fn may_be_fetched(&self, own_authority: &str, hosts: &[&str]) -> Result<(), String> {
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

/// Why what was read describes no client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadDocument {
    /// It does not name the URL that it is at: it is not meant for us, and what it is goes into the log alone.
    Foreign(&'static str),
    /// It does. Names the member and says what is wrong with it.
    Wrong(String),
}

impl fmt::Display for BadDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(what) => f.write_str(what),
            Self::Wrong(why) => f.write_str(why),
        }
    }
}

/// The client that a document describes, read at this time.
///
/// # Errors
/// It describes none.
pub fn read(
    document: &[u8],
    url: &DocumentUrl,
    (schemes, now): (&[&str], Timestamp),
) -> Result<Client, BadDocument> {
    let Ok(Value::Object(metadata)) = serde_json::from_slice(document) else {
        return Err(BadDocument::Foreign("it is not a JSON object"));
    };
    if metadata.get("client_id").and_then(Value::as_str) != Some(url.as_str()) {
        return Err(BadDocument::Foreign("client_id is not the URL that the document is at"));
    }
    client(&metadata, (schemes, now)).map_err(|refused| BadDocument::Wrong(refused.description.into_owned()))
}

fn client(
    metadata: &Map<String, Value>,
    (schemes, registered_at): (&[&str], Timestamp),
) -> Result<Client, OAuthError> {
    if metadata.contains_key("client_secret") || metadata.contains_key("client_secret_expires_at") {
        return Err(refuse("client_secret has no place in what everybody can read"));
    }
    must_include(metadata, "grant_types", "authorization_code")?;
    must_include(metadata, "response_types", "code")?;
    let name = name(metadata)?;
    if name.trim().is_empty() {
        return Err(refuse("client_name is missing"));
    }
    let auth_method = auth_method(metadata)?;
    Ok(Client {
        name,
        redirect_uris: redirect_uris(metadata, schemes)?,
        auth_method,
        keys: (auth_method == AuthMethod::PrivateKeyJwt).then(|| ClientKeys::read(metadata)).transpose()?,
        registered_at,
        nonce: String::new(),
    })
}

/// The one method that the client must use: what it names, if we have it; else the strongest that it lists beside, as
/// `OpenID` Connect RP Metadata Choices has it (`ChatGPT` lists two). Where nothing is said there is no authentication:
/// there is no secret that the default could use.
fn auth_method(metadata: &Map<String, Value>) -> Result<AuthMethod, OAuthError> {
    let named = match metadata.get("token_endpoint_auth_method") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if name.starts_with("client_secret") => {
            return Err(refuse("token_endpoint_auth_method needs a secret, and there can be none"));
        }
        Some(Value::String(name)) => Some(name.as_str()),
        Some(_) => return Err(refuse("token_endpoint_auth_method is not a string")),
    };
    let listed = match metadata.get("token_endpoint_auth_methods_supported") {
        Some(Value::Array(methods)) => methods.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let offers = |method: AuthMethod| listed.contains(&method.as_str());
    match named.and_then(AuthMethod::parse) {
        Some(method) => Ok(method),
        None if offers(AuthMethod::PrivateKeyJwt) => Ok(AuthMethod::PrivateKeyJwt),
        None if offers(AuthMethod::None) || named.is_none() => Ok(AuthMethod::None),
        None => Err(refuse("token_endpoint_auth_method must be none or private_key_jwt")),
    }
}

fn refuse(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

#[cfg(test)]
mod tests;
