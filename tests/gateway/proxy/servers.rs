//! Hand-written servers, over TCP and over TLS.

use super::SignedIn;
use crate::harness::SiteBuilder;
use gateway_routes::Route;
use gateway_standins::redis::Certificates;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Plain,
    Tls,
}

pub(super) const TRANSPORTS: [Transport; 2] = [Transport::Plain, Transport::Tls];

/// Accepted connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Listener on loopback, over TLS with its own certificate authority.
pub(super) struct Listener {
    tcp: TcpListener,
    certificates: Option<Certificates>,
}

impl Listener {
    pub(super) async fn bind(transport: Transport) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let certificates = (transport == Transport::Tls).then(|| Certificates::make().unwrap());
        Self { tcp, certificates }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.tcp.local_addr().unwrap()
    }

    /// Accepts the next connection; failed handshakes are skipped.
    pub(super) async fn accept(&self) -> Box<dyn Duplex> {
        loop {
            let (stream, _) = self.tcp.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let Some(certificates) = &self.certificates else { return Box::new(stream) };
            if let Ok(stream) = certificates.acceptor().accept(stream).await {
                return Box::new(stream);
            }
        }
    }

    /// CA file of its authority, if any.
    pub(super) fn ca_file(&self) -> Option<&'static str> {
        self.certificates.as_ref().map(|certificates| &*certificates.path("ca.pem").leak())
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// Signs alice in to a gateway that routes `/mcp/raw/` here.
    pub(super) async fn signed_in(&self) -> SignedIn {
        self.signed_in_with(|route| route).await
    }

    /// Signs alice in to a gateway whose route `/mcp/raw/` is changed like this.
    pub(super) async fn signed_in_with(&self, change: impl FnOnce(Route) -> Route) -> SignedIn {
        let (url, ca_file) = (self.url(), self.ca_file());
        let trusting = |route| change(Route { ca_file, ..route });
        SignedIn::start(|site: SiteBuilder| site.route("/mcp/raw/", &url, trusting)).await
    }
}
