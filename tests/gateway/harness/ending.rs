//! The end of a gateway while a test goes on.

use super::World;
use gateway_routes::Shutdown;
use std::time::Duration;
use tokio::task::JoinHandle;

impl World {
    /// Begins to end the gateway, as SIGTERM does.
    pub(crate) fn going_down(&mut self) -> JoinHandle<()> {
        let serving = self.serving.take().unwrap();
        tokio::task::spawn_blocking(move || serving.shut_down())
    }
}

/// These times from SIGTERM, in milliseconds.
pub(crate) fn shutdown(delay: u64, timeout: u64) -> Shutdown {
    Shutdown { delay: Duration::from_millis(delay), timeout: Duration::from_millis(timeout) }
}
