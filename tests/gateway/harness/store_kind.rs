//! Where a world keeps its state.

use gateway_standins::redis::Redis;

/// Where a world keeps its state.
pub(crate) enum StoreKind {
    /// One file in a folder that lives as long as the world.
    Embedded,
    /// A Redis server of its own.
    Redis,
    /// What the test has started at this `KVS_ADDR`.
    At(String),
}

impl StoreKind {
    /// The server, where the world has one, and `KVS_ADDR`.
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
