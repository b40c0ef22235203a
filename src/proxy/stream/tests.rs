use super::*;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection};
use socket2::SockRef;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream as Socket};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsConnector;

/// TLS server that sends nothing on its own, not even session tickets.
pub(in crate::proxy) struct Server {
    socket: Socket,
    session: ServerConnection,
}

impl Server {
    /// Encrypts this data, or a key update for `None`.
    fn records(&mut self, data: Option<&[u8]>) -> Vec<u8> {
        match data {
            Some(data) => self.session.writer().write_all(data).unwrap(),
            None => self.session.refresh_traffic_keys().unwrap(),
        }
        let mut records = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut records).unwrap();
        }
        records
    }

    /// Resets the TCP connection.
    pub(in crate::proxy) fn reset(self) {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn send(&mut self, data: Option<&[u8]>) {
        let records = self.records(data);
        self.socket.write_all(&records).unwrap();
    }
}

fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let server = ServerConfig::builder().with_no_client_auth();
    let mut server = server.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    server.send_tls13_tickets = 0;
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Connects a TLS stream to a server that reads nothing.
pub(in crate::proxy) async fn tls_pair() -> (Stream, Server) {
    let (server, client) = configs();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        let mut session = ServerConnection::new(server).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut socket).unwrap();
        }
        Server { socket, session }
    });
    let socket = Records::new(TcpStream::connect(address).await.unwrap());
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(client).connect(name, socket).await.unwrap();
    (Stream::Tls(Box::new(stream)), accepted.join().unwrap())
}

async fn plain_pair() -> (Stream, Socket) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (Stream::Plain(near), listener.accept().unwrap().0)
}

#[tokio::test]
async fn a_connection_is_not_idle_after_received_data_or_close_even_before_the_runtime_notices() {
    let (mut near, mut far) = plain_pair().await;
    assert!(near.is_idle());
    far.write_all(b"x").unwrap();
    // Without an await the runtime does not poll for events.
    while near.is_idle() {
        std::thread::yield_now();
    }
    let (mut near, far) = plain_pair().await;
    drop(far);
    while near.is_idle() {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn only_tls_handshake_messages_leave_a_connection_idle() {
    let (mut near, mut server) = tls_pair().await;
    server.send(None);
    near.settle().await.unwrap();
    assert!(near.is_idle() && near.is_drained());
    server.send(Some(b"evil"));
    while near.is_idle() {
        std::thread::yield_now();
    }
    assert!(!near.is_drained() && near.settle().await.is_err());
    let (mut near, mut server) = tls_pair().await;
    server.session.send_close_notify();
    server.send(Some(b""));
    while near.is_idle() {
        std::thread::yield_now();
    }
    assert!(!near.is_drained());
}

#[tokio::test]
async fn a_connection_with_data_buffered_in_tls_is_not_reusable() {
    let (mut near, mut server) = tls_pair().await;
    server.send(Some(b"okokokevil"));
    near.read_exact(&mut [0; 6]).await.unwrap();
    assert!(!near.is_drained() && !near.is_idle());
    near.read_exact(&mut [0; 4]).await.unwrap();
    assert!(near.is_drained() && near.is_idle());
}

#[tokio::test]
async fn an_incomplete_record_makes_a_connection_unusable_and_a_new_one_waits_for_the_rest() {
    for data in [Some(&b"evil"[..]), None] {
        let (mut near, mut server) = tls_pair().await;
        let records = server.records(data);
        let (head, end) = records.split_at(3);
        server.socket.write_all(head).unwrap();
        while near.is_idle() {
            std::thread::yield_now();
        }
        assert!(!near.is_drained());
        let mut settling = Box::pin(near.settle());
        let polled = poll_fn(|context| Poll::Ready(settling.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        server.socket.write_all(end).unwrap();
        assert_eq!(settling.await.is_ok(), data.is_none(), "{data:?}");
    }
}

#[tokio::test]
async fn a_connection_with_too_many_tls_messages_is_not_idle() {
    let (mut near, mut server) = tls_pair().await;
    // More than MAX_IDLE_READS take.
    for _ in 0..4_000 {
        server.send(None);
    }
    let is_rejected = (0..1_000).any(|_| {
        std::thread::yield_now();
        !near.is_idle()
    });
    assert!(is_rejected);
}
