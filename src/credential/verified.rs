//! Cache of verified access tokens. Verifying a signature costs several times as much as the rest of a proxied request.
//!
//! The key is the digest of the whole token, so that only the identical token is found. An entry is never used after the
//! token's expiry. The status of its grant is checked separately for each request.

use super::AccessToken;
use crate::base::cache::Cache;
use crate::base::clock::Timestamp;
use crate::base::ids::Key;
use parking_lot::Mutex;
use std::sync::Arc;

/// Cached tokens, of less than 1 KiB each: 128 MiB in all.
const MAX_TOKENS: usize = 131_072;
/// Interned audiences, and interned lists of scopes; most sites have fewer routes.
const MAX_INTERNED: usize = 256;

/// Cache of verified access tokens, by the digest of the token.
pub(super) struct VerifiedTokens {
    tokens: Cache<Key, Arc<AccessToken>>,
    audiences: Mutex<Vec<Arc<str>>>,
    scopes: Mutex<Vec<Arc<[String]>>>,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self { tokens: Cache::new(MAX_TOKENS), audiences: Mutex::default(), scopes: Mutex::default() }
    }
}

impl VerifiedTokens {
    /// Returns the cached token with this digest, if it has not expired.
    pub(super) fn get(&self, digest: &Key, now: Timestamp) -> Option<Arc<AccessToken>> {
        self.tokens.get(digest).filter(|token| token.is_valid_at(now))
    }

    /// Caches a token. The signature of an evicted token is verified again at its next use.
    pub(super) fn insert(&self, digest: Key, token: &Arc<AccessToken>) {
        self.tokens.insert(digest, Arc::clone(token));
    }

    /// Interns an audience, so that many tokens share one allocation and its cache line.
    pub(super) fn shared_audience(&self, audience: &str) -> Arc<str> {
        intern(&self.audiences, audience.into())
    }

    /// Interns a list of scopes.
    pub(super) fn shared_scopes(&self, scopes: Vec<String>) -> Arc<[String]> {
        intern(&self.scopes, scopes.into())
    }
}

/// Returns the interned value that equals `new`, or interns it while there is space.
fn intern<T: ?Sized + PartialEq>(interned: &Mutex<Vec<Arc<T>>>, new: Arc<T>) -> Arc<T> {
    let mut interned = interned.lock();
    if let Some(same) = interned.iter().find(|known| **known == new) {
        return Arc::clone(same);
    }
    if interned.len() < MAX_INTERNED {
        interned.push(Arc::clone(&new));
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::MAX_CLOCK_SKEW;
    use crate::base::ids::GrantId;

    const EXPIRY: Timestamp = Timestamp::from_seconds(600);

    fn token() -> Arc<AccessToken> {
        Arc::new(AccessToken {
            subject: "00u1".into(),
            audience: "https://mcp.example.com/mcp/dice".into(),
            client_id: "client".into(),
            scopes: ["mcp:dice".to_owned()].into(),
            grant: GrantId([7; 16]),
            expires_at: EXPIRY,
        })
    }

    #[test]
    fn a_token_is_not_returned_after_its_expiry() {
        let cache = VerifiedTokens::default();
        cache.insert(Key([1; 32]), &token());
        assert!(cache.get(&Key([1; 32]), Timestamp::from_millis(719_999)).is_some());
        assert!(cache.get(&Key([1; 32]), EXPIRY.after(MAX_CLOCK_SKEW)).is_none());
        assert!(cache.get(&Key([2; 32]), Timestamp::from_seconds(0)).is_none());
    }

    #[test]
    fn interned_values_are_shared_and_bounded() {
        let cache = VerifiedTokens::default();
        let first = cache.shared_audience("https://mcp.example.com/mcp/dice");
        assert!(Arc::ptr_eq(&first, &cache.shared_audience("https://mcp.example.com/mcp/dice")));
        for number in 0..2 * MAX_INTERNED {
            let scopes = cache.shared_scopes(vec![number.to_string()]);
            assert_eq!(*scopes, [number.to_string()]);
        }
        assert_eq!(cache.scopes.lock().len(), MAX_INTERNED);
    }

    #[test]
    fn the_number_of_cached_tokens_is_bounded() {
        let (cache, token) = (VerifiedTokens::default(), token());
        let digest = |number: u64| {
            let mut digest = [0; 32];
            digest[24..].copy_from_slice(&number.to_be_bytes());
            Key(digest)
        };
        for number in 0..MAX_TOKENS as u64 * 3 / 2 {
            cache.insert(digest(number), &token);
            assert!(cache.get(&digest(number), Timestamp::from_seconds(0)).is_some());
        }
        assert_eq!(cache.tokens.len(), MAX_TOKENS);
    }
}
