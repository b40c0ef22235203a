//! HTTP proxy for CONNECT (RFC 9110 §9.3.6), which resolves every host to one address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Proxy on 127.0.0.1, stopped on drop. It connects to 127.0.0.1 at the port of the request.
pub struct ConnectProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    credentials: Mutex<Option<String>>,
    refusal: Mutex<Option<u16>>,
    targets: Mutex<Vec<String>>,
}

impl ConnectProxy {
    /// Starts a proxy on a free port that needs no credentials.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Socket address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Origin.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requires this user and password: 407 without them.
    pub fn require(&self, username: &str, password: &str) {
        *self.shared.credentials.lock() = Some(STANDARD.encode(format!("{username}:{password}")));
    }

    /// Responds to every CONNECT with this status; `None` ends it.
    pub fn refuse(&self, status: Option<u16>) {
        *self.shared.refusal.lock() = status;
    }

    /// Returns and clears the `host:port` of each accepted or refused CONNECT so far.
    pub fn take_targets(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.targets.lock())
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // A client that disconnects is not an error here.
            let _ended = connection(stream, &shared).await;
        });
    }
}

async fn connection(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let head = read_head(&mut client).await?;
    let mut words = head.split_whitespace();
    let (Some("CONNECT"), Some(target)) = (words.next(), words.next()) else {
        return client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n").await;
    };
    shared.targets.lock().push(target.to_owned());
    let given = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim_start_matches("Basic "))
    });
    let required = shared.credentials.lock().clone();
    let refusal = *shared.refusal.lock();
    let status = if required.is_some() && required.as_deref() != given { Some(407) } else { refusal };
    if let Some(status) = status {
        let response = format!("HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n");
        return client.write_all(response.as_bytes()).await;
    }
    let port = target.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default();
    let mut server = TcpStream::connect((IpAddr::from(Ipv4Addr::LOCALHOST), port)).await?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Reads a request head byte by byte, so that nothing of what follows is read.
async fn read_head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD_BYTES {
        head.push(client.read_u8().await?);
    }
    String::from_utf8(head).map_err(io::Error::other)
}
