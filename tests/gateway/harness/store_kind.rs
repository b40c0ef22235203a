//! Stores of a world.

use gateway_standins::redis::Redis;

/// Store of a world.
pub(crate) enum StoreKind {
    /// One file in a temporary folder.
    Embedded,
    /// A Redis server of its own.
    Redis,
    /// Servers that the test has started at this `KVS_ADDR`.
    At(String),
}

impl StoreKind {
    /// Starts the server, if any; returns it and `KVS_ADDR`.
    pub(super) fn start(self) -> (Option<Redis>, String) {
        match self {
            Self::Embedded => (None, String::new()),
            Self::Redis => {
                let redis = Redis::start().unwrap();
                let address = redis.address();
                (Some(redis), address)
            }
            Self::At(address) => (None, address),
        }
    }
}
