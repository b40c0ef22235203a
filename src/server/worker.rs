//! One proxy thread: accepts connections and serves them.

use super::dispatch::Dispatch;
use super::patience::{Activity, Connections};
use super::unstalled::{STALL, Unstalled};
use super::{DRAIN, filters};
use crate::decision::Caller;
use crate::gateway::Gateway;
use crate::proxy::Proxy;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::LocalOptions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How often an HTTP/2 client is asked whether it is still there, and how long it may take to say so.
const ASK: Duration = Duration::from_secs(30);
/// All header fields of a request together, in bytes. There can be a hundred of them, as hyper has it.
const LARGEST_HEAD: u32 = 32 * 1024;
/// Between two tries to accept, when the process has run out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all threads share.
pub(super) struct Shared {
    pub(super) gateway: Arc<Gateway>,
    pub(super) connections: Arc<Semaphore>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// Runs tasks on the thread that they were made on.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
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
    let (graceful, connections) = (GracefulShutdown::new(), Rc::new(Connections::default()));
    let server = builder();
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
        let stream = TokioIo::new(Unstalled::new(stream, STALL));
        // In a box, since a task would hold what it was given and what it waits for, both as large as HTTP/2 needs.
        let connection = Box::pin(graceful.watch(server.serve_connection(stream, service).into_owned()));
        let task = tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended early");
            }
            drop(permit);
        });
        connections.watch(activity, task.abort_handle());
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
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

fn builder() -> Builder<OnThisThread> {
    let mut builder = Builder::new(OnThisThread);
    // Silent connections are looked after by `Connections`.
    builder.http1().header_read_timeout(None).max_buf_size(LARGEST_HEAD as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(LARGEST_HEAD)
        .max_concurrent_streams(200)
        .keep_alive_interval(ASK)
        .keep_alive_timeout(ASK);
    builder
}
