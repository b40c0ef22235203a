//! Access tokens whose signature was found good: it is checked at first sight and not at every request, since it
//! costs several times what all the rest of a proxied request does.
//!
//! Kept by the digest of the whole token, so that nothing but the very same token is found; never longer than the
//! token itself counts. Whether its grant is alive is asked elsewhere, each time.

use super::AccessToken;
use crate::base::clock::Timestamp;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks of their own, so that threads seldom meet; none is held for longer than a look.
const SHARDS: usize = 16;
/// The bound of a shard: 131 072 tokens in all, of less than 1 KiB each.
const MAX_TOKENS: usize = 8192;

/// The bound of what tokens have in common: more than most sites have routes.
const MAX_SHARED_STRINGS: usize = 256;

type Shard = HashMap<[u8; 32], Arc<AccessToken>, RandomState>;

#[derive(Default)]
pub(super) struct VerifiedTokens {
    shards: [Mutex<Shard>; SHARDS],
    audiences: Mutex<Vec<Arc<str>>>,
    scopes: Mutex<Vec<Arc<[String]>>>,
}

impl VerifiedTokens {
    /// The token of this digest, if it was kept and has not expired.
    pub(super) fn get(&self, digest: &[u8; 32], now: Timestamp) -> Option<Arc<AccessToken>> {
        self.shard(digest).get(digest).filter(|token| token.is_valid_at(now)).map(Arc::clone)
    }

    /// Keeps a token. A full shard first forgets what has expired; when that is little, every other token too:
    /// each costs one more check of its signature.
    pub(super) fn keep(&self, digest: [u8; 32], token: &Arc<AccessToken>, now: Timestamp) {
        let mut shard = self.shard(&digest);
        if shard.len() >= MAX_TOKENS {
            shard.retain(|_, token| token.is_valid_at(now));
            if shard.len() > MAX_TOKENS / 4 * 3 {
                let mut place = 0;
                shard.retain(|_, _| {
                    place += 1;
                    place % 2 == 0
                });
            }
        }
        shard.insert(digest, Arc::clone(token));
    }

    /// An audience as other tokens have it: with very many tokens each look at memory counts, and this one is near.
    pub(super) fn shared_audience(&self, audience: &str) -> Arc<str> {
        shared(&self.audiences, audience.into())
    }

    /// Scopes as other tokens have them.
    pub(super) fn shared_scopes(&self, scopes: Vec<String>) -> Arc<[String]> {
        shared(&self.scopes, scopes.into())
    }

    fn shard(&self, digest: &[u8; 32]) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(digest[0]) % SHARDS])
    }
}

fn shared<T: ?Sized + PartialEq>(kept: &Mutex<Vec<Arc<T>>>, new: Arc<T>) -> Arc<T> {
    let mut kept = lock(kept);
    if let Some(same) = kept.iter().find(|kept| **kept == new) {
        return Arc::clone(same);
    }
    if kept.len() < MAX_SHARED_STRINGS {
        kept.push(Arc::clone(&new));
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

    const EXPIRY: Timestamp = Timestamp::from_seconds(600);

    fn token() -> Arc<AccessToken> {
        Arc::new(AccessToken {
            subject: "00u1".into(),
            audience: "https://mcp.example.com/mcp/dice".into(),
            client_id: "client".into(),
            scopes: ["mcp:dice".to_owned()].into(),
            grant: [7; 16],
            expires_at: EXPIRY,
        })
    }

    #[test]
    fn a_token_is_kept_no_longer_than_it_counts() {
        let kept = VerifiedTokens::default();
        kept.keep([1; 32], &token(), Timestamp::from_seconds(0));
        assert!(kept.get(&[1; 32], Timestamp::from_millis(719_999)).is_some());
        assert!(kept.get(&[1; 32], EXPIRY.after(MAX_CLOCK_SKEW)).is_none());
        assert!(kept.get(&[2; 32], Timestamp::from_seconds(0)).is_none());
    }

    #[test]
    fn what_tokens_have_in_common_is_kept_once_and_bounded() {
        let kept = VerifiedTokens::default();
        let first = kept.shared_audience("https://mcp.example.com/mcp/dice");
        assert!(Arc::ptr_eq(&first, &kept.shared_audience("https://mcp.example.com/mcp/dice")));
        for number in 0..2 * MAX_SHARED_STRINGS {
            let scopes = kept.shared_scopes(vec![number.to_string()]);
            assert_eq!(*scopes, [number.to_string()]);
        }
        assert_eq!(lock(&kept.scopes).len(), MAX_SHARED_STRINGS);
    }

    #[test]
    fn the_number_of_kept_tokens_is_bounded() {
        let (kept, token) = (VerifiedTokens::default(), token());
        for number in 0..3 * MAX_TOKENS as u64 {
            let mut digest = [0; 32];
            digest[24..].copy_from_slice(&number.to_be_bytes());
            kept.keep(digest, &token, Timestamp::from_seconds(0));
            assert!(kept.get(&digest, Timestamp::from_seconds(0)).is_some());
        }
        assert!((MAX_TOKENS / 2..=MAX_TOKENS).contains(&kept.shard(&[0; 32]).len()));
    }
}
