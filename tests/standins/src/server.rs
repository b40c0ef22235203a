//! The accept loop under every stand-in: dropping its handle cuts the connections, not only the listener.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A server on 127.0.0.1; dropping it closes the port and every connection.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// A port that is bound but does not answer yet: its address goes into what will answer.
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Binds 127.0.0.1 at `port`; 0 picks a free one.
    pub(crate) async fn to(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The origin, without a trailing slash.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers with `router` from now on.
    pub(crate) fn serve(self, router: Router) -> Server {
        Server { address: self.address, task: tokio::spawn(accept(self.listener, router)) }
    }
}

impl Server {
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops and returns when the port is free again.
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
    // A peer that went away is not this server's concern; what a test wants to see, the handlers count.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
