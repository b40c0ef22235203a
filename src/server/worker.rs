//! Proxy thread: accepts connections and serves them.

use super::admission::{Admission, Peer};
use super::dispatch::Dispatch;
use super::idle_timeout::{ConnectionState, Connections};
use super::reserve::Reserve;
use super::{DRAIN_TIMEOUT, connection, filters};
use crate::app::interruption::Interruption;
use crate::app::request::PeerConnection;
use crate::app::state::Gateway;
use crate::base::subnets::Subnets;
use crate::proxy::Proxy;
use hyper::service::service_fn;
use std::net::{IpAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::LocalOptions;
use tokio::sync::watch;

/// Delay before the next `accept` after a failed one, for example without free file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// State that all threads share.
pub(super) struct Shared {
    pub(super) gateway: Arc<Gateway>,
    pub(super) admission: Arc<Admission>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// Runs a thread's event loop until `stopped` becomes true, then drains its connections.
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

async fn accept(listener: tokio::net::TcpListener, mut shared: Shared) {
    let connections = Rc::new(Connections::default());
    let filters = filters::service(&shared.gateway);
    let dispatch = Rc::new(Dispatch::new(filters, &shared.gateway, &shared.admission));
    let reserve = Reserve::default();
    spawn_maintenance(&dispatch.proxy, &connections, &shared);
    loop {
        let accepted = tokio::select! {
            _ = shared.stopped.wait_for(|stopped| *stopped) => break,
            accepted = next(&listener, &shared.admission) => accepted,
        };
        let Some((stream, address)) = accepted else { continue };
        // Limits apply after `accept`: refused connections must not fill the accept queue.
        let (peer, permit) = shared.admission.connection(address);
        let (dispatch, state) = (Rc::clone(&dispatch), Rc::new(ConnectionState::new(peer)));
        let (connection, requests) = (Arc::new(PeerConnection::new(address)), Rc::clone(&state));
        let service = service_fn(move |request| {
            Rc::clone(&dispatch).call(request, Arc::clone(&connection), requests.begin_request())
        });
        let task = connections.spawn(Rc::clone(&state), async move {
            if let Err(error) = connection::serve(stream, service, &state).await {
                tracing::debug!(error, "client connection failed");
            }
            drop(permit);
        });
        if let Peer::Refused(_) = peer {
            reserve.add(Subnets::of(address).widest().id, task);
        }
    }
    drop(listener);
    if !connections.drain(DRAIN_TIMEOUT).await {
        tracing::info!("shutdown timeout expired: open connections are closed");
        Interruption::ShutDown.set();
    }
}

/// Spawns the periodic tasks: idle timeouts of client and upstream connections, and summarized log lines.
fn spawn_maintenance(proxy: &Rc<Proxy>, connections: &Rc<Connections>, shared: &Shared) {
    let (proxy, connections) = (Rc::clone(proxy), Rc::clone(connections));
    let (admission, gateway) = (Arc::clone(&shared.admission), Arc::clone(&shared.gateway));
    tokio::task::spawn_local(async move { proxy.reap_idle().await });
    let report = move || {
        admission.report();
        gateway.call_log.report();
    };
    tokio::task::spawn_local(async move { connections.maintain(report).await });
}

async fn next(listener: &tokio::net::TcpListener, admission: &Admission) -> Option<(TcpStream, IpAddr)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set");
            }
            Some((stream, peer.ip()))
        }
        Err(error) => {
            admission.note_accept_error(&error);
            tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            None
        }
    }
}
