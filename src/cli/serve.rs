//! The `serve` command: start-up, background tasks and graceful shutdown.

use super::log::{self, Queue};
use super::signals::{Finished, Signals};
use super::{CommandError, background};
use crate::app::state::{Dependencies, Gateway};
use crate::base::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::crypto::seal::Keys;
use crate::server::{self, Running};
use crate::settings::{Environment, Settings, StoreSettings, key_file};
use crate::store::{Format, Store};
use gateway_routes::Site;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Timeout of work on the control runtime after the last connection is closed: three requests to Okta.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(15);

/// Serves until SIGTERM or SIGINT; a second one ends the shutdown.
///
/// # Errors
/// Invalid settings (all problems at once), or the port or the store file is unavailable.
pub fn serve(site: &'static Site) -> Result<(), CommandError> {
    let settings = Settings::read(&Environment::of_process(), site)?;
    let queue = Queue::start(std::io::stderr())?;
    log::init(settings.log_format, &queue);
    let result = run(site, &settings);
    queue.flush_all();
    result
}

fn run(site: &'static Site, settings: &Settings) -> Result<(), CommandError> {
    let mut signals = Signals::new()?;
    server::raise_open_files();
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let serving = assemble(site, settings, Dependencies::default(), threads)?;
    tracing::info!(
        address = %serving.address(),
        base_url = %settings.base_url,
        environment = site.environment,
        configuration = site.digest,
        routes = site.table.routes().len(),
        "listening"
    );
    let probed = Arc::clone(&serving.gateway);
    // Okta may be down: what is wrong is logged once, and the gateway serves.
    serving.control.spawn(async move { probed.okta.probe().await });
    signals.wait();
    tracing::info!(delay = ?site.shutdown.delay, timeout = ?site.shutdown.timeout, "draining");
    let (finished, is_finished) = oneshot::channel();
    std::thread::spawn(move || {
        serving.shut_down();
        // An error means that a second signal came first.
        let _ = finished.send(());
    });
    match signals.wait_for_either(is_finished) {
        Finished::Shutdown => Ok(()),
        Finished::Signal => Err(CommandError::SecondSignal),
    }
}

/// A running gateway with its background tasks.
pub struct Serving {
    running: Running,
    control: Runtime,
    gateway: Arc<Gateway>,
}

impl Serving {
    /// Returns the listener's address.
    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// Shuts down gracefully, see [`Running::shut_down`]; then waits for revalidations at Okta under way, whose results
    /// must be stored.
    pub fn shut_down(self) {
        self.running.shut_down();
        let done = async { timeout(CONTROL_TIMEOUT, self.gateway.control_work_done()).await };
        if self.control.block_on(done).is_err() {
            tracing::error!(
                "calls of Okta or of the store did not complete: users may have to sign in again"
            );
        }
        self.control.shutdown_timeout(Duration::from_secs(2));
    }
}

/// Starts a gateway, for the executable, the demo and the tests. Okta and Redis may become available later.
///
/// # Errors
/// The port or the store file is unavailable, or the settings are inconsistent.
pub fn assemble(
    site: &'static Site,
    settings: &Settings,
    dependencies: Dependencies,
    threads: NonZeroUsize,
) -> Result<Serving, CommandError> {
    install_crypto();
    check_registration_date(site, &dependencies)?;
    warn_of_linked_authorities(settings);
    if let Some(proxy) = &settings.egress_proxy {
        tracing::info!(
            proxy = proxy.origin(),
            client_metadata = proxy.client_metadata,
            "requests to Okta go through the egress proxy"
        );
    }
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()?;
    let keys = keys(settings, &dependencies)?;
    let store = open_store(settings, &dependencies)?;
    let gateway = Gateway::new(site, settings, store, &keys, control.handle().clone(), dependencies)?;
    let running = server::start(&gateway, settings.port, threads)
        .map_err(|source| CommandError::Listen { port: settings.port, source })?;
    background::spawn(&control, &gateway);
    Ok(Serving { running, control, gateway })
}

/// Refuses a `registration.not_before` in the future, which would invalidate existing and new registrations alike.
fn check_registration_date(site: &Site, dependencies: &Dependencies) -> Result<(), CommandError> {
    let latest = dependencies.clock.now().after(MAX_CLOCK_SKEW);
    match site.registration.not_before {
        Some(at) if Timestamp::from(at) > latest => Err(CommandError::RegistrationDate),
        _ => Ok(()),
    }
}

/// Logs that this machine has no certificate authorities, so that the linked ones are used.
fn warn_of_linked_authorities(settings: &Settings) {
    if let Some(why) = &settings.authorities.linked_because {
        tracing::warn!(
            why,
            "this machine has no certificate authorities: certificates of Okta and of client documents are verified \
             with the public authorities of this binary: install ca-certificates, or correct SSL_CERT_FILE and \
             SSL_CERT_DIR; for a private authority of Okta, set okta.ca_file"
        );
    }
}

/// Installs the crypto provider for TLS, once per process.
fn install_crypto() {
    // Fails only if the same provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Derives the keys from `GATEWAY_SECRET`, or from the secret file beside the embedded store.
fn keys(settings: &Settings, dependencies: &Dependencies) -> Result<Keys, CommandError> {
    if let Some(secrets) = &settings.secrets {
        return Ok(Keys::new(secrets.clone()));
    }
    match &settings.store {
        StoreSettings::Embedded { data_dir } => {
            Ok(Keys::new(vec![key_file::load_or_create(data_dir, &dependencies.entropy)?]))
        }
        StoreSettings::Redis(_) => Err(CommandError::NoSecret),
    }
}

fn open_store(settings: &Settings, dependencies: &Dependencies) -> Result<Store, CommandError> {
    let (clock, format) =
        (dependencies.clock.clone(), Format::new(dependencies.formats, settings.store_format)?);
    match &settings.store {
        StoreSettings::Embedded { data_dir } => {
            Ok(Store::embedded(data_dir, clock, &dependencies.entropy, format)?)
        }
        StoreSettings::Redis(address) => {
            Ok(Store::redis(address.clone(), clock, dependencies.entropy.clone(), format)?)
        }
    }
}
