//! A longer way to a server, which can be made as slow as a test needs it, and lose a response.

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

/// How many pieces may be on the way in one direction.
const ON_THE_WAY: usize = 1024;
const MAX_READ_BYTES: usize = 16 * 1024;
/// How a client of Redis asks for a script to be run.
const SCRIPT: &[u8] = b"\r\nEVAL\r\n";

/// Passes on what comes to its port, and the answers; it ends when this is dropped.
pub struct Detour {
    port: u16,
    way: Arc<Way>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Way {
    millis: AtomicU64,
    round_trips: AtomicU64,
    loss: Arc<AtomicBool>,
}

impl Detour {
    /// A way to this server, `host:port`, as quick as it gets at first.
    pub async fn to(server: &str) -> io::Result<Self> {
        Self::start(server, Arc::default()).await
    }

    async fn start(server: &str, loss: Arc<AtomicBool>) -> io::Result<Self> {
        let server: SocketAddr = server.parse().map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let way = Arc::new(Way { loss, ..Way::default() });
        let task = tokio::spawn(accept(listener, server, Arc::clone(&way)));
        Ok(Self { port, way, task })
    }

    /// Its own `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on each piece takes so long in each direction, connections that are open included.
    pub fn takes(&self, time: Duration) {
        self.way.millis.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Its own port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A way that loses the next response of Redis to a script, with the connection that it came on, whenever `loss` is
    /// set, which that clears: of several ways with the same one, one loses a response. What replicas are told passes.
    pub async fn losing(server: &str, loss: &Arc<AtomicBool>) -> io::Result<Self> {
        Self::start(server, Arc::clone(loss)).await
    }

    /// How often something was asked after the last answer, on all connections together.
    pub fn round_trips(&self) -> u64 {
        self.way.round_trips.load(Ordering::SeqCst)
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, way: Arc<Way>) {
    let mut open = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        open.spawn(join(client, server, Arc::clone(&way)));
    }
}

async fn join(client: TcpStream, server: SocketAddr, way: Arc<Way>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let said = Arc::new(Said::default());
    let there = pass_on((from_client, to_server), (Arc::clone(&way), true, Arc::clone(&said)));
    let back = pass_on((from_server, to_client), (way, false, said));
    let (mut there, mut back) = (pin!(there), pin!(back));
    tokio::select! {
        way_back = &mut back => {
            if way_back == End::Ended {
                there.await;
            }
        }
        _ = &mut there => {
            back.await;
        }
    }
}

/// What was said last on a connection.
#[derive(Default)]
struct Said {
    by_client: AtomicBool,
    is_script: AtomicBool,
}

/// How one direction ended.
#[derive(PartialEq, Eq)]
enum End {
    Ended,
    /// A response was lost, and the connection is to be closed.
    Lost,
}

/// One direction.
async fn pass_on(
    (mut from, mut to): (OwnedReadHalf, OwnedWriteHalf),
    (way, is_client, said): (Arc<Way>, bool, Arc<Said>),
) -> End {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let reading = async {
        let mut piece = vec![0; MAX_READ_BYTES];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            if said.by_client.swap(is_client, Ordering::SeqCst) != is_client && is_client {
                way.round_trips.fetch_add(1, Ordering::SeqCst);
            }
            let is_script = piece[..length].windows(SCRIPT.len()).any(|word| word == SCRIPT);
            let asked_script = said.is_script.swap(is_client && is_script, Ordering::SeqCst);
            if !is_client && asked_script && way.loss.swap(false, Ordering::SeqCst) {
                return End::Lost;
            }
            let arrives = Instant::now() + Duration::from_millis(way.millis.load(Ordering::SeqCst));
            if sender.send((arrives, piece[..length].to_vec())).await.is_err() {
                break;
            }
        }
        drop(sender);
        End::Ended
    };
    let writing = async {
        while let Some((arrives, piece)) = pieces.recv().await {
            tokio::time::sleep_until(arrives.into()).await;
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
        // The other side learns of the end this way; it may be gone already.
        let _ = to.shutdown().await;
    };
    let (mut reading, mut writing) = (pin!(reading), pin!(writing));
    tokio::select! {
        end = &mut reading => {
            if end == End::Ended {
                writing.await;
            }
            end
        }
        () = &mut writing => End::Ended,
    }
}
