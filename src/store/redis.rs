//! State in Redis or Valkey, for many replicas. A verb is one round trip, unless what it finds names what to change
//! next; everything expires by itself.

mod breaker;
mod connection;
mod dial;
mod grants;
mod pool;
mod records;
mod scripts;

use super::{
    CodeUse, Cursor, Feed, Format, GrantId, GrantRecord, Key, OpenError, Owner, Reuse, Rotate, Rotation,
    Sealed, TOMBSTONE_MILLIS, Unavailable,
};
use crate::clock::{Clock, Timestamp};
use crate::settings::RedisAddress;
use bb8_redis::redis::{Cmd, FromRedisValue, ToRedisArgs, cmd};
use pool::Connections;
use records::{FORMAT, Hash, key};
use std::sync::atomic::{AtomicU8, Ordering};

/// Redis refuses an expiry that is too far away; nothing of ours lives that long.
const LONGEST_LIFE: u64 = 10 * 365 * 24 * 60 * 60 * 1000;

/// State in Redis.
pub struct RedisStore {
    connections: Connections,
    clock: Clock,
    format: Format,
    /// What is written: the usual format, until Redis has said which one it has.
    writes: AtomicU8,
}

/// A script with its keys and arguments.
struct Call(Cmd);

impl Call {
    fn new(script: &str, keys: &[&str]) -> Self {
        let mut command = cmd("EVAL");
        command.arg(script).arg(keys.len()).arg(keys);
        Self(command)
    }

    fn with(mut self, argument: impl ToRedisArgs) -> Self {
        self.0.arg(argument);
        self
    }
}

impl RedisStore {
    pub(super) fn open(address: RedisAddress, clock: Clock, format: Format) -> Result<Self, OpenError> {
        let writes = AtomicU8::new(format.writes);
        Ok(Self { connections: Connections::new(address)?, clock, format, writes })
    }

    /// What is read and written.
    pub(super) fn format(&self) -> Format {
        Format { writes: self.writes.load(Ordering::Relaxed), ..self.format }
    }

    async fn call<T: FromRedisValue>(&self, call: Call) -> Result<T, Unavailable> {
        self.connections.ask(&call.0).await
    }

    /// What must not be forgotten after a failover.
    async fn call_durably<T: FromRedisValue>(&self, call: Call) -> Result<T, Unavailable> {
        self.connections.ask_durably(call.0).await
    }

    fn now(&self) -> u64 {
        self.clock.now().millis()
    }

    /// How long something lives that ends then: for Redis, which cleans up by a clock of its own.
    fn lives(&self, expires_at: Timestamp) -> u64 {
        expires_at.millis().saturating_sub(self.now()).clamp(1, LONGEST_LIFE)
    }

    /// A script about one key, with the time, and with the end and the life of what it writes.
    fn ending(&self, script: &str, key: &str, expires_at: Timestamp) -> Call {
        Call::new(script, &[key]).with(self.now()).with(expires_at.millis()).with(self.lives(expires_at))
    }

    async fn put(&self, key: &str, value: &[u8], expires_at: Timestamp) -> Result<(), Unavailable> {
        let call = Call::new(scripts::PUT, &[key]).with(expires_at.millis()).with(self.lives(expires_at));
        self.call(call.with(value)).await
    }

    pub(super) async fn put_login(
        &self,
        login: Key,
        sealed: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<Option<Vec<u8>>, Unavailable> {
        let call = self.ending(scripts::PUT_LOGIN, &key("login", login), expires_at);
        self.call(call.with(sealed)).await
    }

    pub(super) async fn take_login(&self, login: Key) -> Result<Option<Vec<u8>>, Unavailable> {
        self.call_durably(Call::new(scripts::TAKE_LOGIN, &[&key("login", login)]).with(self.now())).await
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
        let (until, value): (Option<u64>, Option<Vec<u8>>) = self.connections.ask(&read).await?;
        Ok(value.filter(|_| until.is_some_and(|until| self.now() < until)))
    }

    pub(super) async fn use_code(&self, code: Key) -> Result<Option<CodeUse>, Unavailable> {
        let call = Call::new(scripts::USE_CODE, &[&key("code", code)]).with(self.now());
        let used: Option<String> = self.call_durably(call).await?;
        Ok(used.map(|used| if used == "first" { CodeUse::First } else { CodeUse::Again }))
    }

    pub(super) async fn use_once(&self, id: Key, expires_at: Timestamp) -> Result<bool, Unavailable> {
        self.call_durably(self.ending(scripts::USE_ONCE, &key("once", id), expires_at)).await
    }

    pub(super) async fn count(&self, counter: Key, window_ends: Timestamp) -> Result<u64, Unavailable> {
        self.call(self.ending(scripts::COUNT, &key("count", counter), window_ends)).await
    }

    pub(super) async fn lease(
        &self,
        lease: Key,
        holder: Key,
        expires_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        let call = self.ending(scripts::LEASE, &key("lease", lease), expires_at);
        self.call(call.with(&holder.0[..])).await
    }

    pub(super) async fn release(&self, lease: Key, holder: Key) -> Result<(), Unavailable> {
        self.call(Call::new(scripts::RELEASE, &[&key("lease", lease)]).with(&holder.0[..])).await
    }

    pub(super) async fn ping(&self) -> Result<(), Unavailable> {
        let Format { known, wanted, .. } = self.format;
        let call =
            Call::new(scripts::AGREE, &[FORMAT]).with(known.oldest).with(known.usual).with(known.newest);
        let call = call.with(wanted.unwrap_or(0)).with(LONGEST_LIFE);
        // What the operator has switched on must not be forgotten after a failover.
        let found: u8 =
            if wanted.is_some() { self.call_durably(call).await? } else { self.call(call).await? };
        let agreed = self.format.agreed(Some(found)).map_err(Unavailable)?;
        self.writes.store(agreed.writes, Ordering::Relaxed);
        Ok(())
    }
}
