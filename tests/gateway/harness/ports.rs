//! Ports that a configuration names: one run of the tests at a time may have them.

use gateway_standins::mcp::McpServer;
use std::fs::File;

/// The dice and uuid servers on ports 3000 and 4000, where the Go program's `config.yaml` looks for them.
pub(crate) struct SeedServers {
    _dice: McpServer,
    _uuid: McpServer,
    // Unlocked last.
    _lock: File,
}

impl SeedServers {
    /// Waits until no other run has them.
    pub(crate) async fn start() -> Self {
        let file = File::create(std::env::temp_dir().join("gateway-tests-ports-3000-4000.lock")).unwrap();
        let lock = tokio::task::spawn_blocking(move || {
            file.lock().unwrap();
            file
        });
        let lock = lock.await.unwrap();
        let dice = McpServer::dice(3000).await.expect("port 3000 is free: the seed's config.yaml names it");
        let uuid = McpServer::uuid(4000).await.expect("port 4000 is free: the seed's config.yaml names it");
        Self { _dice: dice, _uuid: uuid, _lock: lock }
    }
}
