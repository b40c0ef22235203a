//! Event stream without events, to measure when the server notices that the client has disconnected.

use parking_lot::Mutex;
use std::io;
use std::time::Instant;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;

static CLOSED: Notify = Notify::const_new();
static CLOSED_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// Waits until the candidate closes the stream and records the time.
pub(super) async fn wait(stream: &mut TcpStream) -> io::Result<()> {
    let ended = stream.read_u8().await;
    *CLOSED_AT.lock() = Some(Instant::now());
    CLOSED.notify_one();
    ended.map(drop)
}

/// Waits until the next silent stream is closed; returns the time.
pub(crate) async fn closed() -> Instant {
    loop {
        CLOSED.notified().await;
        if let Some(at) = CLOSED_AT.lock().take() {
            return at;
        }
    }
}
