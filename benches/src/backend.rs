//! Upstream server of all candidates. It must be faster than they are, and therefore supports only the HTTP/1.1 that
//! they send.
//!
//! | path | response |
//! |---|---|
//! | `/bytes/4096` | this number of bytes of JSON |
//! | `/up` | 200 once the body is read |
//! | `/check` | 200 without a body, for nginx's `auth_request` |
//! | `/events/1000` | this number of server-sent events, one write each |
//! | `/ticks/1000` | an event with its time of sending, every 1000 milliseconds |
//! | `/silent` | an event stream without events, until the candidate closes it |

mod silent;
mod ticks;

pub(crate) use silent::closed;
pub(crate) use ticks::Tick;

use crate::Outcome;
use std::fmt::Write as _;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// TCP port, as in `benches/site.yaml`.
pub(crate) const PORT: u16 = 18480;
const EVENT_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n\
                          transfer-encoding: chunked\r\n\r\n";

/// Server with prepared responses.
struct Backend {
    prepared: Vec<(String, Vec<u8>)>,
}

/// Relevant parts of a request head.
struct RequestHead {
    path: String,
    /// Length of the head, in bytes.
    length: usize,
    body: BodyLength,
}

enum BodyLength {
    Known(usize),
    Chunked,
}

/// Starts the server; must be called inside a `LocalSet`.
pub(crate) async fn start() -> Outcome<()> {
    let listener = TcpListener::bind(("127.0.0.1", PORT)).await;
    let listener = listener.map_err(|error| format!("the backend's port {PORT}: {error}"))?;
    let prepared = [256, 4096, 64 * 1024, 1024 * 1024].map(|bytes| (format!("/bytes/{bytes}"), json(bytes)));
    let empty = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
    let fixed = [("/up".to_owned(), empty.clone()), ("/check".to_owned(), empty)];
    let backend = Rc::new(Backend { prepared: prepared.into_iter().chain(fixed).collect() });
    tokio::task::spawn_local(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let backend = Rc::clone(&backend);
            // A candidate may close a connection at any time.
            tokio::task::spawn_local(async move { backend.serve(stream).await.ok() });
        }
    });
    Ok(())
}

fn json(bytes: usize) -> Vec<u8> {
    let frame = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"text\":\"\"}}".len();
    let text = "x".repeat(bytes - frame);
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"text\":\"{text}\"}}}}");
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n{body}")
        .into()
}

impl Backend {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut read = Vec::with_capacity(64 * 1024);
        loop {
            let head = loop {
                if let Some(head) = RequestHead::parse(&read) {
                    break head;
                }
                if stream.read_buf(&mut read).await? == 0 {
                    return Ok(());
                }
            };
            read.drain(..head.length);
            head.body.skip(&mut stream, &mut read).await?;
            self.respond(&mut stream, &head.path).await?;
        }
    }

    async fn respond(&self, stream: &mut TcpStream, path: &str) -> io::Result<()> {
        if let Some((_, response)) = self.prepared.iter().find(|(known, _)| known == path) {
            return stream.write_all(response).await;
        }
        if let Some(events) = path.strip_prefix("/events/").and_then(|events| events.parse().ok()) {
            return send_events(stream, events).await;
        }
        if let Some(every) = path.strip_prefix("/ticks/").and_then(|every| every.parse().ok()) {
            stream.write_all(EVENT_HEAD.as_bytes()).await?;
            return ticks::send(stream, Duration::from_millis(every)).await;
        }
        if path == "/silent" {
            stream.write_all(EVENT_HEAD.as_bytes()).await?;
            return silent::wait(stream).await;
        }
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await
    }
}

async fn send_events(stream: &mut TcpStream, events: u32) -> io::Result<()> {
    stream.write_all(EVENT_HEAD.as_bytes()).await?;
    for number in 0..events {
        stream.write_all(event(number).as_bytes()).await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}

/// Formats an event as one chunk.
fn event(number: u32) -> String {
    let data =
        format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"n\":{number}}}\n\n");
    let mut chunk = String::with_capacity(data.len() + 8);
    let _ = write!(chunk, "{:x}\r\n{data}\r\n", data.len());
    chunk
}

impl RequestHead {
    /// Parses a complete head at the start of `read`.
    fn parse(read: &[u8]) -> Option<Self> {
        let length = read.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&read[..length]);
        let mut lines = text.lines();
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let mut body = BodyLength::Known(0);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                body = BodyLength::Known(value.trim().parse().ok()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                body = BodyLength::Chunked;
            }
        }
        Some(Self { path, length, body })
    }
}

impl BodyLength {
    /// Skips a body whose first part is in `read`.
    async fn skip(self, stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Known(mut left) => loop {
                let buffered = left.min(read.len());
                read.drain(..buffered);
                left -= buffered;
                if left == 0 {
                    return Ok(());
                }
                read_more(stream, read).await?;
            },
            // Candidates do not pipeline requests: the last chunk is at the end of the buffer.
            Self::Chunked => {
                while !read.ends_with(b"0\r\n\r\n") {
                    let kept = read.len().saturating_sub(5);
                    read.drain(..kept);
                    read_more(stream, read).await?;
                }
                read.clear();
                Ok(())
            }
        }
    }
}

async fn read_more(stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<()> {
    if stream.read_buf(read).await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}
