//! TCP proxy in front of a server that can delay data and lose a response.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

/// Maximum number of chunks in flight per direction.
const MAX_CHUNKS_IN_FLIGHT: usize = 1024;
const MAX_READ_BYTES: usize = 16 * 1024;
/// Part of each Redis command that runs a script.
const SCRIPT: &str = "\r\nEVAL\r\n";

/// TCP proxy on a loopback port, stopped on drop.
pub struct TcpProxy {
    port: u16,
    link: Arc<Link>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Link {
    millis: AtomicU64,
    round_trips: AtomicU64,
    loss: Arc<AtomicBool>,
    /// Part of the commands whose response may be lost.
    lossy: &'static str,
}

impl TcpProxy {
    /// Starts a proxy to this server, `host:port`, without delay.
    pub async fn start(server: &str) -> io::Result<Self> {
        Self::listen(server, Arc::default(), SCRIPT).await
    }

    async fn listen(server: &str, loss: Arc<AtomicBool>, lossy: &'static str) -> io::Result<Self> {
        let server: SocketAddr = server.parse().map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let link = Arc::new(Link { loss, lossy, ..Link::default() });
        let task = tokio::spawn(accept(listener, server, Arc::clone(&link)));
        Ok(Self { port, link, task })
    }

    /// Its `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Delays each chunk by this time in each direction, also on open connections.
    pub fn set_delay(&self, time: Duration) {
        self.link.millis.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts a proxy that, whenever `loss` is set, drops the next response of Redis to a script, closes that
    /// connection, and clears `loss`. Of several proxies with the same `loss`, one drops a response. Replication is
    /// not affected.
    pub async fn start_losing(server: &str, loss: &Arc<AtomicBool>) -> io::Result<Self> {
        Self::listen(server, Arc::clone(loss), SCRIPT).await
    }

    /// The same for a script that contains this text.
    pub async fn start_losing_script(
        server: &str,
        loss: &Arc<AtomicBool>,
        part: &'static str,
    ) -> io::Result<Self> {
        Self::listen(server, Arc::clone(loss), part).await
    }

    /// Number of times that a client sent data after a response, over all connections.
    pub fn round_trips(&self) -> u64 {
        self.link.round_trips.load(Ordering::SeqCst)
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, link: Arc<Link>) {
    let mut open = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        open.spawn(proxy_connection(client, server, Arc::clone(&link)));
    }
}

async fn proxy_connection(client: TcpStream, server: SocketAddr, link: Arc<Link>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let last_sent = LastSent::default();
    let direction = |is_client| Direction { link: &link, is_client, last_sent: &last_sent };
    let requests = forward(from_client, to_server, direction(true));
    let responses = forward(from_server, to_client, direction(false));
    let (mut requests, mut responses) = (pin!(requests), pin!(responses));
    tokio::select! {
        response_end = &mut responses => {
            if response_end == End::Closed {
                requests.await;
            }
        }
        _ = &mut requests => {
            responses.await;
        }
    }
}

/// Direction and kind of the last data on a connection.
#[derive(Default)]
struct LastSent {
    by_client: AtomicBool,
    is_script: AtomicBool,
}

/// End of one direction.
#[derive(PartialEq, Eq)]
enum End {
    Closed,
    /// A response was dropped; the connection must be closed.
    Lost,
}

/// One direction of a connection.
#[derive(Clone, Copy)]
struct Direction<'a> {
    link: &'a Link,
    is_client: bool,
    last_sent: &'a LastSent,
}

/// Forwards one direction.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, direction: Direction<'_>) -> End {
    let Direction { link, is_client, last_sent } = direction;
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(MAX_CHUNKS_IN_FLIGHT);
    let reading = async {
        let mut chunk = vec![0; MAX_READ_BYTES];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            if last_sent.by_client.swap(is_client, Ordering::SeqCst) != is_client && is_client {
                link.round_trips.fetch_add(1, Ordering::SeqCst);
            }
            let is_script = contains(&chunk[..length], link.lossy);
            let was_script = last_sent.is_script.swap(is_client && is_script, Ordering::SeqCst);
            if !is_client && was_script && link.loss.swap(false, Ordering::SeqCst) {
                return End::Lost;
            }
            let due_at = Instant::now() + Duration::from_millis(link.millis.load(Ordering::SeqCst));
            if sender.send((due_at, chunk[..length].to_vec())).await.is_err() {
                break;
            }
        }
        drop(sender);
        End::Closed
    };
    let writing = async {
        while let Some((due_at, chunk)) = chunks.recv().await {
            tokio::time::sleep_until(due_at.into()).await;
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        // Signals the end to the other side, which may be closed already.
        let _ = to.shutdown().await;
    };
    let (mut reading, mut writing) = (pin!(reading), pin!(writing));
    tokio::select! {
        end = &mut reading => {
            if end == End::Closed {
                writing.await;
            }
            end
        }
        () = &mut writing => End::Closed,
    }
}

fn contains(data: &[u8], part: &str) -> bool {
    !part.is_empty() && data.windows(part.len()).any(|word| word == part.as_bytes())
}
