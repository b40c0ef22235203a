//! One proxy thread: accepts connections and serves them.

use super::dispatch::Dispatch;
use super::patience::{FIRST_REQUEST, STALL, Unstalled, unless_silent};
use super::{DRAIN, filters};
use crate::gateway::Gateway;
use crate::proxy::{Proxy, ProxyConfig};
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::cell::Cell;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::LocalOptions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// A client that is slower than this to send a head is attacking us, or gone.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// All header fields of a request together, in bytes.
const LARGEST_HEAD: u32 = 32 * 1024;
const MOST_HEADERS: usize = 100;
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
    let graceful = GracefulShutdown::new();
    let server = builder();
    let dispatch = Rc::new(Dispatch {
        filters: filters::service(&shared.gateway),
        proxy: Rc::new(Proxy::new(ProxyConfig::new())),
        gateway: Arc::clone(&shared.gateway),
    });
    loop {
        let accepted = tokio::select! {
            _ = shared.stopped.wait_for(|stopped| *stopped) => break,
            accepted = next(&listener, &shared.connections) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let (dispatch, heard) = (Rc::clone(&dispatch), Rc::new(Cell::new(false)));
        let asked = Rc::clone(&heard);
        let service = service_fn(move |request| {
            asked.set(true);
            Rc::clone(&dispatch).call(request, peer.ip())
        });
        let stream = TokioIo::new(Unstalled::new(stream, STALL));
        let connection = graceful.watch(server.serve_connection(stream, service).into_owned());
        tokio::task::spawn_local(async move {
            match unless_silent(connection, &heard, FIRST_REQUEST).await {
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::debug!(error, "a connection ended early"),
                None => tracing::debug!("a connection was cut: nothing was asked for on it"),
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::info!("connections that were still open after the drain are cut");
    }
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
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(LARGEST_HEAD as usize)
        .max_headers(MOST_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(LARGEST_HEAD)
        .max_concurrent_streams(200)
        .keep_alive_interval(HEAD_TIMEOUT)
        .keep_alive_timeout(HEAD_TIMEOUT);
    builder
}
