//! State: what must be remembered, behind verbs that carry their guarantees.
//!
//! A closed set of backends with one conformance suite: an embedded file, and Redis. Callers seal what they put in
//! and digest what they look up by: the store sees bytes.
//!
//! All times here are by the store's own clock, [`Store::clock`]. Replicas have clocks that differ, and one store.

mod embedded;
mod format;
mod owners;
mod redis;
mod rotation;
mod types;

pub use format::{Format, Formats};
pub use types::{
    CodeUse, Cursor, Feed, GrantId, GrantRecord, IndexKey, Key, OpenError, Reuse, Rotate, Rotation, Sealed,
    Unavailable,
};

use crate::base::clock::{Clock, Timestamp};
use crate::base::entropy::Entropy;
use crate::settings::RedisAddress;
use embedded::Embedded;
use redis::RedisStore;
use std::path::Path;

/// How long a revoked grant is remembered as such: longer than any code that could still make it.
const TOMBSTONE_MILLIS: u64 = 60 * 60 * 1000;

/// Where state lives.
pub enum Store {
    /// One file, one process.
    Embedded(Embedded),
    /// Redis or Valkey, many replicas.
    Redis(RedisStore),
}

/// Says a verb once for all backends.
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
    /// Keeps a login under way, unless there was one of this key; then returns what is kept, empty once it was taken.
    /// It may be lost in a crash: the person starts again.
    put_login(key: Key, sealed: Vec<u8>, expires_at: Timestamp) -> Option<Vec<u8>>;
    /// Gives a login out, at most once. Until its time none is kept in its place.
    take_login(key: Key) -> Option<Vec<u8>>;
    /// Keeps a code.
    put_code(key: Key, sealed: Vec<u8>, expires_at: Timestamp) -> ();
    /// Reads a code without using it up, so that who asks can be checked first.
    code(key: Key) -> Option<Vec<u8>>;
    /// Uses a code: exactly one caller ever is the first.
    use_code(key: Key) -> Option<CodeUse>;
    /// Makes a grant; `false` when it was revoked before it existed.
    create_grant(record: GrantRecord) -> bool;
    /// A living grant.
    grant(id: GrantId) -> Option<GrantRecord>;
    /// Rotates a grant's refresh token, in one atomic step (see [`Rotation`]).
    rotate(id: GrantId, rotate: Rotate) -> Rotation;
    /// Swaps the sealed part of a living grant, if it is still `old`, and what it can be looked up by.
    replace_sealed(id: GrantId, old: &[u8], new: Sealed) -> bool;
    /// Ends a grant, and says so in the feed; whether it was alive.
    revoke(id: GrantId) -> bool;
    /// Grants revoked since the cursor, a page at a time.
    revoked_since(cursor: Cursor) -> Feed;
    /// At most `limit` living grants of this owner.
    grants_of(owner: IndexKey, key: Key, limit: usize) -> Vec<GrantId>;
    /// Whether this is the first use of a single-use id.
    use_once(key: Key, expires_at: Timestamp) -> bool;
    /// Counts one more in each of these counters; when one of them has reached its limit, in none of them, and returns
    /// that one's index. The counters of a group are kept in one place; all are forgotten some time after the window, of
    /// which each has counters of its own.
    count(group: Key, counters: Vec<(Key, u32)>, window_ends: Timestamp) -> Option<usize>;
    /// Takes or extends a lease; `false` while another holder has it.
    lease(key: Key, holder: Key, expires_at: Timestamp) -> bool;
    /// Gives a lease back, if this holder has it.
    release(key: Key, holder: Key) -> ();
    /// Whether the store answers, and has a format that this release knows. Compares its clock with ours, too.
    ping() -> ();
}

impl Store {
    /// Whether other gateways may use the same store.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// The clock by which what is stored ends: of the file, this process's; of Redis, this process's with the
    /// difference taken off that the last [`Store::ping`] found.
    pub const fn clock(&self) -> &Clock {
        match self {
            Self::Embedded(store) => store.clock(),
            Self::Redis(store) => &store.clock,
        }
    }

    /// How far this machine's clock is ahead of the store's, in milliseconds, or behind it (negative); `None` while
    /// that is not known, or where they are one.
    pub fn clock_skew_millis(&self) -> Option<i64> {
        match self {
            Self::Embedded(_) => None,
            Self::Redis(store) => store.skew_millis(),
        }
    }

    /// The format that records are written in.
    pub fn writes(&self) -> u8 {
        match self {
            Self::Embedded(store) => store.format().writes,
            Self::Redis(store) => store.format().writes,
        }
    }

    /// Whether records of this format can be read.
    ///
    /// # Errors
    /// They cannot, which says nothing of what is in them.
    pub fn reads(&self, format: u8) -> Result<(), Unavailable> {
        match self {
            Self::Embedded(store) => store.format().reads(format),
            Self::Redis(store) => store.format().reads(format),
        }
    }

    /// Opens the file `gateway.redb` in this folder, which is made if it is missing.
    ///
    /// # Errors
    /// Another process has it open, it is damaged, or its format is none of those; it is never overwritten.
    pub fn embedded(folder: &Path, ambient: (Clock, &Entropy), format: Format) -> Result<Self, OpenError> {
        Embedded::open(folder, ambient, format).map(Self::Embedded)
    }

    /// A store in Redis or Valkey; does not connect yet, so that Redis may come later.
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
