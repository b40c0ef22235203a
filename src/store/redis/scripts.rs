//! The verbs that look before they change, in Lua: Redis runs a script as one step. Each touches the keys of one
//! slot alone.
//!
//! - **Time.** Redis' own clock decides, since those of the replicas differ: what is stored expires by it, and `now()`
//!   asks it. A test hands a time in instead, as the first argument, which is empty otherwise; expiries are then
//!   compared with that, because Redis' clock goes on.
//! - **Repeats.** The client library sends a call again when its connection breaks, also after Redis has run it. So a
//!   script that must not run twice gets the nonce of its call, keeps it with what it changes, and gives a repeat the
//!   first result. A repeat writes too, so that `WAIT` after it waits for the change that it tells of.
//! - **Other releases.** What is stored is read by the release before: `until` is a time in milliseconds in every
//!   record, and a nonce stands in its fraction where there is no other place.
//!
//! A script travels with each call, so that there is nothing to load after a restart or a failover.
//!
//! A full Redis refuses the first write of a script if that may need memory, and none that come after: a script that
//! makes something begins with that, one that ends something with the removal.

/// A script, after the functions that several of them use.
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

/// Agrees on the format: where it is said; the oldest, the usual and the newest that are known, the wanted one, how
/// long that is said. Returns what is found when it is not known, else what there is from now on, and Redis' time.
pub(super) const AGREE: &str = script!(
    "
local kept = redis.call('GET', KEYS[1])
local found = tonumber(kept or ARGV[3])
if found < tonumber(ARGV[2]) or found > tonumber(ARGV[4]) then return {found, now()} end
local format = math.max(found, tonumber(ARGV[5]))
if not kept or format ~= found then redis.call('SET', KEYS[1], format, 'PX', ARGV[6]) end
return {format, now()}
"
);

/// Keeps a value for its life, unless something is there: keys are random, so that this is the same value, perhaps used
/// since. `KEYS[1]`; lives, value.
pub(super) const PUT: &str = script!(
    "
local kept = redis.call('HGET', KEYS[1], 'until')
if kept and not ended(kept) then return end
redis.call('HSET', KEYS[1], 'until', ends(ARGV[2]), 'value', ARGV[3])
redis.call('HDEL', KEYS[1], 'used', 'taken', 'was')
expire(ARGV[2])
"
);

/// Keeps a login for its life, unless there was one: `KEYS[1]`; lives, nonce, value. Returns nil, or the value that is
/// there, which is empty once it was taken.
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

/// Gives a value out, once: `KEYS[1]`; nonce. What was given out stays for a repeat, under a name that the release before
/// does not know.
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

/// Marks a code as used: `KEYS[1]`; nonce. Returns `first`, `again` or nil.
pub(super) const USE_CODE: &str = script!(
    "
local kept = redis.call('HMGET', KEYS[1], 'until', 'used')
if not kept[1] or ended(kept[1]) then return false end
if kept[2] == ARGV[2] then
  touch(KEYS[1])
  return 'first'
end
if kept[2] then return 'again' end
redis.call('HSET', KEYS[1], 'used', ARGV[2])
return 'first'
"
);

/// Makes a grant, unless it was ended before or is there: the grant, its tombstone; lives, then names and values. Returns
/// 0 when it was ended, else 1.
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

/// `rotation::apply`, word for word: the grant, its tombstone; nonce, the newest format that is known, presented, grace,
/// lives, what a used token does, how long a tombstone stays. Returns the step and the grant. The nonces of the last eight
/// calls are kept with what they led to: a repeat that comes late presents an older token by then.
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

/// Swaps the sealed part of a living grant: the grant; old, new, new owners, format. Returns the grant, if it was old. No
/// two calls seal to the same bytes, so that a repeat finds its own.
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

/// Ends a grant: the grant, its tombstone; nonce, how long the tombstone stays. Returns whether it was alive, and what it
/// was.
pub(super) const END_GRANT: &str = script!(
    "
local grant, kept = redis.call('HGETALL', KEYS[1]), redis.call('HGET', KEYS[1], 'until')
local alive = kept and not ended(kept) or marked(redis.call('GET', KEYS[2]), ARGV[2] .. '1')
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ends(ARGV[3]) .. '.' .. ARGV[2] .. (alive and '1' or '0'), 'PX', ARGV[3])
return {alive and 1 or 0, grant}
"
);

/// Appends to the feed: its entries, its ends; lives, the most entries, the grant. Numbers follow Redis' time, so that
/// those of a flushed feed are never given out again, and never go back. It begins with a removal, so that a full Redis
/// takes it too. A repeat moves the grant to the end of the feed.
pub(super) const APPEND_TO_FEED: &str = script!(
    "
local most = tonumber(ARGV[3])
redis.call('ZREM', KEYS[1], ARGV[4])
local last = tonumber(redis.call('HGET', KEYS[2], 'last') or nil)
if not last then
  last = now()
  redis.call('HSET', KEYS[2], 'gone', ends(0))
end
local number = string.format('%.0f', math.max(last + 1, now()))
redis.call('HSET', KEYS[2], 'last', number)
redis.call('ZADD', KEYS[1], number, ARGV[4])
local more = redis.call('ZCARD', KEYS[1]) - most
if more > 0 then
  local newest = redis.call('ZRANGE', KEYS[1], more - 1, more - 1, 'WITHSCORES')
  redis.call('HSET', KEYS[2], 'gone', string.format('%.0f', tonumber(newest[2])))
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, more - 1)
end
expire(ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
"
);

/// Reads the feed: its entries, its ends; after which number, how many. Returns up to where it is gone, its newest
/// number, and entries with their numbers.
pub(super) const READ_FEED: &str = "
local ends = redis.call('HMGET', KEYS[2], 'gone', 'last')
if not ends[1] then return {'0', '0', {}} end
local entries = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
return {ends[1], ends[2], entries}
";

/// Whether nobody came before: `KEYS[1]`; lives, nonce. Returns 1 or 0.
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

/// Counts one more in each of `KEYS`, if all are below their limits; lives, nonce, then the limits. Returns 0, or the
/// position of a key that has reached its limit. The first key keeps the nonces of the last eight calls.
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

/// Takes or extends a lease: `KEYS[1]`; lives, holder. Returns 1 or 0. A repeat that comes after the lease was given back
/// takes nothing.
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

/// Gives a lease back: `KEYS[1]`; holder.
pub(super) const RELEASE: &str = "
if redis.call('HGET', KEYS[1], 'holder') == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'holder')
  redis.call('HSET', KEYS[1], 'until', 0, 'returned', ARGV[2])
end
";
