//! The token that a connection brought last. Clients bring the same one again and again: it is compared then, rather
//! than read, digested and looked up.

use super::AccessToken;
use crate::base::clock::Timestamp;
use crate::base::secret::SecretBytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a connection remembers.
#[derive(Default)]
pub struct LastToken(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// The digest of the last token that was looked up.
    digest: [u8; 32],
    /// Once it came twice in a row: how it was presented, and what it says.
    known: Option<(SecretBytes, Arc<AccessToken>)>,
}

impl LastToken {
    /// What these credentials say, if they are the same once more and have not expired.
    pub(super) fn get(&self, credentials: &[u8], now: Timestamp) -> Option<Arc<AccessToken>> {
        let memory = self.memory();
        let (known, token) = memory.known.as_ref()?;
        (token.is_valid_at(now) && known.matches(credentials)).then(|| Arc::clone(token))
    }

    /// Remembers them if they came twice in a row: a connection with a single request, such as one for a stream,
    /// and one that many users share, such as a proxy's, keep nothing.
    pub(super) fn keep(&self, credentials: &[u8], digest: [u8; 32], token: &Arc<AccessToken>) {
        let mut memory = self.memory();
        let again = memory.digest == digest;
        memory.digest = digest;
        memory.known = again.then(|| (SecretBytes::new(credentials.to_vec()), Arc::clone(token)));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
