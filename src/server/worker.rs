//! One proxy thread: accepts connections and serves them.

use super::admission::{Admission, Peer};
use super::dispatch::Dispatch;
use super::idle_timeout::{ConnectionState, Connections};
use super::reserve::Reserve;
use super::{DRAIN_TIMEOUT, connection, filters};
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

/// Between two tries to accept, when the process has run out of files.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// What all threads share.
pub(super) struct Shared {
    pub(super) gateway: Arc<Gateway>,
    pub(super) admission: Arc<Admission>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// Serves until `stopped` says so, then drains.
pub(super) fn run(listener: TcpListener, shared: Shared) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = match runtime.enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "a proxy thread could not start"),
    };
    runtime.block_on(async move {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => accept(listener, shared).await,
            Err(error) => tracing::error!(%error, "a proxy thread could not listen"),
        }
    });
}

async fn accept(listener: tokio::net::TcpListener, mut shared: Shared) {
    let connections = Rc::new(Connections::default());
    let filters = filters::service(&shared.gateway);
    let dispatch = Rc::new(Dispatch::new(filters, &shared.gateway, &shared.admission));
    let reserve = Reserve::default();
    tend(&dispatch.proxy, &connections, &shared.admission);
    loop {
        let accepted = tokio::select! {
            _ = shared.stopped.wait_for(|stopped| *stopped) => break,
            accepted = next(&listener, &shared.admission) => accepted,
        };
        let Some((stream, address)) = accepted else { continue };
        // After it is accepted: a limit that is reached holds nobody up in the backlog.
        let (peer, permit) = shared.admission.connection(address);
        let (dispatch, state) = (Rc::clone(&dispatch), Rc::new(ConnectionState::new(peer)));
        let (connection, asked) = (Arc::new(PeerConnection::new(address)), Rc::clone(&state));
        let service = service_fn(move |request| {
            Rc::clone(&dispatch).call(request, Arc::clone(&connection), asked.request())
        });
        let task = connections.spawn(Rc::clone(&state), async move {
            if let Err(error) = connection::serve(stream, service, &state).await {
                tracing::debug!(error, "a connection ended early");
            }
            drop(permit);
        });
        if let Peer::Refused(_) = peer {
            reserve.add(Subnets::of(address).widest().id, task);
        }
    }
    drop(listener);
    if !connections.drain(DRAIN_TIMEOUT).await {
        tracing::info!("connections that were still open after the drain are cut");
    }
}

/// Looks after idle connections on both sides, and writes what the log owes.
fn tend(proxy: &Rc<Proxy>, connections: &Rc<Connections>, admission: &Arc<Admission>) {
    let (proxy, connections, admission) = (Rc::clone(proxy), Rc::clone(connections), Arc::clone(admission));
    tokio::task::spawn_local(async move { proxy.reap_idle().await });
    tokio::task::spawn_local(async move { connections.tend(|| admission.report()).await });
}

async fn next(listener: &tokio::net::TcpListener, admission: &Admission) -> Option<(TcpStream, IpAddr)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY was not set");
            }
            Some((stream, peer.ip()))
        }
        Err(error) => {
            admission.note_not_accepted(&error);
            tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            None
        }
    }
}
