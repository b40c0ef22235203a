//! Access token cache of one connection. A client usually sends the same token with each request: comparing it is cheaper
//! than parsing, digesting and looking it up.

use super::AccessToken;
use crate::base::clock::Timestamp;
use crate::base::ids::Key;
use crate::base::secret::SecretBytes;
use parking_lot::Mutex;
use std::sync::Arc;

/// Cache for the last access token of a connection.
#[derive(Default)]
pub struct LastToken(Mutex<State>);

#[derive(Default)]
struct State {
    /// Digest of the last token.
    digest: Option<Key>,
    /// `Authorization` header and content of the token, once it was sent twice in a row.
    cached: Option<(SecretBytes, Arc<AccessToken>)>,
}

impl LastToken {
    /// Returns the token if the credentials are the cached ones and have not expired.
    pub(super) fn get(&self, credentials: &[u8], now: Timestamp) -> Option<Arc<AccessToken>> {
        let state = self.0.lock();
        let (cached, token) = state.cached.as_ref()?;
        (token.is_valid_at(now) && cached.matches(credentials)).then(|| Arc::clone(token))
    }

    /// Caches a token that is sent twice in a row. A connection with a single request, such as one for a stream, and one
    /// that many users share, such as a proxy's, cache nothing.
    pub(super) fn insert(&self, credentials: &[u8], digest: Key, token: &Arc<AccessToken>) {
        let mut state = self.0.lock();
        let is_repeated = state.digest == Some(digest);
        state.digest = Some(digest);
        state.cached = is_repeated.then(|| (SecretBytes::new(credentials.to_vec()), Arc::clone(token)));
    }
}
