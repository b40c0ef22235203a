//! Test environment: Okta, MCP servers and a gateway in front of them, all on free ports.

mod balancer;
pub(crate) mod binary;
pub(crate) mod drivers;
pub(crate) mod ending;
pub(crate) mod events;
pub(crate) mod go_program;
mod grant_access;
pub(crate) mod metadata_documents;
mod okta_front;
mod port;
pub(crate) mod random_source;
mod raw_request;
mod rebuild;
mod replica;
mod site;
mod store_kind;
mod tls_front;

pub(crate) use grant_access::GrantAccess;
pub(crate) use okta_front::OktaFront;
use port::{listen_on, reserve_port};
pub(crate) use replica::Replica;
pub(crate) use site::{BACKEND_TOKEN, SiteBuilder};
pub(crate) use store_kind::StoreKind;
pub(crate) use tls_front::TlsFront;

use gateway::app::state::Dependencies;
use gateway::base::clock::Clock;
use gateway::cli::CommandError;
use gateway::cli::serve::{Serving, assemble};
use gateway::fetch::FetchPolicy;
use gateway::settings::{Environment, Settings};
use gateway::store::Formats;
use gateway_routes::Site;
use gateway_standins::Time;
use gateway_standins::backend::Backend;
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Client, Login, Tokens};
use gateway_standins::mcp::McpServer;
use gateway_standins::okta::{Okta, OktaOptions};
use gateway_standins::redis::Redis;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Redirect URI without a listener: the scripted browser stops at it.
pub(crate) const CALLBACK: &str = "http://localhost:43110/callback";
pub(crate) const SECRET: &str = "7f3a9c51e2d84b06a1f7c3e95d20b86478e1f0a2c4d6b8093e5a7c9d1f2b4e60";

/// Servers and settings of one test.
pub(crate) struct World {
    pub(crate) okta: Okta,
    // Serves until the world is dropped.
    _dice: McpServer,
    pub(crate) backend: Backend,
    pub(crate) redis: Option<Redis>,
    kvs: String,
    pub(crate) base_url: String,
    pub(crate) clock: Clock,
    /// `GATEWAY_SECRET` of gateways that are started from now on.
    pub(crate) secrets: String,
    /// Storage formats that their release supports.
    pub(crate) formats: Formats,
    /// Their `STORE_FORMAT`.
    pub(crate) store_format: &'static str,
    /// Further variables of gateways that are started from now on.
    pub(crate) variables: Vec<(&'static str, String)>,
    fetch: FetchPolicy,
    folder: TempDir,
    okta_url: String,
    site: &'static Site,
    // Reserves the port while the gateway is stopped: bound, but not listening.
    _port: socket2::Socket,
    port: u16,
    serving: Option<Serving>,
}

impl World {
    /// Starts the default world: routes `/mcp/dice/` (dice server) and `/mcp/raw/` (HTTP backend), embedded store.
    pub(crate) async fn start() -> Self {
        Self::with(StoreKind::Embedded, |site| site).await
    }

    /// Starts a world with this store and a changed site.
    pub(crate) async fn with(store_kind: StoreKind, change: impl FnOnce(SiteBuilder) -> SiteBuilder) -> Self {
        Self::with_okta(OktaOptions::default(), store_kind, change).await
    }

    /// Starts a world with this Okta, whose redirect URI is set here.
    pub(crate) async fn with_okta(
        options: OktaOptions,
        store_kind: StoreKind,
        change: impl FnOnce(SiteBuilder) -> SiteBuilder,
    ) -> Self {
        Self::build((Clock::system(), options), store_kind, change).await
    }

    /// Starts a world on the embedded store with a manual clock, which Okta uses too.
    pub(crate) async fn with_manual_clock(change: impl FnOnce(SiteBuilder) -> SiteBuilder) -> Self {
        Self::with_manual_clock_on(StoreKind::Embedded, change).await
    }

    /// The same, with another store. Redis uses its own clock, which runs.
    pub(crate) async fn with_manual_clock_on(
        store_kind: StoreKind,
        change: impl FnOnce(SiteBuilder) -> SiteBuilder,
    ) -> Self {
        Self::with_manual_clock_and_okta(OktaOptions::default(), store_kind, change).await
    }

    /// The same, with this Okta.
    pub(crate) async fn with_manual_clock_and_okta(
        options: OktaOptions,
        store_kind: StoreKind,
        change: impl FnOnce(SiteBuilder) -> SiteBuilder,
    ) -> Self {
        let clock = Clock::manual(Clock::system().now());
        let okta = clock.clone();
        let time = Time::from_source(move || okta.now().seconds());
        let options = OktaOptions { time, ..options };
        Self::build((clock, options), store_kind, change).await
    }

