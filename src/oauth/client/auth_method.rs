//! Client authentication methods of the token endpoint.

use serde::{Deserialize, Serialize};

/// `token_endpoint_auth_method` (RFC 7591 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMethod {
    /// Public client without authentication.
    #[serde(rename = "none")]
    None,
    /// Client secret in the request body.
    #[serde(rename = "client_secret_post")]
    SecretPost,
    /// The secret in the `Authorization` header (HTTP Basic); the default of RFC 7591 §2.
    #[serde(rename = "client_secret_basic")]
    SecretBasic,
    /// JWT signed by the client (RFC 7523 §2.2).
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Supported methods, in the order in which the metadata advertises them.
    pub const ALL: [Self; 4] = [Self::None, Self::SecretPost, Self::SecretBasic, Self::PrivateKeyJwt];

    /// Name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretPost => "client_secret_post",
            Self::SecretBasic => "client_secret_basic",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// Returns `true` when a client that uses the method is issued a secret.
    pub const fn has_secret(self) -> bool {
        matches!(self, Self::SecretPost | Self::SecretBasic)
    }

    /// Parses the name on the wire.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}
