//! Lua scripts of the operations that read before they write: Redis runs a script atomically. Each script uses the keys
//! of one slot only.
//!
//! - **Time.** Redis' own clock decides, since the clocks of the replicas differ: keys expire by it, and `now()` reads
//!   it. A test passes a time as the first argument, which is empty otherwise; expiries are then compared with it.
//! - **Repeats.** The client library sends a call again when its connection breaks, even if Redis has run it already.
//!   So a script that must not run twice gets the nonce of its call, stores it with its change, and returns the first
//!   result to a repeat. A repeat writes too, so that the `WAIT` after it waits for the reported change.
//! - **Other releases.** The previous release reads the same records: `until` is a time in milliseconds in every
//!   record, and a nonce is stored in its fraction where there is no other field.
//!
//! A script is sent with each call, so that nothing has to be loaded after a restart or a failover. When Redis is full,
//! it rejects the first write of a script if that may need memory, and no later one: a script that creates a record
//! begins with that write, one that ends a record with the removal.

/// Prepends the functions that several scripts share.
macro_rules! script {
    ($script:literal) => {
        concat!(
            "
local function now()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function ended(kept)
  return ARGV[1] ~= '' and tonumber(ARGV[1]) >= tonumber(string.match(kept, '^%d+'))
end
local function ends(lives) return string.format('%.0f', now() + tonumber(lives)) end
local function expire(lives) redis.call('PEXPIRE', KEYS[1], math.max(1, tonumber(lives))) end
local function touch(key) redis.call('PEXPIRE', key, redis.call('PTTL', key)) end
local function marked(kept, mark) return kept and string.match(kept, '%.(%d+)$') == mark end
",
            $script
        )
    };
}
pub(super) use script;

/// Negotiates the format. Key: the format; arguments: the oldest, default, newest and configured format, lifetime.
/// Returns the stored format when it is unknown, otherwise the one to use from now on, and Redis' time.
pub(super) const NEGOTIATE_FORMAT: &str = script!(
    "
local kept = redis.call('GET', KEYS[1])
local found = tonumber(kept or ARGV[3])
if found < tonumber(ARGV[2]) or found > tonumber(ARGV[4]) then return {found, now()} end
local format = math.max(found, tonumber(ARGV[5]))
if not kept or format ~= found then redis.call('SET', KEYS[1], format, 'PX', ARGV[6]) end
return {format, now()}
"
);

/// Stores a value until it expires, unless the key exists: keys are random, so that it then is the same value, perhaps
/// used since. Key: the record; arguments: lifetime, value.
pub(super) const PUT: &str = script!(
    "
local kept = redis.call('HGET', KEYS[1], 'until')
if kept and not ended(kept) then return end
redis.call('HSET', KEYS[1], 'until', ends(ARGV[2]), 'value', ARGV[3])
redis.call('HDEL', KEYS[1], 'used', 'released', 'taken', 'was')
expire(ARGV[2])
"
);

/// Stores a login until it expires, unless the key exists. Key: the login; arguments: lifetime, nonce, value. Returns
/// nil, or the existing value, which is empty once it was taken.
pub(super) const PUT_LOGIN: &str = script!(
    "
local kept = redis.call('HMGET', KEYS[1], 'until', 'value', 'put')
if kept[1] and not ended(kept[1]) then
  if kept[3] ~= ARGV[3] then return kept[2] or '' end
  touch(KEYS[1])
  return false
end
redis.call('HSET', KEYS[1], 'until', ends(ARGV[2]), 'value', ARGV[4], 'put', ARGV[3])
redis.call('HDEL', KEYS[1], 'taken', 'was')
expire(ARGV[2])
return false
"
);

/// Takes a value, once. Key: the record; argument: nonce. The taken value stays for a repeat, in a field that the
/// previous release does not read.
pub(super) const TAKE: &str = script!(
    "
local kept = redis.call('HMGET', KEYS[1], 'until', 'value', 'taken', 'was')
if not kept[1] or ended(kept[1]) then return false end
if kept[3] == ARGV[2] then
  touch(KEYS[1])
  return kept[4]
end
if not kept[2] then return false end
redis.call('HDEL', KEYS[1], 'value')
redis.call('HSET', KEYS[1], 'taken', ARGV[2], 'was', kept[2])
return kept[2]
"
);

