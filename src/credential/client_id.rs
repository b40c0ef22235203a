//! Stateless client registration: a `client_id` contains the client's encrypted metadata, so that a registration needs no
//! storage, survives restarts and a flushed store, works on all replicas and cannot be forged.

use super::Credentials;
use crate::base::encoding;
use crate::base::secret::Secret;
use crate::oauth::client::Client;

/// Largest `client_id`.
const MAX_CLIENT_ID_BYTES: usize = 8 * 1024;

impl Credentials {
    /// Encrypts the client's metadata as a `client_id`; `None` when it is too long.
    pub fn seal_client(&self, client: &Client) -> Option<String> {
        let metadata = serde_json::to_vec(client).ok()?;
        let id = encoding::encode(self.client_ids.seal(&self.entropy, &metadata, self.issuer.as_bytes()));
        (id.len() <= MAX_CLIENT_ID_BYTES).then_some(id)
    }

    /// Decrypts a `client_id`; `None` when this issuer did not create it.
    pub fn open_client(&self, client_id: &str) -> Option<Client> {
        if client_id.len() > MAX_CLIENT_ID_BYTES {
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
