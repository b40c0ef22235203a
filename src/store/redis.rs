//! Redis or Valkey backend, for many replicas. An operation is one round trip, unless what it reads decides what it
//! writes next. Every key has an expiry.

mod breaker;
mod code_uses;
mod connection;
mod connector;
mod dial;
mod failure;
mod grants;
mod pool;
mod records;
mod scripts;
mod skew;
mod user_checks;

pub(super) use failure::RedisFailure;

use super::{
    Counter, Cursor, Feed, Format, GrantId, GrantRecord, IndexEntry, Key, OpenError, Reuse, Rotate, Rotation,
    Sealed, TOMBSTONE_MILLIS, Unavailable,
};
use crate::base::clock::{Clock, Monotonic, Timestamp};
use crate::base::entropy::Entropy;
use crate::settings::RedisAddress;
use bb8_redis::redis::{Cmd, FromRedisValue, ToRedisArgs, cmd};
use code_uses::FailedCodeUses;
use pool::Connections;
use records::{FORMAT, Hash, counter_key, key};
use skew::SkewMonitor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Upper limit of an expiry: Redis rejects one that is too far in the future.
const MAX_LIFETIME_MILLIS: u64 = 10 * 365 * 24 * 60 * 60 * 1000;
/// Longest round trip whose timing is used to compare clocks.
const MAX_ROUND_TRIP: Duration = Duration::from_millis(500);

/// Store in Redis.
pub struct RedisStore {
    connections: Arc<Connections>,
    /// Clock of this machine.
    local: Clock,
    /// The same, corrected by the measured difference from Redis' clock.
    pub(super) clock: Clock,
    skew: SkewMonitor,
    failed_code_uses: FailedCodeUses,
    entropy: Entropy,
    format: Format,
    /// Format that is written: the default one, until the store's own has been read.
    writes: AtomicU8,
}