/// Marks a code as used. Key: the code; arguments: nonce, the nonces of earlier uses that failed for their callers, whose
/// mark is replaced. Returns `first`, `again` or nil.
pub(super) const USE_CODE: &str = script!(
    "
local kept = redis.call('HMGET', KEYS[1], 'until', 'used', 'released')
if not kept[1] or ended(kept[1]) then return false end
if kept[2] == ARGV[2] then
  touch(KEYS[1])
  return 'first'
end
if kept[3] == ARGV[2] or kept[2] and not string.find(ARGV[3], kept[2], 1, true) then return 'again' end
redis.call('HSET', KEYS[1], 'used', ARGV[2])
return 'first'
"
);

/// Undoes a use of a code. Key: the code; argument: the nonce of the use, which has no effect any more if it comes later.
pub(super) const RELEASE_CODE: &str = script!(
    "
if redis.call('EXISTS', KEYS[1]) == 0 then return end
if redis.call('HGET', KEYS[1], 'used') == ARGV[2] then redis.call('HDEL', KEYS[1], 'used') end
redis.call('HSET', KEYS[1], 'released', ARGV[2])
"
);

/// Creates a grant, unless it was revoked before or exists. Keys: the grant, its tombstone; arguments: lifetime, then
/// field names and values. Returns 0 when it was revoked before, otherwise 1.
pub(super) const CREATE_GRANT: &str = script!(
    "
local tombstone = redis.call('GET', KEYS[2])
if tombstone and not ended(tombstone) then return 0 end
local kept = redis.call('HGET', KEYS[1], 'until')
if kept and not ended(kept) then
  touch(KEYS[1])
  return 1
end
local made = ends(0)
redis.call('HSET', KEYS[1], 'until', ends(ARGV[2]), 'created_at', made, 'rotated_at', made, 'calls', '', unpack(ARGV, 3))
expire(ARGV[2])
return 1
"
);

/// Rotates a refresh token, by the same rule as `rotation::apply`. Keys: the grant, its tombstone; arguments: nonce, the
/// newest known format, presented generation, grace period, lifetime, `revoke` or `refuse` on reuse, lifetime of the
/// tombstone. Returns the step and the grant. The nonces of the last eight calls are stored with their results: a late
/// repeat presents an older token by then.
pub(super) const ROTATE: &str = script!(
    "
local nonce, presented, grace = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local kept = redis.call('HMGET', KEYS[1], 'version', 'until', 'generation', 'previous', 'rotated_at', 'calls')
if not kept[2] or ended(kept[2]) then
  if marked(redis.call('GET', KEYS[2]), nonce) then return {'revoked', {}} end
  return {'gone', {}}
end
if tonumber(kept[1]) > tonumber(ARGV[3]) then return {'unreadable', redis.call('HGETALL', KEYS[1])} end
local calls = kept[6] or ''
local step = string.match(calls, nonce .. '(%a)')
if step then
  touch(KEYS[1])
  return {step == 'f' and 'fresh' or 'same', redis.call('HGETALL', KEYS[1])}
end
local generation, previous = tonumber(kept[3]), tonumber(kept[4])
if presented > generation then return {'unknown', {}} end
local last = presented == previous
if presented ~= generation and not last then
  local grant = redis.call('HGETALL', KEYS[1])
  if ARGV[7] ~= 'revoke' then return {'refused', {}} end
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[2], ends(ARGV[8]) .. '.' .. nonce, 'PX', ARGV[8])
  return {'revoked', grant}
end
if last and now() - tonumber(kept[5]) <= grace then
  redis.call('HSET', KEYS[1], 'calls', string.sub(nonce .. 's' .. calls, 1, 136))
  return {'same', redis.call('HGETALL', KEYS[1])}
end
if generation >= 4294967295 then return {'unknown', {}} end
redis.call('HSET', KEYS[1], 'generation', string.format('%.0f', generation + 1), 'previous', ARGV[4],
  'rotated_at', ends(0), 'until', ends(ARGV[6]), 'calls', string.sub(nonce .. 'f' .. calls, 1, 136))
expire(ARGV[6])
return {'fresh', redis.call('HGETALL', KEYS[1])}
"
);

/// Replaces the sealed part of an active grant. Key: the grant; arguments: old and new sealed part, new index entries, format.
/// Returns the grant if its sealed part was the old one. No two encryptions are equal, so that a repeat recognizes its
/// own.
pub(super) const REPLACE_SEALED: &str = script!(
    "
local kept = redis.call('HMGET', KEYS[1], 'until', 'sealed')
if not kept[1] or ended(kept[1]) then return {} end
if kept[2] == ARGV[3] then
  touch(KEYS[1])
  return redis.call('HGETALL', KEYS[1])
end
if kept[2] ~= ARGV[2] then return {} end
redis.call('HSET', KEYS[1], 'sealed', ARGV[3], 'owners', ARGV[4], 'version', ARGV[5])
return redis.call('HGETALL', KEYS[1])
"
);

