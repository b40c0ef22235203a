//! HTTP server: listeners, connections, timeouts, dispatch and graceful shutdown.
//!
//! One thread per core, each with its own runtime, listener and upstream connections: a proxied request never leaves
//! its thread. Everything that waits for the store or Okta runs on the control runtime.

mod admission;
mod capacity;
mod client_stream;
mod connection;
mod connection_state;
mod connections;
mod dispatch;
mod filters;
mod listener;
mod preface;
mod rejection;
mod request_ids;
mod reserve;
mod response_body;
mod stream_tasks;
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
use tokio::sync::watch;

/// Handle of a running server.
pub struct Running {
    /// Address of the listener.
    pub address: SocketAddr,
    gateway: Arc<Gateway>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts the server on `port` (0: the system chooses) with this many threads.
///
/// # Errors
/// The port cannot be bound, or the limit of open files is too low.
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
    /// Shuts down gracefully, within the times of the site's `shutdown`, and joins all threads:
    ///
    /// 1. `/readyz` responds with 503, and each response closes its connection. New connections are accepted.
    /// 2. After the delay, each thread accepts what is in the queue of its listener and closes it.
    /// 3. Requests in flight, and those that have been sent on open connections, get their responses.
    /// 4. Shortly before the timeout, event streams end between two events, and other requests get 503.
    pub fn shut_down(self) {
        self.gateway.drain();
        std::thread::sleep(self.gateway.site.shutdown.delay);
        // An error means that all threads have already ended.
        let _ = self.stop.send(true);
        for thread in self.threads {
            // A panic of the thread has been logged by the panic hook.
            let _ = thread.join();
        }
    }
}
