//! `serve`: from the environment to a gateway that listens, and back down again.

use super::Failed;
use super::log::{self, Queue};
use crate::app::state::{Dependencies, Gateway};
use crate::base::clock::MAX_CLOCK_SKEW;
use crate::crypto::seal::Keys;
use crate::endpoints::mcp::access;
use crate::server::{self, Running};
use crate::settings::{Environment, Settings, StoreSettings, key_file};
use crate::store::{Cursor, Format, Store};
use gateway_routes::Site;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

/// How often open streams are held against their grants.
const STREAM_CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// How often the revocations of other replicas are heard.
const REVOCATION_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often the store is asked before the gateway is ready.
const STORE_RETRY_DELAY: Duration = Duration::from_millis(500);
/// How often this machine's clock is compared with the store's.
const COMPARE_CLOCKS: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Everything that is wrong with the environment, or why the port or the store file cannot be had.
pub fn serve(site: &'static Site) -> Result<(), Failed> {
    let settings = Settings::read(&Environment::of_process(), site)?;
    let queue = Queue::to(std::io::stderr())?;
    log::begin(settings.log_format, &queue);
    let outcome = run(site, &settings);
    queue.finish();
    outcome
}

fn run(site: &'static Site, settings: &Settings) -> Result<(), Failed> {
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
    serving.control.block_on(asked_to_stop())?;
    tracing::info!("draining");
    serving.shut_down();
    Ok(())
}

/// A gateway that serves, and what runs beside it.
pub struct Serving {
    running: Running,
    control: Runtime,
}

impl Serving {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// Stops to accept, lets requests end (streams get 30 s), and ends.
    pub fn shut_down(self) {
        self.running.shut_down();
        self.control.shutdown_timeout(Duration::from_secs(2));
    }
}

/// The one way to a gateway that serves, for the binary, the demo and the tests alike. Okta and Redis may come
/// later.
///
/// # Errors
/// Why the port or the store file cannot be had.
pub fn assemble(
    site: &'static Site,
    settings: &Settings,
    dependencies: Dependencies,
    threads: NonZeroUsize,
) -> Result<Serving, Failed> {
    install_crypto();
    check_time(site, &dependencies)?;
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()?;
    let keys = keys(settings, &dependencies)?;
    let store = open_store(settings, &dependencies)?;
    let gateway = Gateway::new(site, settings, store, &keys, control.handle().clone(), dependencies)?;
    let running = server::start(&gateway, settings.port, threads)
        .map_err(|error| format!("cannot serve on port {}: {error}", settings.port))?;
    tend(&control, &gateway);
    Ok(Serving { running, control })
}

/// A date that is still to come would end every registration at once, and those that clients make instead.
fn check_time(site: &Site, dependencies: &Dependencies) -> Result<(), Failed> {
    let latest = dependencies.clock.now().after(MAX_CLOCK_SKEW).seconds();
    match site.registration.not_before {
        Some(at) if at.seconds() > latest => Err(Failed(
            "registration.not_before of the compiled configuration lies in the future: build with an earlier moment, \
             or correct this machine's clock"
                .into(),
        )),
        _ => Ok(()),
    }
}

/// One crypto provider for all of TLS; a second call finds it installed.
fn install_crypto() {
    // Fails only when one is installed already, and then it is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Starts what runs beside the requests: readiness and the comparison of clocks, what other replicas revoke, and the sweep
/// of open streams.
fn tend(control: &Runtime, gateway: &Arc<Gateway>) {
    let knocking = Arc::clone(gateway);
    control.spawn(async move {
        while let Err(error) = knocking.store.ping().await {
            tracing::warn!(%error, "waiting for the store");
            tokio::time::sleep(STORE_RETRY_DELAY).await;
        }
        knocking.set_ready();
        while knocking.store.is_shared() {
            tokio::time::sleep(COMPARE_CLOCKS).await;
            // A store that does not answer is told of by those who need it.
            let _ = knocking.store.ping().await;
        }
    });
    let hearing = Arc::clone(gateway);
    control.spawn(async move {
        let (mut ticks, mut cursor) = (tokio::time::interval(REVOCATION_POLL_INTERVAL), Cursor(0));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A store that does not answer is told of by those who need it.
            cursor = hearing.grants.poll_revocations(cursor).await.unwrap_or(cursor);
        }
    });
    let sweeping = Arc::clone(gateway);
    control.spawn(async move {
        let mut ticks = tokio::time::interval(STREAM_CHECK_INTERVAL);
        loop {
            ticks.tick().await;
            sweeping.grants.close_ended_streams(|grant| access::is_still_authorized(&sweeping, grant)).await;
        }
    });
}

/// The keys of `GATEWAY_SECRET`, or of the secret that lies beside the embedded store.
fn keys(settings: &Settings, dependencies: &Dependencies) -> Result<Keys, Failed> {
    if let Some(secrets) = &settings.secrets {
        return Ok(Keys::new(secrets.clone()));
    }
    match &settings.store {
        StoreSettings::Embedded { data_dir } => {
            Ok(Keys::new(vec![key_file::load_or_create(data_dir, &dependencies.entropy)?]))
        }
        StoreSettings::Redis(_) => Err(Failed("GATEWAY_SECRET is not set".into())),
    }
}

fn open_store(settings: &Settings, dependencies: &Dependencies) -> Result<Store, Failed> {
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

async fn asked_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
