//! Proxy thread: accepts connections and serves them.

use super::admission::{Admission, Peer};
use super::connection_state::ConnectionState;
use super::connections::{Connections, Deadlines};
use super::dispatch::Dispatch;
use super::reserve::Reserve;
use super::warp_bridge::Filters;
use super::{connection, filters, listener};
use crate::app::interruption::Interruption;
use crate::app::request::PeerConnection;
use crate::app::state::Gateway;
use crate::base::subnets::Subnets;
use crate::proxy::Proxy;
use gateway_routes::Shutdown;
use hyper::service::service_fn;
use std::future::Future;
use std::net::{IpAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::LocalOptions;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Delay before the next `accept` after a failed one, for example without free file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// Maximum number of failed `accept` calls before the listener is closed.
const MAX_ACCEPT_RETRIES: u32 = 20;
/// Time for connections that have begun to be established before the listener is closed: a round trip.
const HANDSHAKE_TIME: Duration = Duration::from_millis(250);
/// Time for the last responses to be sent before open connections are closed.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// State that all threads share.
pub(super) struct Shared {
    pub(super) gateway: Arc<Gateway>,
    pub(super) admission: Arc<Admission>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// Runs a thread's event loop until `stopped` becomes true and its connections are drained.
pub(super) fn run(listener: TcpListener, shared: Shared) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = match runtime.enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "proxy thread could not start its runtime"),
    };
    runtime.block_on(async move {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => accept(listener, shared).await,
            Err(error) => tracing::error!(%error, "proxy thread could not register its listener"),
        }
    });
}

/// Accepts and serves connections until `stopped` becomes true, and waits for the last responses.
async fn accept(listener: tokio::net::TcpListener, mut shared: Shared) {
    let filters = filters::service(&shared.gateway);
    let server = Server {
        dispatch: Rc::new(Dispatch::new(filters, &shared.gateway, &shared.admission)),
        admission: Arc::clone(&shared.admission),
        connections: Rc::default(),
        reserve: Reserve::default(),
    };
    spawn_maintenance(&server.dispatch.proxy, &server.connections, &shared);
    server.accept_until(&listener, shared.stopped.wait_for(|stopped| *stopped)).await;
    let shutdown = shared.gateway.site.shutdown;
    let deadlines = deadlines(shutdown);
    listener::drop_new_connections(&listener);
    server.accept_until(&listener, sleep(HANDSHAKE_TIME.min(shutdown.delay))).await;
    server.accept_queued(&listener).await;
    drop(listener);
    match server.connections.drain(deadlines).await {
        0 => {}
        open => {
            tracing::warn!(connections = open, "shutdown timeout expired: open connections are closed");
            Interruption::ShutDown.set();
        }
    }
}

/// Returns the deadlines of a shutdown whose delay ends now.
fn deadlines(shutdown: Shutdown) -> Deadlines {
    let drain_time = shutdown.timeout.saturating_sub(shutdown.delay);
    let abort = Instant::now() + drain_time;
    Deadlines { end: abort - CLOSE_TIME.min(drain_time / 2), abort }
}

/// Server of one thread.
struct Server<F> {
    dispatch: Rc<Dispatch<F>>,
    admission: Arc<Admission>,
    connections: Rc<Connections>,
    reserve: Reserve,
}

impl<F: Filters> Server<F> {
    /// Accepts and serves connections until `end`.
    async fn accept_until(&self, listener: &tokio::net::TcpListener, end: impl Future) {
        let mut end = pin!(end);
        loop {
            tokio::select! {
                _ = &mut end => return,
                accepted = next(listener, &self.admission) => {
                    if let Some((stream, address)) = accepted {
                        self.serve(stream, address);
                    }
                }
            }
        }
    }

    /// Accepts and serves the connections that are in the queue: they would be reset with the listener.
    async fn accept_queued(&self, listener: &tokio::net::TcpListener) {
        let mut retries = 0;
        while retries < MAX_ACCEPT_RETRIES {
            match listener::accept_queued(listener) {
                Ok(None) => return,
                Ok(Some((stream, address))) => match TcpStream::from_std(stream) {
                    Ok(stream) => self.serve(stream, address),
                    Err(error) => self.admission.note_accept_error(&error),
                },
                Err(error) => {
                    self.admission.note_accept_error(&error);
                    sleep(ACCEPT_RETRY_DELAY).await;
                    retries += 1;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, address: IpAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        // Limits apply after `accept`: refused connections must not fill the accept queue.
        let (peer, permit) = self.admission.connection(address);
        let (dispatch, state) = (Rc::clone(&self.dispatch), Rc::new(ConnectionState::new(peer)));
        let (connection, requests) = (Arc::new(PeerConnection::new(address)), Rc::clone(&state));
        let service = service_fn(move |request| {
            Rc::clone(&dispatch).call(request, Arc::clone(&connection), requests.begin_request())
        });
        let task = self.connections.spawn(Rc::clone(&state), async move {
            if let Err(error) = connection::serve(stream, service, &state).await {
                tracing::debug!(error, "client connection failed");
            }
            drop(permit);
        });
        if let Peer::Refused(_) = peer {
            self.reserve.add(Subnets::of(address).widest().id, task);
        }
    }
}

/// Spawns the periodic tasks: idle timeouts of client and upstream connections, and summarized log lines.
fn spawn_maintenance(proxy: &Rc<Proxy>, connections: &Rc<Connections>, shared: &Shared) {
    let (proxy, connections) = (Rc::clone(proxy), Rc::clone(connections));
    let admission = Arc::clone(&shared.admission);
    tokio::task::spawn_local(async move { proxy.reap_idle().await });
    let report = move || admission.report();
    tokio::task::spawn_local(async move { connections.maintain(report).await });
}

async fn next(listener: &tokio::net::TcpListener, admission: &Admission) -> Option<(TcpStream, IpAddr)> {
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer.ip())),
        Err(error) => {
            admission.note_accept_error(&error);
            sleep(ACCEPT_RETRY_DELAY).await;
            None
        }
    }
}
