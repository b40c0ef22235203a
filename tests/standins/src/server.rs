//! Accept loop of the stand-ins. Dropping its handle closes the connections as well as the listener.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Server on 127.0.0.1. Dropping it closes the port and every connection.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// Bound port that does not serve yet, so that its address can be used in the configuration of the server.
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Binds 127.0.0.1 at `port`; 0 selects a free one.
    pub(crate) async fn to(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Origin, without a trailing slash.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves `router` from now on.
    pub(crate) fn serve(self, router: Router) -> Server {
        Server { address: self.address, task: tokio::spawn(accept(self.listener, router)) }
    }
}

impl Server {
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server; then the port is free again.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        let _ended = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, router: Router) {
    // Owned by this task: aborting it drops the set, which aborts every connection.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.spawn(connection(stream, router.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let _ignored = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    // A disconnected client is not an error here; the handlers count aborted exchanges.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
