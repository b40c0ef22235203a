//! Server on loopback that sends given bytes at given times, over TCP or TLS.

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

/// Larger than everything that is sent at once.
const SEND_BUFFER: usize = 256 * 1024;

/// Self-signed certificate of the servers.
pub(super) struct TestCertificate {
    pub(super) config: Arc<ServerConfig>,
    pub(super) roots: RootCertStore,
}

impl TestCertificate {
    pub(super) fn new() -> Self {
        // Fails only if one is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let mut config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        // Allows data before the client's first request.
        config.send_half_rtt_data = true;
        Self { config: Arc::new(config), roots }
    }
}

/// Connection to the server.
pub(super) struct Connection {
    socket: TcpStream,
    tls: Option<ServerConnection>,
    /// Bytes received from the client.
    seen: Vec<u8>,
    /// Number of bytes sent to the client, before encryption.
    pub(super) sent: usize,
    pending: Vec<u8>,
}

impl Connection {
    /// Accepts the next connection, if any, and sends these bytes at once.
    pub(super) fn accept(
        listener: &TcpListener,
        tls: Option<&Arc<ServerConfig>>,
        early: &[u8],
    ) -> Option<Self> {
        let (socket, _) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("{error}"),
        };
        socket.set_nonblocking(true).unwrap();
        socket.set_nodelay(true).unwrap();
        SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER).unwrap();
        let tls = tls.map(|config| ServerConnection::new(Arc::clone(config)).unwrap());
        let mut accepted = Self { socket, tls, seen: Vec::new(), sent: 0, pending: Vec::new() };
        accepted.send(early);
        Some(accepted)
    }

    /// Reads from the client and completes the TLS handshake.
    pub(super) fn pump(&mut self) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let Some(tls) = &mut self.tls else {
                // A disconnected client is not an error.
                let Ok(length @ 1..) = self.socket.read(&mut buffer) else { return };
                self.seen.extend_from_slice(&buffer[..length]);
                continue;
            };
            let read = tls.read_tls(&mut self.socket);
            let is_over = tls.process_new_packets().is_err() || !matches!(read, Ok(1..));
            while let Ok(length @ 1..) = tls.reader().read(&mut buffer) {
                self.seen.extend_from_slice(&buffer[..length]);
            }
            // Delayed bytes are sent first.
            if self.pending.is_empty() {
                self.flush();
            }
            if is_over {
                return;
            }
        }
    }

    /// Number of requests received; they have no bodies.
    pub(super) fn requests(&self) -> usize {
        self.seen.windows(4).filter(|end| end == b"\r\n\r\n").count()
    }

    /// Sends these bytes, in one TLS record if they fit.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.sent += bytes.len();
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes).unwrap(),
            None => self.pending.extend_from_slice(bytes),
        }
        self.flush();
    }

    /// Sends all but the last byte, or all but the last byte of the TLS record.
    pub(super) fn send_without_last_byte(&mut self, bytes: &[u8]) {
        if bytes.len() < 2 {
            return self.send(bytes);
        }
        self.sent += bytes.len();
        match &mut self.tls {
            Some(tls) => {
                tls.writer().write_all(bytes).unwrap();
                while tls.wants_write() {
                    tls.write_tls(&mut self.pending).unwrap();
                }
            }
            None => self.pending.extend_from_slice(bytes),
        }
        let rest = self.pending.split_off(self.pending.len().saturating_sub(1));
        self.write_pending();
        self.pending = rest;
    }

    /// Sends all pending bytes.
    pub(super) fn flush(&mut self) {
        self.write_pending();
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            if tls.write_tls(&mut self.socket).is_err() {
                return;
            }
        }
    }

    fn write_pending(&mut self) {
        // Fails if the client has disconnected.
        let _ = self.socket.write_all(&self.pending);
        self.pending.clear();
    }
}

/// Both ends of one connection.
pub(super) struct Barrier(TcpStream, TcpStream);

impl Barrier {
    pub(super) fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.set_nodelay(true).unwrap();
        Self(near, listener.accept().unwrap().0)
    }

    /// Returns when everything that was sent before on loopback has arrived: the kernel delivers in order.
    pub(super) fn wait(&self) {
        (&self.0).write_all(&[0]).unwrap();
        (&self.1).read_exact(&mut [0]).unwrap();
    }
}
