//! State in Redis or Valkey, for many replicas. A verb is one round trip, unless what it finds names what to change
//! next; everything expires by itself.

mod breaker;
mod connection;
mod connector;
mod dial;
mod grants;
mod pool;
mod records;
mod scripts;
mod skew;

use super::{
    CodeUse, Cursor, Feed, Format, GrantId, GrantRecord, IndexKey, Key, OpenError, Reuse, Rotate, Rotation,
    Sealed, TOMBSTONE_MILLIS, Unavailable,
};
use crate::base::clock::{Clock, Monotonic, Timestamp};
use crate::base::entropy::Entropy;
use crate::settings::RedisAddress;
use bb8_redis::redis::{Cmd, FromRedisValue, ToRedisArgs, cmd};
use pool::Connections;
use records::{FORMAT, Hash, counter_key, key};
use skew::SkewMonitor;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Redis refuses an expiry that is too far away; nothing of ours lives that long.
const MAX_LIFETIME_MILLIS: u64 = 10 * 365 * 24 * 60 * 60 * 1000;
/// The longest round trip by which clocks are compared.
const MAX_ROUND_TRIP: Duration = Duration::from_millis(500);

/// State in Redis.
pub struct RedisStore {
    connections: Connections,
    /// This machine's clock.
    local: Clock,
    /// The same, corrected by what is known of Redis' clock.
    pub(super) clock: Clock,
    skew: SkewMonitor,
    entropy: Entropy,
    format: Format,
    /// What is written: the usual format, until Redis has said which one it has.
    writes: AtomicU8,
}

/// A script with its keys and arguments.
struct Call(Cmd);

impl Call {
    fn with(mut self, argument: impl ToRedisArgs) -> Self {
        self.0.arg(argument);
        self
    }
}

