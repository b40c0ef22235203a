//! Benchmarks of logins and refreshes on the embedded store and on Redis, and of the startup time.

use crate::gateway::{Gateway, GatewayOptions};
use crate::servers::Servers;
use crate::statistics::Spread;
use crate::{Outcome, print_line};
use gateway_standins::redis::Redis;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Concurrent logins or refreshes.
const CONCURRENCY: usize = 16;
const STARTS: usize = 10;

/// Measurement rate and CPU time.
struct Flow {
    per_second: f64,
    /// CPU time of each operation, in milliseconds.
    cpu: f64,
}

/// Measures logins and refreshes, alternating between both stores.
pub(crate) async fn flows(
    servers: &Servers,
    binary: &Path,
    rounds: usize,
    duration: Duration,
) -> Outcome<String> {
    let redis = Redis::start()?;
    let mut table =
        String::from("\n### Logins and refreshes\n\n| | a second | CPU ms each |\n|---|--:|--:|\n");
    let mut rows: Vec<(String, Vec<Flow>)> = Vec::new();
    for round in 0..rounds {
        for (index, (store, address)) in
            [("embedded", ""), ("Redis", &*redis.address())].into_iter().enumerate()
        {
            let options = GatewayOptions { binary, arguments: &[], log: "warn", redis: address };
            let gateway = Rc::new(Gateway::start(options, &servers.okta).await?);
            let (logins, refreshes) =
                (logins(&gateway, duration).await?, refreshes(&gateway, duration).await?);
            if round == 0 {
                rows.push((format!("logins, {store}"), Vec::new()));
                rows.push((format!("refreshes, {store}"), Vec::new()));
            }
            rows[2 * index].1.push(logins);
            rows[2 * index + 1].1.push(refreshes);
        }
    }
    for (name, flows) in rows {
        let (per_second, cpu) = (
            Spread::of(flows.iter().map(|flow| flow.per_second)),
            Spread::of(flows.iter().map(|flow| flow.cpu)),
        );
        writeln!(table, "| {name} | {:.0} | {cpu} |", per_second.median)?;
    }
    print_line(&table);
    Ok(table)
}

async fn logins(gateway: &Rc<Gateway>, duration: Duration) -> Outcome<Flow> {
    let deadline = Instant::now() + duration;
    let mut users = JoinSet::new();
    let measurement = Measurement::begin(gateway)?;
    for _ in 0..CONCURRENCY {
        let gateway = Rc::clone(gateway);
        users.spawn_local(async move {
            let mut done = 0;
            while Instant::now() < deadline {
                gateway.sign_in().await.map_err(|error| error.to_string())?;
                done += 1;
            }
            Ok(done)
        });
    }
    measurement.end(users).await
}

async fn refreshes(gateway: &Rc<Gateway>, duration: Duration) -> Outcome<Flow> {
    let mut signed_in = Vec::new();
    for _ in 0..CONCURRENCY {
        signed_in.push(gateway.sign_in().await?);
    }
    let deadline = Instant::now() + duration;
    let mut clients = JoinSet::new();
    let measurement = Measurement::begin(gateway)?;
    for (client, mut tokens) in signed_in {
        clients.spawn_local(async move {
            let mut done = 0;
            while Instant::now() < deadline {
                let token = tokens.refresh_token.ok_or("no refresh token")?;
                tokens = client.refresh(&token).await.map_err(|error| error.to_string())?;
                done += 1;
            }
            Ok(done)
        });
    }
    measurement.end(clients).await
}

/// Measurement in progress.
struct Measurement {
    gateway: Rc<Gateway>,
    cpu: Duration,
    since: Instant,
}

impl Measurement {
    fn begin(gateway: &Rc<Gateway>) -> Outcome<Self> {
        let cpu = gateway.process.cpu_time()?;
        Ok(Self { gateway: Rc::clone(gateway), cpu, since: Instant::now() })
    }

    async fn end(self, mut tasks: JoinSet<Result<u32, String>>) -> Outcome<Flow> {
        let mut done = 0;
        while let Some(ended) = tasks.join_next().await {
            done += ended??;
        }
        let used = self.gateway.process.cpu_time()?.saturating_sub(self.cpu);
        let done = f64::from(done);
        Ok(Flow {
            per_second: done / self.since.elapsed().as_secs_f64(),
            cpu: used.as_secs_f64() * 1e3 / done,
        })
    }
}

/// Measures the time from the start of the process until it accepts connections, and the size of the binary.
pub(crate) async fn start_up(servers: &Servers, binary: &Path) -> Outcome<String> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let options = GatewayOptions { binary, arguments: &[], log: "warn", redis: "" };
        let gateway = Gateway::start(options, &servers.okta).await?;
        times.push(gateway.start_up.as_secs_f64() * 1e3);
    }
    let kibibytes = fs::metadata(binary)?.len() / 1024;
    let text = format!(
        "\n### Start\n\nThe binary has {kibibytes} KiB; it accepts connections {} ms after its start.\n",
        Spread::of(times)
    );
    print_line(&text);
    Ok(text)
}
