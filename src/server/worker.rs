//! One proxy thread: accepts connections and serves them.

use super::dispatch::Dispatch;
use super::patience::{Activity, Connections};
use super::{DRAIN, connection, filters};
use crate::decision::Caller;
use crate::gateway::Gateway;
use crate::proxy::Proxy;
use hyper::service::service_fn;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::LocalOptions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Between two tries to accept, when the process has run out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all threads share.
pub(super) struct Shared {
    pub(super) gateway: Arc<Gateway>,
    pub(super) connections: Arc<Semaphore>,
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
    let dispatch = Rc::new(Dispatch::new(filters::service(&shared.gateway), &shared.gateway));
    tend(&dispatch.proxy, &connections);
    loop {
        let accepted = tokio::select! {
            _ = shared.stopped.wait_for(|stopped| *stopped) => break,
            accepted = next(&listener, &shared.connections) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let (dispatch, activity) = (Rc::clone(&dispatch), Rc::new(Activity::default()));
        let (caller, asked) = (Arc::new(Caller::new(peer.ip())), Rc::clone(&activity));
        let service = service_fn(move |request| {
            let open = asked.request(request.version());
            Rc::clone(&dispatch).call(request, Arc::clone(&caller), open)
        });
        connections.spawn(Rc::clone(&activity), async move {
            if let Err(error) = connection::serve(stream, service, &activity).await {
                tracing::debug!(error, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if !connections.drain(DRAIN).await {
        tracing::info!("connections that were still open after the drain are cut");
    }
}

/// Looks after idle connections on both sides.
fn tend(proxy: &Rc<Proxy>, connections: &Rc<Connections>) {
    let (proxy, connections) = (Rc::clone(proxy), Rc::clone(connections));
    tokio::task::spawn_local(async move { proxy.tend().await });
    tokio::task::spawn_local(async move { connections.tend().await });
}

async fn next(
    listener: &tokio::net::TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY was not set");
            }
            Some((stream, peer, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
