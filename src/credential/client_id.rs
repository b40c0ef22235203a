//! A `client_id` carries the client's accepted metadata, sealed: a registration survives restarts, replicas and
//! a flushed store, costs no storage and cannot be forged.

use super::Credentials;
use crate::base::encoding;
use crate::base::secret::Secret;
use crate::oauth::client::Client;

/// The longest id that is opened; the longest that is minted is shorter.
const MAX_CLIENT_ID_BYTES: usize = 8 * 1024;

impl Credentials {
    /// The id that carries this client; `None` when its metadata is too long for one.
    pub fn seal_client(&self, client: &Client) -> Option<String> {
        let metadata = serde_json::to_vec(client).ok()?;
        let id = encoding::encode(self.client_ids.seal(&self.entropy, &metadata, self.issuer.as_bytes()));
        (id.len() <= MAX_CLIENT_ID_BYTES).then_some(id)
    }

    /// The client of an id that this issuer sealed; `None` for every other text.
    pub fn open_client(&self, client_id: &str) -> Option<Client> {
        if client_id.len() > MAX_CLIENT_ID_BYTES {
            return None;
        }
        let sealed = encoding::decode(client_id)?;
        let metadata = self.client_ids.open(&sealed, self.issuer.as_bytes())?;
        serde_json::from_slice(&metadata).ok()
    }

    /// The secret that belongs to an id: computed, so that it needs no storage.
    pub fn client_secret(&self, client_id: &str) -> Secret {
        Secret::new(encoding::encode(self.client_secrets.tag(&[client_id.as_bytes()])))
    }

    /// Whether this is the secret of that id.
    pub fn is_client_secret(&self, client_id: &str, secret: &Secret) -> bool {
        encoding::decode(secret.expose())
            .is_some_and(|tag| self.client_secrets.verify(&[client_id.as_bytes()], &tag))
    }
}
