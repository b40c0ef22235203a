//! Benchmarks of event streams: memory of idle streams, latency of events, and cancellation.

use crate::backend::{self, Tick};
use crate::gateway::MCP_PATH;
use crate::nginx::Nginx;
use crate::process::Process;
use crate::servers::Servers;
use crate::statistics::percentile;
use crate::{Outcome, print_line};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Period of events on an idle stream.
const IDLE_PERIOD: Duration = Duration::from_mins(1);
/// Period of events on a stream of the latency benchmark, and timeout of a cancellation.
const ACTIVE_PERIOD: Duration = Duration::from_secs(1);
/// Number of streams of the latency benchmark.
const ACTIVE_STREAMS: usize = 1000;
const ACTIVE_DURATION: Duration = Duration::from_secs(15);
/// Number of cancelled streams.
const CANCELLED_STREAMS: usize = 1000;

/// Proxy of the streams; without a process it is the backend itself.
struct Carrier<'a> {
    name: &'static str,
    address: String,
    path: &'static str,
    process: Option<&'a Process>,
}

/// Measures memory and CPU time of `count` idle streams, and checks that all stay open and in order.
pub(crate) async fn idle(servers: &Servers, count: usize, rest: Duration) -> Outcome<String> {
    let mut table = format!(
        "\n### {count} idle event streams for {} s\n\n| | resident KiB a stream | CPU ms a second |\n|---|--:|--:|\n",
        rest.as_secs()
    );
    for carrier in &carriers(servers)[1..] {
        let process = carrier.process.ok_or("only a process has memory")?;
        let before = process.resident_kib()?;
        let streams = Streams::open(carrier, &servers.quiet.token, count, IDLE_PERIOD).await?;
        let (used, since) = (process.cpu_time()?, Instant::now());
        tokio::time::sleep(rest).await;
        let used = (process.cpu_time()?.saturating_sub(used)).as_secs_f64() / since.elapsed().as_secs_f64();
        let each = (process.resident_kib()? - before) / f64::from(u32::try_from(count)?);
        streams.close()?;
        writeln!(table, "| {} | {each:.1} | {:.1} |", carrier.name, used * 1e3)?;
    }
    print_line(&table);
    Ok(table)
}

/// Measures the latency of events, with one event per second on each of a thousand streams at different phases.
pub(crate) async fn latency(servers: &Servers, rounds: usize) -> Outcome<String> {
    let mut table = format!(
        "\n### An event a second on each of {ACTIVE_STREAMS} streams\n\n| | p50 µs | p99 µs | max µs |\n|---|--:|--:|--:|\n"
    );
    let carriers = carriers(servers);
    let mut latencies = vec![Vec::new(); carriers.len()];
    for _ in 0..rounds {
        for (carrier, latencies) in carriers.iter().zip(&mut latencies) {
            let streams = Streams::open(carrier, &servers.quiet.token, ACTIVE_STREAMS, ACTIVE_PERIOD).await?;
            streams.discard_latencies();
            tokio::time::sleep(ACTIVE_DURATION).await;
            latencies.extend(streams.close()?);
        }
    }
    for (carrier, latencies) in carriers.iter().zip(&mut latencies) {
        let [p50, p99, most] = [50, 99, 100].map(|of| percentile(latencies, of));
        writeln!(table, "| {} | {p50:.0} | {p99:.0} | {most:.0} |", carrier.name)?;
    }
    print_line(&table);
    Ok(table)
}

/// Measures the time until the upstream connection is closed after a client has disconnected, one stream at a time.
pub(crate) async fn cancellation(servers: &Servers) -> Outcome<String> {
    let mut table =
        "\n### A client leaves a silent stream: until its server knows\n\n| | p50 µs | p99 µs | max µs |\n|---|--:|--:|--:|\n"
            .to_owned();
    for carrier in carriers(servers) {
        let request = carrier.request("silent", &servers.quiet.token);
        let mut latencies = Vec::new();
        for _ in 0..CANCELLED_STREAMS {
            let mut client = TcpStream::connect(&carrier.address).await?;
            client.write_all(request.as_bytes()).await?;
            if client.read(&mut [0; 4096]).await? == 0 {
                return Err(format!("{} closed a silent stream", carrier.name).into());
            }
            let left = Instant::now();
            drop(client);
            let closed = tokio::time::timeout(ACTIVE_PERIOD, backend::closed()).await;
            let closed = closed
                .map_err(|_| format!("{} keeps the connection of a disconnected client", carrier.name))?;
            latencies.push((closed - left).as_secs_f64() * 1e6);
        }
        let [p50, p99, most] = [50, 99, 100].map(|of| percentile(&mut latencies, of));
        writeln!(table, "| {} | {p50:.0} | {p99:.0} | {most:.0} |", carrier.name)?;
    }
    print_line(&table);
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

/// Open streams, all closed on drop.
struct Streams {
    clients: JoinSet<Outcome<()>>,
    /// Latencies of events, in microseconds.
    latencies: Rc<RefCell<Vec<f64>>>,
}

impl Streams {
    /// Opens streams one after the other; returns when all have received their first event.
    async fn open(carrier: &Carrier<'_>, token: &str, count: usize, period: Duration) -> Outcome<Self> {
        let mut streams = Self { clients: JoinSet::new(), latencies: Rc::default() };
        let request = carrier.request(&format!("ticks/{}", period.as_millis()), token);
        for _ in 0..count {
            let mut client = Listener::connect(&carrier.address, &request).await?;
            client.next().await?;
            let latencies = Rc::clone(&streams.latencies);
            streams.clients.spawn_local(async move {
                loop {
                    let latency = client.next().await?;
                    latencies.borrow_mut().push(latency);
                }
            });
        }
        Ok(streams)
    }

    /// Discards the latencies so far.
    fn discard_latencies(&self) {
        self.latencies.borrow_mut().clear();
    }

    /// Closes all streams; fails when one was closed before or lost an event.
    fn close(mut self) -> Outcome<Vec<f64>> {
        if let Some(ended) = self.clients.try_join_next() {
            return Err(format!("a stream ended: {ended:?}").into());
        }
        Ok(self.latencies.take())
    }
}

/// Client of one stream.
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

    /// Waits for the next event; returns its latency in microseconds.
    async fn next(&mut self) -> Outcome<f64> {
        loop {
            if let Some((tick, end)) = Tick::find(&self.read) {
                let latencies = tick.age();
                self.read.drain(..end);
                if tick.number != self.next {
                    return Err(format!("event {} arrived instead of {}", tick.number, self.next).into());
                }
                self.next += 1;
                return Ok(latencies.as_secs_f64() * 1e6);
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
