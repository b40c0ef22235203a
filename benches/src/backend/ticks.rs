//! Events that say when they were sent.

use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// What times are counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);
static STREAMS: AtomicU32 = AtomicU32::new(0);

/// One such event.
pub(crate) struct Tick {
    pub(crate) number: u64,
    sent: Duration,
}

impl Tick {
    /// The first whole event in `read`, and where it ends.
    pub(crate) fn find(read: &[u8]) -> Option<(Self, usize)> {
        let begin = position(read, b"data: ")? + 6;
        let end = begin + position(&read[begin..], b"\n\n")?;
        let (number, sent) = std::str::from_utf8(&read[begin..end]).ok()?.split_once(' ')?;
        let sent = Duration::from_nanos(sent.parse().ok()?);
        Some((Self { number: number.parse().ok()?, sent }, end + 2))
    }

    /// How long ago it was sent.
    pub(crate) fn age(&self) -> Duration {
        START.elapsed().saturating_sub(self.sent)
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// An event at once, then one every so often, out of step with all other streams.
pub(super) async fn send(stream: &mut TcpStream, every: Duration) -> io::Result<()> {
    let place = STREAMS.fetch_add(1, Ordering::Relaxed);
    // Steps of the golden ratio never meet.
    let phase = every.mul_f64((f64::from(place) * 0.618_033_988_75).fract());
    let mut number = 0;
    loop {
        let data = format!("data: {number} {}\n\n", START.elapsed().as_nanos());
        stream.write_all(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes()).await?;
        tokio::time::sleep(if number == 0 { phase } else { every }).await;
        number += 1;
    }
}
