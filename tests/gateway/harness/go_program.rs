//! The Go program's `config.yaml` with its two servers, on free ports instead of 3000 and 4000, and a short shutdown.

use super::binary::{built_for, target_dir};
use crate::workspace;
use gateway_standins::mcp::McpServer;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// The Go program's `config.yaml`, unchanged.
pub(crate) const GO_PROGRAM_CONFIG: &str = "routes/tests/golden/go-program/config.yaml";

/// `shutdown.delay` of the executable.
pub(crate) const SHUTDOWN_DELAY: Duration = Duration::from_secs(1);

/// The gateway's executable for the Go program's site, with its two servers, which serve until the tests end.
pub(crate) struct GoProgram {
    /// The executable.
    pub(crate) binary: PathBuf,
    _servers: [McpServer; 2],
    _runtime: Runtime,
}

impl GoProgram {
    /// Instance that all tests share.
    pub(crate) async fn shared() -> &'static Self {
        static SHARED: OnceCell<GoProgram> = OnceCell::const_new();
        SHARED.get_or_init(|| async { tokio::task::spawn_blocking(Self::start).await.unwrap() }).await
    }

    fn start() -> Self {
        // The servers outlive the runtime of the first test.
        let runtime = Runtime::new().unwrap();
        let servers = runtime
            .block_on(async { [McpServer::dice(0).await.unwrap(), McpServer::uuid(0).await.unwrap()] });
        let folder = target_dir().join("sites").join(format!("go-program-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let binary = folder.join("gateway");
        fs::copy(built_for(&config(&folder, &servers), "go-program"), &binary).unwrap();
        Self { binary, _servers: servers, _runtime: runtime }
    }
}

/// The Go program's file with the ports of these servers and a short shutdown.
fn config(folder: &Path, [dice, uuid]: &[McpServer; 2]) -> PathBuf {
    let mut text = fs::read_to_string(workspace().join(GO_PROGRAM_CONFIG)).unwrap();
    for (named, server) in [("http://localhost:3000", dice), ("http://localhost:4000", uuid)] {
        assert!(text.contains(named), "{GO_PROGRAM_CONFIG} names {named}");
        let port = server.url().rsplit(':').next().unwrap().to_owned();
        text = text.replace(named, &format!("http://localhost:{port}"));
    }
    writeln!(text, "\nshutdown: {{ delay: {}s, timeout: 6s }}", SHUTDOWN_DELAY.as_secs()).unwrap();
    let path = folder.join("config.yaml");
    fs::write(&path, text).unwrap();
    path
}
