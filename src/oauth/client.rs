//! A client: who it says it is, where its codes may go, how it proves itself at the token endpoint.

use super::client_keys::ClientKeys;
use super::error::OAuthError;
use super::redirect::RedirectUri;
use crate::base::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// A client that registered itself, or that publishes what it is. The first one's `client_id` carries this, sealed; the
/// short names keep that id short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// What it calls itself.
    #[serde(rename = "n")]
    pub name: String,
    /// Where its codes may go.
    #[serde(rename = "r")]
    pub redirect_uris: Vec<RedirectUri>,
    /// How it proves itself at the token endpoint.
    #[serde(rename = "m")]
    pub auth_method: AuthMethod,
    /// What its assertions are verified with; a client that does not use them has none.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<ClientKeys>,
    /// When it registered, or its document was read.
    #[serde(rename = "t")]
    pub registered_at: Timestamp,
    /// What makes two registrations of the same metadata two clients; empty for one that publishes its own.
    #[serde(rename = "i")]
    pub nonce: String,
}

/// `token_endpoint_auth_method` (RFC 7591 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMethod {
    /// A public client.
    #[serde(rename = "none")]
    None,
    /// The secret in the body.
    #[serde(rename = "client_secret_post")]
    SecretPost,
    /// The secret in the `Authorization` header: what RFC 7591 means when a client names nothing.
    #[serde(rename = "client_secret_basic")]
    SecretBasic,
    /// A JWT that the client signs (RFC 7523 §2.2).
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
}

impl AuthMethod {
    /// All that this version knows, in the order in which they are advertised.
    pub const ALL: [Self; 4] = [Self::None, Self::SecretPost, Self::SecretBasic, Self::PrivateKeyJwt];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretPost => "client_secret_post",
            Self::SecretBasic => "client_secret_basic",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// Whether a client that uses it is given a secret.
    pub const fn has_secret(self) -> bool {
        matches!(self, Self::SecretPost | Self::SecretBasic)
    }

    /// By its name on the wire.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

impl Client {
    /// The URI that codes of this request go to: the asked one when a registered one admits it; the sole
    /// registered one when none is asked.
    ///
    /// # Errors
    /// `invalid_request`, which must not be redirected anywhere.
    pub fn redirect(&self, asked: Option<&str>, schemes: &[&str]) -> Result<RedirectUri, OAuthError> {
        let refuse = |why| OAuthError::invalid_request(format!("redirect_uri is not allowed: {why}"));
        let Some(asked) = asked else {
            return match self.redirect_uris.as_slice() {
                // The rules may have changed since it was registered.
                [sole] => RedirectUri::parse(sole.as_str(), schemes).map_err(refuse),
                _ => Err(OAuthError::invalid_request("redirect_uri is missing, and several are registered")),
            };
        };
        let asked = RedirectUri::parse(asked, schemes).map_err(refuse)?;
        if self.redirect_uris.iter().any(|registered| registered.admits(&asked)) {
            return Ok(asked);
        }
        Err(OAuthError::invalid_request("redirect_uri is not one that this client registered"))
    }
}
