//! Gateway process under test, with a signed-in client.

use crate::Outcome;
use crate::process::{self, Process, SERVER_CORE};
use crate::site;
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Client, Login, Tokens};
use gateway_standins::okta::{Okta, OktaOptions};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// `GATEWAY_SECRET` of all gateways of the benchmark.
pub(crate) const SECRET: &str = "5d41c6e8b7f09a23415c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f901a2b";
/// Path of the MCP server.
pub(crate) const MCP_PATH: &str = "/mcp/bench";
/// Redirect URI without a listener: the scripted browser stops at it.
const CALLBACK: &str = "http://127.0.0.1:43110/callback";
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Running gateway process, killed on drop.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    /// Host and port.
    pub(crate) address: String,
    /// Time from the start of the process until it accepts connections.
    pub(crate) start_up: Duration,
    _state: TempDir,
}

/// Configuration of a gateway process.
#[derive(Clone, Copy)]
pub(crate) struct GatewayOptions<'a> {
    pub(crate) binary: &'a Path,
    pub(crate) arguments: &'a [&'a Path],
    /// `RUST_LOG`.
    pub(crate) log: &'a str,
    /// `KVS_ADDR`; empty for the embedded store.
    pub(crate) redis: &'a str,
}

impl Gateway {
    /// Starts a gateway on a free port and waits until it accepts connections.
    pub(crate) async fn start(options: GatewayOptions<'_>, okta: &Okta) -> Outcome<Self> {
        fs::create_dir_all(site::folder())?;
        let state = tempfile::tempdir_in(site::folder())?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let base_url = format!("http://{address}");
        okta.add_redirect_uri(&format!("{base_url}/auth/callback"));
        let app = OktaOptions::default();
        let mut command = process::command(SERVER_CORE, options.binary);
        command.args(options.arguments).env_clear().stdout(Stdio::null()).stderr(Stdio::null()).envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("BASE_URL", &*base_url),
            ("PORT", address.rsplit(':').next().unwrap_or_default()),
            ("DATA_DIR", &*state.path().to_string_lossy()),
            ("KVS_ADDR", options.redis),
            ("GATEWAY_SECRET", SECRET),
            ("OKTA_URL", okta.url()),
            ("OKTA_CLIENT_ID", &*app.client_id),
            ("OKTA_CLIENT_SECRET", &*app.client_secret),
            ("RUST_LOG", options.log),
        ]);
        let started = Instant::now();
        let process = Process::start(command)?;
        wait_for(&address).await?;
        Ok(Self { process, address, start_up: started.elapsed(), _state: state })
    }

    /// Registers a client.
    pub(crate) async fn client(&self) -> Outcome<Client> {
        let discovered = client::discover(&format!("http://{}{MCP_PATH}/bytes/256", self.address)).await?;
        Ok(discovered.register("Benchmark", "none", CALLBACK).await?)
    }

    /// Performs a login: consent, Okta, code, tokens.
    pub(crate) async fn sign_in(&self) -> Outcome<(Client, Tokens)> {
        let client = self.client().await?;
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await?;
        let tokens = client.redeem(&code).await?;
        Ok((client, tokens))
    }
}

/// Finds a free port.
pub(crate) fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until a server listens on an address.
pub(crate) async fn wait_for(address: &str) -> Outcome<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    while tokio::net::TcpStream::connect(address).await.is_err() {
        if Instant::now() > deadline {
            return Err(format!("nothing listens on {address}").into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
