//! Stateless client registration: a `client_id` contains the client's encrypted metadata, so that a registration needs no
//! storage, survives restarts and a flushed store, works on all replicas and cannot be forged.

use super::Credentials;
use crate::base::encoding;
use crate::base::secret::Secret;
use crate::oauth::client::Client;
use thiserror::Error;

/// Longest `client_id` that is created. It is part of the URL of an authorization request, of an `Authorization: Basic`
/// header and, as a claim, of each access token. Many servers in front of a gateway accept 8 KiB in such a line; with this
/// `client_id`, the longest redirect URI and a KiB of other parameters fit.
const MAX_NEW_BYTES: usize = 4 * 1024;
/// Longest `client_id` that is decrypted: earlier releases created longer ones.
const MAX_BYTES: usize = 8 * 1024;

/// The sealed metadata of a client is longer than a `client_id` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the metadata makes a client_id of {bytes} bytes, and only {MAX_NEW_BYTES} fit into a URL: register fewer or shorter \
     redirect_uris, and a jwks_uri instead of jwks"
)]
pub struct ClientIdTooLong {
    /// Length of the `client_id`.
    pub bytes: usize,
}

impl Credentials {
    /// Encrypts the client's metadata as a `client_id`.
    ///
    /// # Errors
    /// [`ClientIdTooLong`]
    pub fn seal_client(&self, client: &Client) -> Result<String, ClientIdTooLong> {
        let metadata = serde_json::to_vec(client).expect("a client is a plain struct of text");
        let id = encoding::encode(self.client_ids.seal(&self.entropy, &metadata, self.issuer.as_bytes()));
        if id.len() > MAX_NEW_BYTES { Err(ClientIdTooLong { bytes: id.len() }) } else { Ok(id) }
    }

    /// Decrypts a `client_id`; `None` when this issuer did not create it.
    pub fn open_client(&self, client_id: &str) -> Option<Client> {
        if client_id.len() > MAX_BYTES {
            return None;
        }
        let sealed = encoding::decode(client_id)?;
        let metadata = self.client_ids.open(&sealed, self.issuer.as_bytes())?;
        serde_json::from_slice(&metadata).ok()
    }

    /// Derives the client secret from the `client_id`, so that it needs no storage.
    pub fn client_secret(&self, client_id: &str) -> Secret {
        Secret::new(encoding::encode(self.client_secrets.tag(&[client_id.as_bytes()])))
    }

    /// Verifies a client secret.
    pub fn is_client_secret(&self, client_id: &str, secret: &Secret) -> bool {
        encoding::decode(secret.expose())
            .is_some_and(|tag| self.client_secrets.verify(&[client_id.as_bytes()], &tag))
    }
}
