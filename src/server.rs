//! Binds, serves and drains.
//!
//! One thread for each core, each with a runtime, a listener and upstream connections of its own: a proxied
//! request never leaves its thread. Whatever waits for the store or Okta runs on the control runtime.

mod admission;
mod capacity;
mod connection;
mod dispatch;
mod filters;
mod idle_timeout;
mod listener;
mod preface;
mod request_ids;
mod reserve;
mod response_body;
mod stream_timeout;
mod warp_bridge;
mod worker;
mod write_timeout;

pub use capacity::raise_open_files;

use crate::app::state::Gateway;
use admission::Admission;
use capacity::Capacity;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// How long requests and streams may take to end once the gateway is asked to.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A gateway that listens.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    gateway: Arc<Gateway>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts to serve on `port` (0: the system chooses) with this many threads.
///
/// # Errors
/// The port cannot be listened on, or the process may open too few files.
pub fn start(gateway: &Arc<Gateway>, port: u16, threads: NonZeroUsize) -> io::Result<Running> {
    let capacity = Capacity::of_process(&gateway.site.limits, threads.get())?;
    let admission = Admission::new(capacity, gateway.site.trusted_proxies, gateway.clock.clone());
    let admission = Arc::new(admission);
    let first = listener::bind(port)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..threads.get() {
        listeners.push(listener::bind(address.port())?);
    }
    let (stop, stopped) = watch::channel(false);
    let spawn = |(number, listener)| {
        let shared = worker::Shared {
            gateway: Arc::clone(gateway),
            admission: Arc::clone(&admission),
            stopped: stopped.clone(),
        };
        let name = format!("proxy-{number}");
        std::thread::Builder::new().name(name).spawn(move || worker::run(listener, shared))
    };
    let threads = listeners.into_iter().enumerate().map(spawn).collect::<io::Result<_>>()?;
    Ok(Running { address, gateway: Arc::clone(gateway), stop, threads })
}

impl Running {
    /// Stops accepting, lets requests end (streams get 30 s), returns when all threads have ended.
    pub fn shut_down(self) {
        self.gateway.drain();
        // Fails only when all threads have ended already.
        let _ = self.stop.send(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a proxy thread had panicked");
            }
        }
    }
}