/// Script call with its keys and arguments.
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
            connections: Arc::new(Connections::new(address)?),
            clock: clock.corrected(),
            local: clock,
            skew: SkewMonitor::default(),
            failed_code_uses: FailedCodeUses::default(),
            entropy,
            format,
            writes: AtomicU8::new(format.writes),
        })
    }

    /// Milliseconds by which this machine's clock is ahead of Redis'.
    pub(super) fn skew_millis(&self) -> Option<i64> {
        self.skew.millis()
    }

    /// Returns whether the circuit breaker is open, which has been logged.
    pub(super) fn is_unavailable(&self) -> bool {
        self.connections.is_unavailable()
    }

    /// Formats that are read and written.
    pub(super) fn format(&self) -> Format {
        Format { writes: self.writes.load(Ordering::Relaxed), ..self.format }
    }

    /// Builds the call of a script with these keys. Its first argument is the time that replaces Redis' own in tests.
    fn script(&self, script: &str, keys: &[&str]) -> Call {
        let mut command = cmd("EVAL");
        command.arg(script).arg(keys.len()).arg(keys);
        let test_time = self.clock.manual_time().map(|time| time.millis().to_string());
        Call(command).with(test_time.unwrap_or_default())
    }

    /// Returns the random id of a call, 16 digits, by which a script recognizes that the client library repeated it.
    fn nonce(&self) -> String {
        format!("{:016}", u64::from_be_bytes(self.entropy.bytes()) % 10_000_000_000_000_000)
    }

    async fn call<T: FromRedisValue>(&self, call: Call) -> Result<T, Unavailable> {
        self.connections.query(&call.0).await
    }

    /// Runs a script whose changes must survive a failover.
    async fn call_durably<T: FromRedisValue>(&self, call: Call) -> Result<T, Unavailable> {
        self.connections.query_durably(call.0).await
    }

    fn now(&self) -> u64 {
        self.clock.now().millis()
    }

    /// Returns the milliseconds until `expires_at`, by [`RedisStore::clock`].
    fn lifetime(&self, expires_at: Timestamp) -> u64 {
        expires_at.millis().saturating_sub(self.now()).min(MAX_LIFETIME_MILLIS)
    }

    /// Returns whether this time has passed by a test's clock. By its own clock, Redis removes expired keys itself.
    fn has_expired(&self, expires_at: u64) -> bool {
        self.clock.manual_time().is_some_and(|now| now.millis() >= expires_at)
    }

    async fn put(&self, key: &str, value: &[u8], expires_at: Timestamp) -> Result<(), Unavailable> {
        self.call(self.script(scripts::PUT, &[key]).with(self.lifetime(expires_at)).with(value)).await
    }

    pub(super) async fn put_login(
        &self,
        login: Key,
        sealed: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<Option<Vec<u8>>, Unavailable> {
        let call = self.script(scripts::PUT_LOGIN, &[&key("login", login)]);
        self.call(call.with(self.lifetime(expires_at)).with(self.nonce()).with(sealed)).await
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
        self.get(&key("code", code)).await
    }

    /// Reads a value that has not expired.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let mut read = cmd("HMGET");
        read.arg(key).arg("until").arg("value");
        let (until, value): (Option<u64>, Option<Vec<u8>>) = self.connections.query(&read).await?;
        Ok(value.filter(|_| until.is_some_and(|until| !self.has_expired(until))))
    }

    pub(super) async fn use_once(&self, id: Key, expires_at: Timestamp) -> Result<bool, Unavailable> {
        let call = self.script(scripts::USE_ONCE, &[&key("once", id)]);
        self.call_durably(call.with(self.lifetime(expires_at)).with(self.nonce())).await
    }

    pub(super) async fn count(
        &self,
        group: Key,
        counters: Vec<Counter>,
        window_ends: Timestamp,
    ) -> Result<Option<usize>, Unavailable> {
        let keys: Vec<String> = counters.iter().map(|counter| counter_key(group, counter.key)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let limits: Vec<u32> = counters.iter().map(|counter| counter.limit).collect();
        let call = self
            .script(scripts::COUNT, &keys)
            .with(self.lifetime(window_ends))
            .with(self.nonce())
            .with(limits);
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
        self.call(call.with(self.lifetime(expires_at)).with(&holder.0[..])).await
    }

    pub(super) async fn release(&self, lease: Key, holder: Key) -> Result<(), Unavailable> {
        self.call(self.script(scripts::RELEASE, &[&key("lease", lease)]).with(&holder.0[..])).await
    }

    pub(super) async fn ping(&self) -> Result<(), Unavailable> {
        let Format { known, wanted, .. } = self.format;
        let (sent_at, started_at) = (self.local.now(), self.local.monotonic());
        let call = self.script(scripts::NEGOTIATE_FORMAT, &[FORMAT]).with(known.oldest).with(known.default);
        let call = call.with(known.newest).with(wanted.unwrap_or(0)).with(MAX_LIFETIME_MILLIS);
        // A format that the operator has switched on must survive a failover.
        let (found, time): (u8, u64) =
            if wanted.is_some() { self.call_durably(call).await? } else { self.call(call).await? };
        self.observe_time(Timestamp::from_millis(time), sent_at, started_at);
        let negotiated = self.format.negotiate(Some(found))?;
        self.writes.store(negotiated.writes, Ordering::Relaxed);
        Ok(())
    }

    /// Compares this machine's clock with the time in a response, assuming that Redis took it halfway through the round
    /// trip. A long round trip is ignored: this process may have been suspended.
    fn observe_time(&self, redis_time: Timestamp, sent_at: Timestamp, started_at: Monotonic) {
        let round_trip = self.local.monotonic().since(started_at);
        if round_trip > MAX_ROUND_TRIP {
            return;
        }
        let halfway = sent_at.after(round_trip / 2);
        let correction = self.skew.observe(halfway.millis_from(redis_time), self.local.monotonic());
        self.clock.correct(correction);
    }
}
