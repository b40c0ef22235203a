//! The verbs that look before they change, in Lua: Redis runs a script as one step. Each touches the keys of one
//! slot alone. The time is our own and handed in; Redis' clock only cleans up.
//!
//! A script travels with each call, so that there is nothing to load after a restart or a failover.
//!
//! A full Redis refuses the first write of a script if that may need memory, and none that come after: a script that
//! makes something begins with that, one that ends something with the removal.

/// Agrees on the format: where it is said; the oldest, the usual and the newest that are known, the wanted one, how
/// long that is said. Answers what is found when it is not known, else what there is from now on.
pub(super) const AGREE: &str = "
local kept = redis.call('GET', KEYS[1])
local found = tonumber(kept or ARGV[2])
if found < tonumber(ARGV[1]) or found > tonumber(ARGV[3]) then return found end
local format = math.max(found, tonumber(ARGV[4]))
if not kept or format ~= found then redis.call('SET', KEYS[1], format, 'PX', ARGV[5]) end
return format
";

/// Keeps a value until its time: `KEYS[1]`; until, lives, value.
pub(super) const PUT: &str = "
redis.call('HSET', KEYS[1], 'until', ARGV[1], 'value', ARGV[3])
redis.call('HDEL', KEYS[1], 'used')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
";

/// Keeps a login unless there was one: `KEYS[1]`; now, until, lives, value. Answers nil, or the value that is there,
/// which is empty once it was taken.
pub(super) const PUT_LOGIN: &str = "
local kept = redis.call('HMGET', KEYS[1], 'until', 'value')
if kept[1] and tonumber(ARGV[1]) < tonumber(kept[1]) then return kept[2] or '' end
redis.call('HSET', KEYS[1], 'until', ARGV[2], 'value', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return false
";

/// Gives a login out and leaves until its time that there was one: `KEYS[1]`; now.
pub(super) const TAKE_LOGIN: &str = "
local kept = redis.call('HMGET', KEYS[1], 'until', 'value')
redis.call('HDEL', KEYS[1], 'value')
return kept[1] and tonumber(ARGV[1]) < tonumber(kept[1]) and kept[2]
";

/// Marks a code as used: `KEYS[1]`; now. Answers `first`, `again` or nil.
pub(super) const USE_CODE: &str = "
local kept = redis.call('HMGET', KEYS[1], 'until', 'used')
if not kept[1] or tonumber(ARGV[1]) >= tonumber(kept[1]) then return false end
if kept[2] then return 'again' end
redis.call('HSET', KEYS[1], 'used', 1)
return 'first'
";

/// Makes a grant unless it was ended before: the grant, its tombstone; now, lives, then names and values. Answers
/// 1 or 0.
pub(super) const CREATE_GRANT: &str = "
local ended = redis.call('GET', KEYS[2])
if ended and tonumber(ARGV[1]) < tonumber(ended) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
";

/// `rotation::apply`, word for word: the grant, its tombstone; the newest format that is known, now, presented, grace,
/// until, lives, what a used token does, until when and how long a tombstone stays. Answers the step and the grant. An
/// answer that comes again writes too, so that `WAIT` after it waits for the rotation that it tells of.
pub(super) const ROTATE: &str = "
local now, presented, grace = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local kept = redis.call('HMGET', KEYS[1], 'version', 'until', 'generation', 'previous', 'rotated_at')
if not kept[2] or now >= tonumber(kept[2]) then return {'gone', {}} end
if tonumber(kept[1]) > tonumber(ARGV[1]) then return {'unreadable', redis.call('HGETALL', KEYS[1])} end
local generation, previous = tonumber(kept[3]), tonumber(kept[4])
if presented > generation then return {'unknown', {}} end
local last = presented == previous
if presented ~= generation and not last then
  local grant = redis.call('HGETALL', KEYS[1])
  if ARGV[7] ~= 'revoke' then return {'refused', {}} end
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[2], ARGV[8], 'PX', ARGV[9])
  return {'revoked', grant}
