//! Cache of verified access tokens. Verifying a signature costs several times as much as the rest of a proxied request.
//!
//! The key is the digest of the whole token, so that only the identical token is found. An entry is never used after the
//! token's expiry. The status of its grant is checked separately for each request.

use super::AccessToken;
use crate::base::clock::Timestamp;
use crate::base::ids::Key;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Number of shards, each with its own lock, to reduce contention.
const SHARDS: usize = 16;
/// Tokens in one shard: 131 072 in all, of less than 1 KiB each.
const MAX_SHARD_TOKENS: usize = 8192;

/// Interned audiences, and interned lists of scopes; most sites have fewer routes.
const MAX_INTERNED: usize = 256;

type Shard = HashMap<Key, Arc<AccessToken>, RandomState>;

/// Cache of verified access tokens, by the digest of the token.
#[derive(Default)]
pub(super) struct VerifiedTokens {
    shards: [Mutex<Shard>; SHARDS],
    audiences: Mutex<Vec<Arc<str>>>,
    scopes: Mutex<Vec<Arc<[String]>>>,
}

impl VerifiedTokens {
    /// Returns the cached token with this digest, if it has not expired.
    pub(super) fn get(&self, digest: &Key, now: Timestamp) -> Option<Arc<AccessToken>> {
        self.shard(digest).get(digest).filter(|token| token.is_valid_at(now)).map(Arc::clone)
    }

    /// Caches a token. A full shard first evicts expired tokens; if few have expired, every other token, whose signature
    /// is then verified again at its next use.
    pub(super) fn insert(&self, digest: Key, token: &Arc<AccessToken>, now: Timestamp) {
        let mut shard = self.shard(&digest);
        if shard.len() >= MAX_SHARD_TOKENS {
            shard.retain(|_, token| token.is_valid_at(now));
            if shard.len() > MAX_SHARD_TOKENS / 4 * 3 {
                let mut index = 0;
                shard.retain(|_, _| {
                    index += 1;
                    index % 2 == 0
                });
            }
        }
        shard.insert(digest, Arc::clone(token));
    }

    /// Interns an audience, so that many tokens share one allocation and its cache line.
    pub(super) fn shared_audience(&self, audience: &str) -> Arc<str> {
        intern(&self.audiences, audience.into())
    }

    /// Interns a list of scopes.
    pub(super) fn shared_scopes(&self, scopes: Vec<String>) -> Arc<[String]> {
        intern(&self.scopes, scopes.into())
    }

    fn shard(&self, digest: &Key) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(digest.0[0]) % SHARDS])
    }
}

/// Returns the interned value that equals `new`, or interns it while there is space.
fn intern<T: ?Sized + PartialEq>(interned: &Mutex<Vec<Arc<T>>>, new: Arc<T>) -> Arc<T> {
    let mut interned = lock(interned);
    if let Some(same) = interned.iter().find(|known| **known == new) {
        return Arc::clone(same);
    }
    if interned.len() < MAX_INTERNED {
        interned.push(Arc::clone(&new));
    }
    new
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        cache.insert(Key([1; 32]), &token(), Timestamp::from_seconds(0));
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
        assert_eq!(lock(&cache.scopes).len(), MAX_INTERNED);
    }

    #[test]
    fn the_number_of_cached_tokens_is_bounded() {
        let (cache, token) = (VerifiedTokens::default(), token());
        for number in 0..3 * MAX_SHARD_TOKENS as u64 {
            let mut digest = [0; 32];
            digest[24..].copy_from_slice(&number.to_be_bytes());
            let digest = Key(digest);
            cache.insert(digest, &token, Timestamp::from_seconds(0));
            assert!(cache.get(&digest, Timestamp::from_seconds(0)).is_some());
        }
        assert!((MAX_SHARD_TOKENS / 2..=MAX_SHARD_TOKENS).contains(&cache.shard(&Key([0; 32])).len()));
    }
}
