//! Uses of authorization codes that were sent and failed, because the response was lost or no replica has the change.
//! Their callers got an error, so that such a use must not count: the code still works, once.
//!
//! - This process remembers the nonces of these uses. Its next use of the code replaces them.
//! - Other gateways learn of it from Redis: the use is undone there at once, if Redis responds.

use super::{Connections, RedisStore, key, scripts};
use crate::store::{CodeUse, Key, Unavailable};
use bb8_redis::redis::Cmd;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Most remembered uses; the oldest is forgotten first.
const MAX_USES: usize = 1024;
/// Most uses that are being undone at the same time.
const MAX_RELEASES: usize = 64;

/// Uses of codes that ended in an error.
pub(super) struct FailedCodeUses {
    nonces: Mutex<VecDeque<(Key, String)>>,
    releases: Arc<Semaphore>,
}

impl Default for FailedCodeUses {
    fn default() -> Self {
        Self { nonces: Mutex::default(), releases: Arc::new(Semaphore::new(MAX_RELEASES)) }
    }
}

impl FailedCodeUses {
    /// Nonces of the failed uses of a code, one after the other.
    fn of(&self, code: Key) -> String {
        let nonces = self.nonces.lock();
        nonces.iter().filter(|(used, _)| *used == code).map(|(_, nonce)| nonce.as_str()).collect()
    }

    fn add(&self, code: Key, nonce: String) {
        let mut nonces = self.nonces.lock();
        if nonces.len() == MAX_USES {
            nonces.pop_front();
        }
        nonces.push_back((code, nonce));
    }

    /// Undoes a use in the background.
    fn release(&self, connections: &Arc<Connections>, command: Cmd) {
        let Ok(permit) = Arc::clone(&self.releases).try_acquire_owned() else { return };
        let connections = Arc::clone(connections);
        tokio::spawn(async move {
            let _permit = permit;
            // Without a response, the other gateways do not learn of it; this one does not need it.
            let _ = connections.query::<()>(&command).await;
        });
    }
}

impl RedisStore {
    pub(in crate::store) async fn use_code(&self, code: Key) -> Result<Option<CodeUse>, Unavailable> {
        let (keys, nonce) = ([&*key("code", code)], self.nonce());
        let call = self.script(scripts::USE_CODE, &keys).with(&nonce).with(self.failed_code_uses.of(code));
        match self.connections.try_durably::<Option<String>>(call.0).await? {
            Ok(used) => Ok(used.map(|used| if used == "first" { CodeUse::First } else { CodeUse::Again })),
            Err(unavailable) => {
                let release = self.script(scripts::RELEASE_CODE, &keys).with(&nonce);
                self.failed_code_uses.add(code, nonce);
                self.failed_code_uses.release(&self.connections, release.0);
                Err(unavailable)
            }
        }
    }
}
