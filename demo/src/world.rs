//! Servers of the demo: stand-in Okta, MCP servers and the gateway.

use crate::site::SITE;
use crate::{Outcome, ports};
use gateway::app::state::Dependencies;
use gateway::cli::serve::{Serving, assemble};
use gateway::settings::{Environment, Settings};
use gateway_standins::mcp::McpServer;
use gateway_standins::okta::{Okta, OktaOptions};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) const DICE: &str = "/mcp/dice/";
const UUID: &str = "/mcp/uuid/";
/// Data directory that is kept across restarts, so that registered clients stay known.
const DATA_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/demo");

/// Running servers of the demo, to be stopped with [`World::end`].
pub(crate) struct World {
    /// Base URL of the gateway.
    pub(crate) base_url: String,
    /// Site of the gateway, with its routes on the selected ports.
    pub(crate) site: &'static gateway_routes::Site,
    /// Stand-in Okta.
    pub(crate) okta: Okta,
    serving: Serving,
    _servers: [McpServer; 2],
    _folder: Option<TempDir>,
}

impl World {
    /// Starts all servers. The state is kept in `data_dir` or [`DATA_DIR`]; with `once` alone it is temporary.
    pub(crate) async fn start(once: bool, data_dir: Option<&Path>) -> Outcome<Self> {
        if !SITE.table.routes().iter().any(|route| route.pattern == DICE) {
            return Err(
                "this build has no route /mcp/dice/: build it with the config.yaml of the repository".into(),
            );
        }
        let dice = McpServer::dice(ports::free_or_any(3000, "the dice server")).await?;
        let uuid = McpServer::uuid(ports::free_or_any(4000, "the UUID server")).await?;
        let site = ports::site_with(&[(DICE, port_of(&dice.url())?), (UUID, port_of(&uuid.url())?)]);
        let port = match ports::free_or_any(8080, "the gateway") {
            0 => ports::find_free()?,
            port => port,
        };
        let base_url = format!("http://localhost:{port}");
        let okta = okta(&base_url).await?;
        let folder = if once && data_dir.is_none() { Some(tempfile::tempdir()?) } else { None };
        let data_dir = match (data_dir, &folder) {
            (Some(data_dir), _) => data_dir.to_owned(),
            (None, Some(folder)) => folder.path().join("data"),
            (None, None) => PathBuf::from(DATA_DIR),
        };
        let settings = Settings::read(&environment(&base_url, &okta, &data_dir), site)?;
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let serving = assemble(site, &settings, Dependencies::default(), threads)?;
        Ok(Self { base_url, site, okta, serving, _servers: [dice, uuid], _folder: folder })
    }

    /// Shuts down the gateway, then the stand-ins. Must not be called within a runtime, because it blocks.
    pub(crate) fn end(self) {
        self.serving.shut_down();
    }
}

async fn okta(base_url: &str) -> Outcome<Okta> {
    let options = OktaOptions {
        port: ports::free_or_any(8090, "the stand-in Okta"),
        redirect_uris: vec![format!("{base_url}/auth/callback")],
        ..OktaOptions::default()
    };
    Ok(Okta::start(options).await?)
}

fn environment(base_url: &str, okta: &Okta, data_dir: &Path) -> Environment {
    let app = OktaOptions::default();
    let port = base_url.rsplit(':').next().unwrap_or_default();
    let data_dir = data_dir.to_string_lossy();
    Environment::of([
        ("BASE_URL", base_url),
        ("PORT", port),
        ("DATA_DIR", &*data_dir),
        ("OKTA_URL", okta.url()),
        ("OKTA_CLIENT_ID", &*app.client_id),
        ("OKTA_CLIENT_SECRET", &*app.client_secret),
    ])
}

fn port_of(url: &str) -> Outcome<u16> {
    Ok(url::Url::parse(url)?.port().ok_or("a stand-in has a port")?)
}
