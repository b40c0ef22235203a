//! Ports that a configuration names: one run of the tests at a time may have them.

use gateway_standins::mcp::McpServer;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

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
        let dice = until_free(3000, || McpServer::dice(3000)).await;
        let uuid = until_free(4000, || McpServer::uuid(4000)).await;
        Self { _dice: dice, _uuid: uuid, _lock: lock }
    }
}

/// Who had the port before gives it back a moment after the lock: a server ends where its runtime does.
async fn until_free<F: Future<Output = io::Result<McpServer>>>(
    port: u16,
    start: impl Fn() -> F,
) -> McpServer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match start().await {
            Ok(server) => return server,
            Err(error) => {
                assert!(Instant::now() < deadline, "the seed's config.yaml names port {port}: {error}");
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
