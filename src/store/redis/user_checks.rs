//! Checks of users at Okta in Redis.

use super::records::key;
use super::scripts::script;
use super::{Key, RedisStore, Unavailable};
use crate::base::clock::Timestamp;

/// Replaces what is stored about the checks of a user. Key: the record; arguments: lifetime, old value or an empty text,
/// new value. Returns 1 if it was the old one, otherwise 0. No two encryptions are equal, so that a repeat recognizes its
/// own.
const REPLACE_USER_CHECK: &str = script!(
    "
local kept = redis.call('HMGET', KEYS[1], 'until', 'value')
local value = kept[1] and not ended(kept[1]) and kept[2] or ''
if value == ARGV[4] then return 1 end
if value ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], 'until', ends(ARGV[2]), 'value', ARGV[4])
expire(ARGV[2])
return 1
"
);

impl RedisStore {
    pub(in crate::store) async fn user_check(&self, user: Key) -> Result<Option<Vec<u8>>, Unavailable> {
        self.get(&key("user-check", user)).await
    }

    pub(in crate::store) async fn replace_user_check(
        &self,
        user: Key,
        old: Option<Vec<u8>>,
        new: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        let call = self.script(REPLACE_USER_CHECK, &[&key("user-check", user)]);
        self.call(call.with(self.lifetime(expires_at)).with(old.unwrap_or_default()).with(new)).await
    }
}