/// Revokes a grant. Keys: the grant, its tombstone; arguments: nonce, lifetime of the tombstone. Returns whether it was
/// active, and its last content.
pub(super) const END_GRANT: &str = script!(
    "
local grant, kept = redis.call('HGETALL', KEYS[1]), redis.call('HGET', KEYS[1], 'until')
local alive = kept and not ended(kept) or marked(redis.call('GET', KEYS[2]), ARGV[2] .. '1')
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ends(ARGV[3]) .. '.' .. ARGV[2] .. (alive and '1' or '0'), 'PX', ARGV[3])
return {alive and 1 or 0, grant}
"
);

/// Appends to the revocation feed. Keys: its entries, its ends; arguments: lifetime, maximum number of entries, the grant.
/// Numbers follow Redis' time, so that they always grow, also after a flush. The script begins with a removal, so that a
/// full Redis accepts it. A repeat moves the grant to the end of the feed.
pub(super) const APPEND_TO_FEED: &str = script!(
    "
redis.call('ZREM', KEYS[1], ARGV[4])
local last = tonumber(redis.call('HGET', KEYS[2], 'last') or nil)
if not last then
  last = now()
  redis.call('HSET', KEYS[2], 'gone', ends(0))
end
local number = string.format('%.0f', math.max(last + 1, now()))
redis.call('HSET', KEYS[2], 'last', number)
redis.call('ZADD', KEYS[1], number, ARGV[4])
local more = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[3])
if more > 0 then
  local newest = redis.call('ZRANGE', KEYS[1], more - 1, more - 1, 'WITHSCORES')
  redis.call('HSET', KEYS[2], 'gone', string.format('%.0f', tonumber(newest[2])))
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, more - 1)
end
expire(ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
"
);

/// Reads a page of the revocation feed. Keys: its entries, its ends; arguments: the number to start after, page size.
/// Returns the number of the last dropped entry, that of the newest one, and entries with their numbers.
pub(super) const READ_FEED: &str = "
local ends = redis.call('HMGET', KEYS[2], 'gone', 'last')
if not ends[1] then return {'0', '0', {}} end
local entries = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
return {ends[1], ends[2], entries}
";

/// Registers a single-use id. Key: the id; arguments: lifetime, nonce. Returns 1 at its first use, otherwise 0.
pub(super) const USE_ONCE: &str = script!(
    "
local kept = redis.call('GET', KEYS[1])
if kept and not ended(kept) then
  if not marked(kept, ARGV[3]) then return 0 end
  touch(KEYS[1])
  return 1
end
redis.call('SET', KEYS[1], ends(ARGV[2]) .. '.' .. ARGV[3], 'PX', math.max(1, tonumber(ARGV[2])))
return 1
"
);

/// Increments all counters, if all are below their limits. Keys: the counters; arguments: lifetime, nonce, then the
/// limits. Returns 0, or the position of a counter that has reached its limit. The first key holds the nonces of the
/// last eight calls.
pub(super) const COUNT: &str = script!(
    "
local calls = redis.call('HGET', KEYS[1], 'calls') or ''
if string.find(calls, ARGV[3], 1, true) then return 0 end
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('HGET', key, 'count') or 0) >= tonumber(ARGV[i + 3]) then return i end
end
for _, key in ipairs(KEYS) do
  if redis.call('HINCRBY', key, 'count', 1) == 1 then
    redis.call('PEXPIRE', key, math.max(1, tonumber(ARGV[2])))
  end
end
redis.call('HSET', KEYS[1], 'calls', ARGV[3] .. string.sub(calls, 1, 7 * #ARGV[3]))
return 0
"
);

/// Acquires or extends a lease. Key: the lease; arguments: lifetime, holder. Returns 1 or 0. A repeat after the release
/// acquires nothing.
pub(super) const LEASE: &str = script!(
    "
local kept = redis.call('HMGET', KEYS[1], 'until', 'holder', 'returned')
if kept[3] == ARGV[3] then return 1 end
if kept[2] and kept[2] ~= ARGV[3] and not ended(kept[1]) then return 0 end
redis.call('HSET', KEYS[1], 'until', ends(ARGV[2]), 'holder', ARGV[3])
redis.call('HDEL', KEYS[1], 'returned')
expire(ARGV[2])
return 1
"
);

/// Releases a lease. Key: the lease; argument: holder.
pub(super) const RELEASE: &str = "
if redis.call('HGET', KEYS[1], 'holder') == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'holder')
  redis.call('HSET', KEYS[1], 'until', 0, 'returned', ARGV[2])
end
";
