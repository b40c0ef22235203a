//! A stream on which nothing is said: when does its server learn that nobody listens any more?

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;

static CLOSED: Notify = Notify::const_new();
static AT: Mutex<Option<Instant>> = Mutex::new(None);

/// Waits until the candidate closes the stream, and says when it did.
pub(super) async fn wait(stream: &mut TcpStream) -> io::Result<()> {
    let ended = stream.read_u8().await;
    *AT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    CLOSED.notify_one();
    ended.map(drop)
}

/// When a silent stream was closed; waits for the next one that is.
pub(crate) async fn closed() -> Instant {
    loop {
        CLOSED.notified().await;
        if let Some(at) = AT.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return at;
        }
    }
}
