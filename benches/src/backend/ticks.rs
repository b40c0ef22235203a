//! Event stream whose events contain the time of sending.

use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// Reference time of the events.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);
static STREAMS: AtomicU32 = AtomicU32::new(0);

/// Event with its number and time of sending.
pub(crate) struct Tick {
    pub(crate) number: u64,
    sent: Duration,
}

impl Tick {
    /// Parses the first complete event in `read`; returns it with its end offset.
    pub(crate) fn find(read: &[u8]) -> Option<(Self, usize)> {
        let begin = position(read, b"data: ")? + 6;
        let end = begin + position(&read[begin..], b"\n\n")?;
        let (number, sent) = std::str::from_utf8(&read[begin..end]).ok()?.split_once(' ')?;
        let sent = Duration::from_nanos(sent.parse().ok()?);
        Some((Self { number: number.parse().ok()?, sent }, end + 2))
    }

    /// Time since the event was sent.
    pub(crate) fn age(&self) -> Duration {
        START.elapsed().saturating_sub(self.sent)
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Sends an event at once and then periodically, with another phase than all other streams.
pub(super) async fn send(stream: &mut TcpStream, period: Duration) -> io::Result<()> {
    let index = STREAMS.fetch_add(1, Ordering::Relaxed);
    // Multiples of the golden ratio are evenly distributed.
    let phase = period.mul_f64((f64::from(index) * 0.618_033_988_75).fract());
    let mut number = 0;
    loop {
        let data = format!("data: {number} {}\n\n", START.elapsed().as_nanos());
        stream.write_all(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes()).await?;
        tokio::time::sleep(if number == 0 { phase } else { period }).await;
        number += 1;
    }
}