end
if last and now - tonumber(kept[5]) <= grace then
  redis.call('PEXPIRE', KEYS[1], redis.call('PTTL', KEYS[1]))
  return {'same', redis.call('HGETALL', KEYS[1])}
end
if generation >= 4294967295 then return {'unknown', {}} end
redis.call('HSET', KEYS[1], 'generation', string.format('%.0f', generation + 1), 'previous', ARGV[3],
  'rotated_at', ARGV[2], 'until', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {'fresh', redis.call('HGETALL', KEYS[1])}
";

/// Swaps the sealed part of a living grant: the grant; now, old, new, new owners, format. Answers the grant, if it was old.
pub(super) const REPLACE_SEALED: &str = "
local kept = redis.call('HMGET', KEYS[1], 'until', 'sealed')
if not kept[1] or tonumber(ARGV[1]) >= tonumber(kept[1]) or kept[2] ~= ARGV[2] then return {} end
redis.call('HSET', KEYS[1], 'sealed', ARGV[3], 'owners', ARGV[4], 'version', ARGV[5])
return redis.call('HGETALL', KEYS[1])
";

/// Ends a grant: the grant, its tombstone; until when and how long the tombstone stays. Answers what it was.
pub(super) const END_GRANT: &str = "
local grant = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return grant
";

/// Appends to the feed: its entries, its ends; now, lives, the most entries, the grant. Numbers follow the time, so that
/// those of a flushed feed are never given out again. It begins with a removal, so that a full Redis takes it too.
pub(super) const APPEND_TO_FEED: &str = "
local now, most = tonumber(ARGV[1]), tonumber(ARGV[3])
redis.call('ZREM', KEYS[1], ARGV[4])
local last = tonumber(redis.call('HGET', KEYS[2], 'last') or nil)
if not last then
  last = now
  redis.call('HSET', KEYS[2], 'gone', ARGV[1])
end
local number = string.format('%.0f', math.max(last + 1, now))
redis.call('HSET', KEYS[2], 'last', number)
redis.call('ZADD', KEYS[1], number, ARGV[4])
local more = redis.call('ZCARD', KEYS[1]) - most
if more > 0 then
  local newest = redis.call('ZRANGE', KEYS[1], more - 1, more - 1, 'WITHSCORES')
  redis.call('HSET', KEYS[2], 'gone', string.format('%.0f', tonumber(newest[2])))
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, more - 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
";

/// Reads the feed: its entries, its ends; after which number, how many. Answers up to where it is gone, its newest
/// number, and entries with their numbers.
pub(super) const READ_FEED: &str = "
local ends = redis.call('HMGET', KEYS[2], 'gone', 'last')
if not ends[1] then return {'0', '0', {}} end
local entries = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
return {ends[1], ends[2], entries}
";

/// Whether nobody came before: `KEYS[1]`; now, until, lives. Answers 1 or 0.
pub(super) const USE_ONCE: &str = "
local kept = redis.call('GET', KEYS[1])
if kept and tonumber(ARGV[1]) < tonumber(kept) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
";

/// Counts one more: `KEYS[1]`; now, until, lives. Answers how many.
pub(super) const COUNT: &str = "
local kept = redis.call('HGET', KEYS[1], 'until')
redis.call('HSET', KEYS[1], 'until', ARGV[2])
if kept and tonumber(ARGV[1]) >= tonumber(kept) then redis.call('HDEL', KEYS[1], 'count') end
local count = redis.call('HINCRBY', KEYS[1], 'count', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return count
";

/// Takes or extends a lease: `KEYS[1]`; now, until, lives, holder. Answers 1 or 0.
pub(super) const LEASE: &str = "
local kept = redis.call('HMGET', KEYS[1], 'until', 'holder')
if kept[1] and tonumber(ARGV[1]) < tonumber(kept[1]) and kept[2] ~= ARGV[4] then return 0 end
redis.call('HSET', KEYS[1], 'until', ARGV[2], 'holder', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
";

/// Gives a lease back: `KEYS[1]`; holder.
pub(super) const RELEASE: &str = "
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then redis.call('DEL', KEYS[1]) end
";
