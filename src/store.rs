//! Persistent state, behind operations that document their guarantees.
//!
//! There are two backends with one conformance suite: an embedded file, and Redis. Callers encrypt the values and
//! digest the keys, so that the store sees neither secrets nor names.
//!
//! All times here are by the store's own clock, [`Store::clock`], since the clocks of the replicas differ.

mod embedded;
mod error;
mod format;
mod index_entries;
mod redis;
mod rotation;
mod types;

pub use error::{OpenError, RecordFormat, StoreFormat, Unavailable};
pub use format::{Format, Formats};
pub use types::{
    CodeUse, Counter, Cursor, Feed, GrantRecord, IndexEntry, IndexKind, Reuse, Rotate, Rotation, Sealed,
};

use crate::base::clock::{Clock, Timestamp};
use crate::base::entropy::Entropy;
pub use crate::base::ids::{GrantId, Key};
use crate::base::outage_log::OutageLog;
use crate::settings::RedisAddress;
use embedded::Embedded;
use redis::RedisStore;
use std::path::Path;

/// Lifetime of a revoked grant's tombstone: longer than that of any code that could still create the grant.
const TOMBSTONE_MILLIS: u64 = 60 * 60 * 1000;

/// Backend of the persistent state.
pub enum Store {
    /// File, for one process.
    Embedded(Embedded),
    /// Redis or Valkey, for many replicas.
    Redis(RedisStore),
}

/// Delegates each operation to the backend.
macro_rules! verbs {
    ($($(#[$doc:meta])* $verb:ident($($name:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Store {$(
            $(#[$doc])*
            pub async fn $verb(&self, $($name: $type),*) -> Result<$result, Unavailable> {
                match self {
                    Self::Embedded(store) => store.$verb($($name),*).await,
                    Self::Redis(store) => store.$verb($($name),*).await,
                }
            }
        )*}
    };
}

verbs! {
    /// Stores a pending login, unless the key exists; then returns the stored value, which is empty once it was taken.
    /// It may be lost in a crash: the user starts again.
    put_login(key: Key, sealed: Vec<u8>, expires_at: Timestamp) -> Option<Vec<u8>>;
    /// Takes a login, at most once. Its key stays occupied until its expiry.
    take_login(key: Key) -> Option<Vec<u8>>;
    /// Stores an authorization code.
    put_code(key: Key, sealed: Vec<u8>, expires_at: Timestamp) -> ();
    /// Reads a code without using it, so that the caller can validate the request first.
    code(key: Key) -> Option<Vec<u8>>;
    /// Marks a code as used: exactly one caller gets [`CodeUse::First`]. A call that returns an error does not count: the
    /// next one gets it, on other gateways if the store has responded again by then.
    use_code(key: Key) -> Option<CodeUse>;
    /// Creates a grant; returns `false` when it was revoked before it existed.
    create_grant(record: GrantRecord) -> bool;
    /// Reads an active grant.
    grant(id: GrantId) -> Option<GrantRecord>;
    /// Rotates a grant's refresh token atomically; see [`Rotation`].
    rotate(id: GrantId, rotate: Rotate) -> Rotation;
    /// Replaces the sealed part and the index entries of an active grant, if the sealed part is still `old`.
    replace_sealed(id: GrantId, old: &[u8], new: Sealed) -> bool;
    /// Revokes a grant, and appends it to the revocation feed; returns whether it was active.
    revoke(id: GrantId) -> bool;
    /// Reads what was last stored about the checks of a user.
    user_check(key: Key) -> Option<Vec<u8>>;
    /// Replaces what is stored about the checks of a user, if it is still `old`, `None` being nothing. It may be lost in
    /// a crash: the user is checked again.
    replace_user_check(key: Key, old: Option<Vec<u8>>, new: Vec<u8>, expires_at: Timestamp) -> bool;
    /// Reads a page of the grants that were revoked since the cursor.
    revoked_since(cursor: Cursor) -> Feed;
    /// Reads the ids of at most `limit` active grants with this index entry.
    grants_of(entry: IndexEntry, limit: usize) -> Vec<GrantId>;
    /// Registers a single-use id; returns whether this is its first use.
    use_once(key: Key, expires_at: Timestamp) -> bool;
    /// Increments all of these counters; when one has reached its limit, increments none and returns its index. The counters of a group share a slot. They expire after the window; each window has its own
    /// keys.
    count(group: Key, counters: Vec<Counter>, window_ends: Timestamp) -> Option<usize>;
    /// Acquires or extends a lease; returns `false` while another holder has it.
    lease(key: Key, holder: Key, expires_at: Timestamp) -> bool;
    /// Releases a lease, if this holder has it.
    release(key: Key, holder: Key) -> ();
    /// Checks that the store is available and that this release knows its format. Also measures the clock skew.
    ping() -> ();
}

impl Store {
    /// Returns whether other gateways may use the same store.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// Returns whether the store is unavailable and has logged so.
    fn is_failure_logged(&self) -> bool {
        match self {
            Self::Embedded(store) => store.is_failing(),
            Self::Redis(store) => store.is_unavailable(),
        }
    }

    /// Writes the outcome of a repeated operation to its log, unless the store has logged the outage itself.
    pub fn log_outcome<T>(&self, log: &OutageLog, outcome: &Result<T, Unavailable>) {
        match outcome {
            Ok(_) => log.succeed(),
            Err(_) if self.is_failure_logged() => {}
            Err(error) => log.fail(error),
        }
    }

    /// Clock by which records expire: of the file, this process's; of Redis, this process's, corrected by the skew that
    /// the last [`Store::ping`] measured.
    pub const fn clock(&self) -> &Clock {
        match self {
            Self::Embedded(store) => store.clock(),
            Self::Redis(store) => &store.clock,
        }
    }

    /// Milliseconds by which this machine's clock is ahead of the store's, or behind it (negative); `None` when not yet
    /// measured, or when they are the same clock.
    pub fn clock_skew_millis(&self) -> Option<i64> {
        match self {
            Self::Embedded(_) => None,
            Self::Redis(store) => store.skew_millis(),
        }
    }

    /// Format in which records are written.
    pub fn writes(&self) -> u8 {
        match self {
            Self::Embedded(store) => store.format().writes,
            Self::Redis(store) => store.format().writes,
        }
    }

    /// Checks that records of this format can be read.
    ///
    /// # Errors
    /// They cannot, so that their content is not known.
    pub fn reads(&self, format: u8) -> Result<(), Unavailable> {
        match self {
            Self::Embedded(store) => Ok(store.format().reads(format)?),
            Self::Redis(store) => Ok(store.format().reads(format)?),
        }
    }

    /// Opens the file `gateway.redb` in this folder; creates both if they are missing.
    ///
    /// # Errors
    /// Another process has it open, it is damaged, or its format is unknown; it is never overwritten.
    pub fn embedded(
        folder: &Path,
        clock: Clock,
        entropy: &Entropy,
        format: Format,
    ) -> Result<Self, OpenError> {
        Embedded::open(folder, clock, entropy, format).map(Self::Embedded)
    }

    /// Store in Redis or Valkey. Does not connect yet, so that Redis may start later.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn redis(
        address: RedisAddress,
        clock: Clock,
        entropy: Entropy,
        format: Format,
    ) -> Result<Self, OpenError> {
        RedisStore::open(address, clock, entropy, format).map(Self::Redis)
    }
}
