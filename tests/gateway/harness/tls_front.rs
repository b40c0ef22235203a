//! TLS in front of a gateway, which then has an https origin.

use super::World;
use gateway_standins::redis::Certificates;
use std::net::Ipv4Addr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A server that terminates TLS for one gateway, for as long as this lives.
pub(crate) struct TlsFront {
    certificates: Certificates,
    task: JoinHandle<()>,
}

impl World {
    /// Moves this world to an https origin.
    pub(crate) async fn behind_tls(mut self) -> (Self, TlsFront) {
        let certificates = Certificates::make().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        self.base_url = format!("https://{}", listener.local_addr().unwrap());
        self.okta.add_redirect_uri(&self.url("/auth/callback"));
        let task = tokio::spawn(accept(listener, certificates.acceptor(), self.port));
        self.restart().await;
        (self, TlsFront { certificates, task })
    }
}

impl TlsFront {
    /// The PEM file of the certificate authority that clients must trust.
    pub(crate) fn ca_file(&self) -> String {
        self.certificates.path("ca.pem")
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Terminates TLS in front of this port.
pub(super) async fn accept(listener: TcpListener, acceptor: TlsAcceptor, port: u16) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(mut client) = acceptor.accept(stream).await else { return };
            let Ok(mut gateway) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
            // Either side may close without a close_notify.
            let _ = copy_bidirectional(&mut client, &mut gateway).await;
        });
    }
}