    async fn build(
        (clock, mut options): (Clock, OktaOptions),
        store_kind: StoreKind,
        change: impl FnOnce(SiteBuilder) -> SiteBuilder,
    ) -> Self {
        install_crypto();
        let (socket, port) = reserve_port();
        let base_url = format!("http://localhost:{port}");
        options.redirect_uris = vec![format!("{base_url}/auth/callback")];
        let okta = Okta::start(options).await.unwrap();
        let dice = McpServer::dice(0).await.unwrap();
        let backend = Backend::start(0).await.unwrap();
        let (redis, kvs) = store_kind.start();
        let site = SiteBuilder::new().route("/mcp/dice/", &dice.url(), |r| r).route(
            "/mcp/raw/",
            &backend.url(),
            |r| r,
        );
        let site = change(site).leak();
        let folder = tempfile::tempdir().unwrap();
        let okta_url = okta.url().to_owned();
        let serving = None;
        let mut world = Self {
            okta,
            _dice: dice,
            backend,
            redis,
            kvs,
            base_url,
            clock,
            secrets: SECRET.to_owned(),
            formats: Formats::THIS,
            store_format: "",
            variables: Vec::new(),
            fetch: FetchPolicy::default(),
            folder,
            okta_url,
            site,
            _port: socket,
            port,
            serving,
        };
        world.start_gateway();
        world
    }

    /// URL of the MCP endpoint of `/mcp/dice/`.
    pub(crate) fn dice_url(&self) -> String {
        format!("{}/mcp/dice/mcp", self.base_url)
    }

    /// URL of a path of the gateway.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Stops the gateway and starts it again on the same state.
    pub(crate) async fn restart(&mut self) {
        self.stop_gateway().await;
        self.start_gateway();
    }

    /// Restarts the gateway with another Okta.
    pub(crate) async fn restart_with_okta_url(&mut self, url: &str) {
        url.clone_into(&mut self.okta_url);
        self.restart().await;
    }

    /// Length of the embedded store's file, in bytes.
    pub(crate) fn store_file_bytes(&self) -> u64 {
        self.folder.path().join("data/gateway.redb").metadata().unwrap().len()
    }

    /// Starts the gateway.
    pub(crate) fn start_gateway(&mut self) {
        self.serving = Some(self.assemble(&self.port.to_string()));
    }

    /// Stops the gateway.
    pub(crate) async fn stop_gateway(&mut self) {
        if let Some(serving) = self.serving.take() {
            tokio::task::spawn_blocking(move || serving.shut_down()).await.unwrap();
        }
    }

    /// Waits until the gateway is ready.
    pub(crate) async fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while http().get(self.url("/readyz")).send().await.unwrap().status() != 200 {
            assert!(Instant::now() < deadline, "the gateway does not become ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Directory of the embedded store.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn assemble(&self, port: &str) -> Serving {
        self.try_to_assemble(port).unwrap()
    }

    fn try_to_assemble(&self, port: &str) -> Result<Serving, CommandError> {
        let settings = Settings::read(&self.environment(port), self.site).unwrap();
        let (clock, fetch) = (self.clock.clone(), self.fetch.clone());
        let dependencies = Dependencies { clock, fetch, formats: self.formats, ..Dependencies::default() };
        assemble(self.site, &settings, dependencies, NonZeroUsize::MIN)
    }

    fn environment(&self, port: &str) -> Environment {
        let options = OktaOptions::default();
        let data_dir = self.data_dir();
        let fixed = [
            ("BASE_URL", &*self.base_url),
            ("PORT", port),
            ("DATA_DIR", data_dir.to_str().unwrap()),
            ("KVS_ADDR", &self.kvs),
            ("GATEWAY_SECRET", &self.secrets),
            ("STORE_FORMAT", self.store_format),
            ("OKTA_URL", &self.okta_url),
            ("OKTA_CLIENT_ID", &options.client_id),
            ("OKTA_CLIENT_SECRET", &options.client_secret),
            ("BACKEND_TOKEN", BACKEND_TOKEN),
        ];
        Environment::of(fixed.into_iter().chain(self.variables.iter().map(|(name, text)| (*name, &**text))))
    }

    /// Registers a public client of the MCP server at `path`.
    pub(crate) async fn client(&self, path: &str) -> Client {
        let discovered = client::discover(&self.url(path)).await.unwrap();
        discovered.register("Test client", "none", CALLBACK).await.unwrap()
    }

    /// Signs `username` in to the MCP server at `path` with a new client and a new browser.
    pub(crate) async fn sign_in(&self, path: &str, username: &str) -> (Client, Tokens) {
        let client = self.client(path).await;
        let code = client.authorize(&mut Browser::new(), &Login::of(username)).await.unwrap();
        let tokens = client.redeem(&code).await.unwrap();
        (client, tokens)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            std::thread::spawn(move || serving.shut_down());
        }
    }
}

/// Installs the process-wide TLS provider, before any client is built.
fn install_crypto() {
    // Fails only if one is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// HTTP client that follows no redirects.
pub(crate) fn http() -> reqwest::Client {
    install_crypto();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
