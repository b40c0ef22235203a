//! Client record: name, redirect URIs and authentication method of an OAuth client.

use super::auth_method::AuthMethod;
use super::keys::ClientKeys;
use crate::base::clock::Timestamp;
use crate::oauth::error::OAuthError;
use crate::oauth::redirect::{RedirectUri, RedirectUriError};
use serde::{Deserialize, Serialize};

/// OAuth client, from dynamic registration or from a metadata document.
///
/// The `client_id` of a registered client is this record, sealed; the short JSON names keep that id short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// `client_name` as the client sent it.
    #[serde(rename = "n")]
    pub name: String,
    /// Registered redirect URIs.
    #[serde(rename = "r")]
    pub redirect_uris: Vec<RedirectUri>,
    /// Authentication method at the token endpoint.
    #[serde(rename = "m")]
    pub auth_method: AuthMethod,
    /// Keys that verify client assertions; `None` unless the method is `private_key_jwt`.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<ClientKeys>,
    /// Time of registration, or of reading the metadata document.
    #[serde(rename = "t")]
    pub registered_at: Timestamp,
    /// Nonce that distinguishes two registrations of the same metadata; empty for a metadata document.
    #[serde(rename = "i")]
    pub nonce: String,
}

impl Client {
    /// Redirect URI of an authorization request: the requested URI when it matches a registered one, or the only
    /// registered URI when the request has none.
    ///
    /// # Errors
    /// `invalid_request`, which must not be sent to any redirect URI.
    pub fn redirect(&self, requested: Option<&str>, schemes: &[&str]) -> Result<RedirectUri, OAuthError> {
        let refuse = |why: RedirectUriError| {
            OAuthError::invalid_request(format!("redirect_uri is not allowed: {why}"))
        };
        let Some(requested) = requested else {
            return match self.redirect_uris.as_slice() {
                // The allowed schemes may have changed since the registration.
                [sole] => RedirectUri::parse(sole.as_str(), schemes).map_err(refuse),
                _ => Err(OAuthError::invalid_request("redirect_uri is missing, and several are registered")),
            };
        };
        let requested = RedirectUri::parse(requested, schemes).map_err(refuse)?;
        if self.redirect_uris.iter().any(|registered| registered.matches(&requested)) {
            return Ok(requested);
        }
        Err(OAuthError::invalid_request("redirect_uri is not one that this client registered"))
    }
}