impl RedisStore {
    pub(super) fn open(
        address: RedisAddress,
        clock: Clock,
        entropy: Entropy,
        format: Format,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            connections: Connections::new(address)?,
            clock: clock.corrected(),
            local: clock,
            skew: SkewMonitor::default(),
            entropy,
            format,
            writes: AtomicU8::new(format.writes),
        })
    }

    /// How far this machine's clock is ahead of Redis', in milliseconds.
    pub(super) fn skew_millis(&self) -> Option<i64> {
        self.skew.millis()
    }

    /// What is read and written.
    pub(super) fn format(&self) -> Format {
        Format { writes: self.writes.load(Ordering::Relaxed), ..self.format }
    }

    /// A script about these keys. Its first argument is the time that stands in for Redis' own in tests.
    fn script(&self, script: &str, keys: &[&str]) -> Call {
        let mut command = cmd("EVAL");
        command.arg(script).arg(keys.len()).arg(keys);
        let given = self.clock.manual_time().map(|time| time.millis().to_string());
        Call(command).with(given.unwrap_or_default())
    }

    /// Names a call, so that a repeat of it by the client library is known as one: 16 digits.
    fn nonce(&self) -> String {
        format!("{:016}", u64::from_be_bytes(self.entropy.bytes()) % 10_000_000_000_000_000)
    }

    async fn call<T: FromRedisValue>(&self, call: Call) -> Result<T, Unavailable> {
        self.connections.query(&call.0).await
    }

    /// What must not be forgotten after a failover.
    async fn call_durably<T: FromRedisValue>(&self, call: Call) -> Result<T, Unavailable> {
        self.connections.query_durably(call.0).await
    }

    fn now(&self) -> u64 {
        self.clock.now().millis()
    }

    /// Milliseconds for which something lives that ends then, by [`RedisStore::clock`].
    fn lives(&self, expires_at: Timestamp) -> u64 {
        expires_at.millis().saturating_sub(self.now()).min(MAX_LIFETIME_MILLIS)
    }

    /// Whether what ends then has ended by a test's clock. By its own, Redis has removed it.
    fn has_ended(&self, expires_at: u64) -> bool {
        self.clock.manual_time().is_some_and(|now| now.millis() >= expires_at)
    }

    async fn put(&self, key: &str, value: &[u8], expires_at: Timestamp) -> Result<(), Unavailable> {
        self.call(self.script(scripts::PUT, &[key]).with(self.lives(expires_at)).with(value)).await
    }

    pub(super) async fn put_login(
        &self,
        login: Key,
        sealed: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<Option<Vec<u8>>, Unavailable> {
        let call = self.script(scripts::PUT_LOGIN, &[&key("login", login)]);
        self.call(call.with(self.lives(expires_at)).with(self.nonce()).with(sealed)).await
    }

    pub(super) async fn take_login(&self, login: Key) -> Result<Option<Vec<u8>>, Unavailable> {
        self.call_durably(self.script(scripts::TAKE, &[&key("login", login)]).with(self.nonce())).await
    }

    pub(super) async fn put_code(
        &self,
        code: Key,
        sealed: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<(), Unavailable> {
        self.put(&key("code", code), &sealed, expires_at).await
    }

    pub(super) async fn code(&self, code: Key) -> Result<Option<Vec<u8>>, Unavailable> {
        let mut read = cmd("HMGET");
        read.arg(key("code", code)).arg("until").arg("value");
        let (until, value): (Option<u64>, Option<Vec<u8>>) = self.connections.query(&read).await?;
        Ok(value.filter(|_| until.is_some_and(|until| !self.has_ended(until))))
    }

    pub(super) async fn use_code(&self, code: Key) -> Result<Option<CodeUse>, Unavailable> {
        let call = self.script(scripts::USE_CODE, &[&key("code", code)]).with(self.nonce());
        let used: Option<String> = self.call_durably(call).await?;
        Ok(used.map(|used| if used == "first" { CodeUse::First } else { CodeUse::Again }))
    }

    pub(super) async fn use_once(&self, id: Key, expires_at: Timestamp) -> Result<bool, Unavailable> {
        let call = self.script(scripts::USE_ONCE, &[&key("once", id)]);
        self.call_durably(call.with(self.lives(expires_at)).with(self.nonce())).await
    }

    pub(super) async fn count(
        &self,
        group: Key,
        counters: Vec<(Key, u32)>,
        window_ends: Timestamp,
    ) -> Result<Option<usize>, Unavailable> {
        let keys: Vec<String> = counters.iter().map(|(counter, _)| counter_key(group, *counter)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let limits: Vec<u32> = counters.iter().map(|(_, limit)| *limit).collect();
        let call =
            self.script(scripts::COUNT, &keys).with(self.lives(window_ends)).with(self.nonce()).with(limits);
        let full: usize = self.call(call).await?;
        Ok(full.checked_sub(1))
    }

    pub(super) async fn lease(
        &self,
        lease: Key,
        holder: Key,
        expires_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        let call = self.script(scripts::LEASE, &[&key("lease", lease)]);
        self.call(call.with(self.lives(expires_at)).with(&holder.0[..])).await
    }

    pub(super) async fn release(&self, lease: Key, holder: Key) -> Result<(), Unavailable> {
        self.call(self.script(scripts::RELEASE, &[&key("lease", lease)]).with(&holder.0[..])).await
    }

    pub(super) async fn ping(&self) -> Result<(), Unavailable> {
        let Format { known, wanted, .. } = self.format;
        let sent = (self.local.now(), self.local.monotonic());
        let call = self.script(scripts::AGREE, &[FORMAT]).with(known.oldest).with(known.usual);
        let call = call.with(known.newest).with(wanted.unwrap_or(0)).with(MAX_LIFETIME_MILLIS);
        // What the operator has switched on must not be forgotten after a failover.
        let (found, time): (u8, u64) =
            if wanted.is_some() { self.call_durably(call).await? } else { self.call(call).await? };
        self.observe_time(Timestamp::from_millis(time), sent);
        let agreed = self.format.agreed(Some(found)).map_err(Unavailable)?;
        self.writes.store(agreed.writes, Ordering::Relaxed);
        Ok(())
    }

    /// Compares this machine's clock with the time that Redis told halfway between a call and its response. One that took
    /// long says little, since this process may have stood still meanwhile.
    fn observe_time(&self, theirs: Timestamp, (sent, started): (Timestamp, Monotonic)) {
        let round_trip = self.local.monotonic().since(started);
        if round_trip > MAX_ROUND_TRIP {
            return;
        }
        let halfway = sent.after(round_trip / 2);
        let correction = self.skew.observe(halfway.millis_from(theirs), self.local.monotonic());
        self.clock.correct(correction);
    }
}
