//! Open event streams: what an idle one holds, and how late an event arrives.

use crate::backend::{self, Tick};
use crate::compare::Servers;
use crate::gateway::MCP_PATH;
use crate::nginx::Nginx;
use crate::process::Process;
use crate::statistics::percentile;
use crate::{Outcome, say};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A stream counts as idle with an event a minute.
const SELDOM: Duration = Duration::from_mins(1);
const OFTEN: Duration = Duration::from_secs(1);
/// How many streams, and for how long, when it is about latency.
const LIVELY: usize = 1000;
const LIVELY_FOR: Duration = Duration::from_secs(15);
/// How many clients leave.
const CANCELLED: usize = 1000;

/// Who carries the streams; nobody is the backend itself.
struct Carrier<'a> {
    name: &'static str,
    address: String,
    path: &'static str,
    process: Option<&'a Process>,
}

/// Memory and CPU of `count` idle streams, all of them still alive and in order at the end.
pub(crate) async fn idle(servers: &Servers, count: usize, rest: Duration) -> Outcome<String> {
    let mut table = format!(
        "\n### {count} idle event streams for {} s\n\n| | resident KiB a stream | CPU ms a second |\n|---|--:|--:|\n",
        rest.as_secs()
    );
    for carrier in &carriers(servers)[1..] {
        let process = carrier.process.ok_or("only a process has memory")?;
        let before = process.resident_kib()?;
        let streams = Streams::open(carrier, &servers.quiet.token, (count, SELDOM)).await?;
        let (used, since) = (process.cpu_time()?, Instant::now());
        tokio::time::sleep(rest).await;
        let used = (process.cpu_time()?.saturating_sub(used)).as_secs_f64() / since.elapsed().as_secs_f64();
        let each = (process.resident_kib()? - before) / f64::from(u32::try_from(count)?);
        streams.close()?;
        writeln!(table, "| {} | {each:.1} | {:.1} |", carrier.name, used * 1e3)?;
    }
    say(&table);
    Ok(table)
}

/// How late an event arrives, with an event a second on each of a thousand streams, none in step with another.
pub(crate) async fn latency(servers: &Servers, rounds: usize) -> Outcome<String> {
    let mut table = format!(
        "\n### An event a second on each of {LIVELY} streams\n\n| | p50 µs | p99 µs | most µs |\n|---|--:|--:|--:|\n"
    );
    let carriers = carriers(servers);
    let mut late = vec![Vec::new(); carriers.len()];
    for _ in 0..rounds {
        for (carrier, late) in carriers.iter().zip(&mut late) {
            let streams = Streams::open(carrier, &servers.quiet.token, (LIVELY, OFTEN)).await?;
            streams.forget();
            tokio::time::sleep(LIVELY_FOR).await;
            late.extend(streams.close()?);
        }
    }
    for (carrier, late) in carriers.iter().zip(&mut late) {
        let [p50, p99, most] = [50, 99, 100].map(|of| percentile(late, of));
        writeln!(table, "| {} | {p50:.0} | {p99:.0} | {most:.0} |", carrier.name)?;
    }
    say(&table);
    Ok(table)
}

/// How long a server goes on working for a client that has left, one stream after the other.
pub(crate) async fn cancellation(servers: &Servers) -> Outcome<String> {
    let mut table =
        "\n### A client leaves a silent stream: until its server knows\n\n| | p50 µs | p99 µs | most µs |\n|---|--:|--:|--:|\n"
            .to_owned();
    for carrier in carriers(servers) {
        let request = carrier.request("silent", &servers.quiet.token);
        let mut late = Vec::new();
        for _ in 0..CANCELLED {
            let mut client = TcpStream::connect(&carrier.address).await?;
            client.write_all(request.as_bytes()).await?;
            if client.read(&mut [0; 4096]).await? == 0 {
                return Err(format!("{} closed a silent stream", carrier.name).into());
            }
            let left = Instant::now();
            drop(client);
            let closed = tokio::time::timeout(OFTEN, backend::closed()).await;
            let closed = closed.map_err(|_| format!("{} keeps what its client has left", carrier.name))?;
            late.push((closed - left).as_secs_f64() * 1e6);
        }
        let [p50, p99, most] = [50, 99, 100].map(|of| percentile(&mut late, of));
        writeln!(table, "| {} | {p50:.0} | {p99:.0} | {most:.0} |", carrier.name)?;
    }
    say(&table);
    Ok(table)
}

fn carriers(servers: &Servers) -> [Carrier<'_>; 3] {
    [
        Carrier {
            name: "no proxy",
            address: format!("127.0.0.1:{}", backend::PORT),
            path: "",
            process: None,
        },
        Carrier {
            name: "nginx, unbuffered",
            address: servers.nginx.address(Nginx::Unbuffered),
            path: MCP_PATH,
            process: Some(&servers.nginx.process),
        },
        Carrier {
            name: "gateway",
            address: servers.quiet.gateway.address.clone(),
            path: MCP_PATH,
            process: Some(&servers.quiet.gateway.process),
        },
    ]
}

impl Carrier<'_> {
    fn request(&self, what: &str, token: &str) -> String {
        format!(
            "GET {}/{what} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n",
            self.path, self.address
        )
    }
}

/// Clients that listen; all end when this is dropped.
struct Streams {
    clients: JoinSet<Outcome<()>>,
    /// How late events were, in microseconds.
    late: Rc<RefCell<Vec<f64>>>,
}

impl Streams {
    /// Opens so many, one after the other, with an event every so often; returns when all have their first event.
    async fn open(carrier: &Carrier<'_>, token: &str, (count, every): (usize, Duration)) -> Outcome<Self> {
        let mut streams = Self { clients: JoinSet::new(), late: Rc::default() };
        let request = carrier.request(&format!("ticks/{}", every.as_millis()), token);
        for _ in 0..count {
            let mut client = Listener::connect(&carrier.address, &request).await?;
            client.next().await?;
            let late = Rc::clone(&streams.late);
            streams.clients.spawn_local(async move {
                loop {
                    let how_late = client.next().await?;
                    late.borrow_mut().push(how_late);
                }
            });
        }
        Ok(streams)
    }

    /// Forgets how late events were so far.
    fn forget(&self) {
        self.late.borrow_mut().clear();
    }

    /// Ends all; an error when one had ended before, or had lost an event.
    fn close(mut self) -> Outcome<Vec<f64>> {
        if let Some(ended) = self.clients.try_join_next() {
            return Err(format!("a stream ended: {ended:?}").into());
        }
        Ok(self.late.take())
    }
}

/// One stream.
struct Listener {
    stream: TcpStream,
    read: Vec<u8>,
    next: u64,
}

impl Listener {
    async fn connect(address: &str, request: &str) -> Outcome<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        Ok(Self { stream, read: Vec::new(), next: 0 })
    }

    /// Waits for the next event; how late it was, in microseconds.
    async fn next(&mut self) -> Outcome<f64> {
        loop {
            if let Some((tick, end)) = Tick::find(&self.read) {
                let late = tick.age();
                self.read.drain(..end);
                if tick.number != self.next {
                    return Err(format!("event {} came instead of {}", tick.number, self.next).into());
                }
                self.next += 1;
                return Ok(late.as_secs_f64() * 1e6);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the stream was closed".into());
            }
            let refused = self.next == 0 && !self.read.starts_with(b"HTTP/1.1 200 ");
            if refused {
                return Err(String::from_utf8_lossy(&self.read).into());
            }
        }
    }
}
