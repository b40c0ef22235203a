//! Load generators: wrk for HTTP/1.1, h2load for HTTP/2.

use crate::process::{self, LOAD_CORE};
use crate::{Outcome, site};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Request and connections of a load test.
#[derive(Clone)]
pub(crate) struct Load {
    /// Host and port.
    pub(crate) address: String,
    pub(crate) path: String,
    /// Length of the request body, in bytes; 0 sends a GET.
    pub(crate) body: usize,
    pub(crate) tokens: Tokens,
    pub(crate) connections: usize,
    pub(crate) http2: bool,
}

/// Access tokens of the requests.
#[derive(Clone)]
pub(crate) enum Tokens {
    One(String),
    /// File of tokens; each request uses the next one, cyclically.
    Many(PathBuf),
}

/// Result of a load test.
pub(crate) struct LoadResult {
    pub(crate) requests: f64,
    pub(crate) elapsed: Duration,
    /// Latency in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Load {
    /// Generates load for `duration`. Any unsuccessful response is an error.
    pub(crate) async fn run(&self, duration: Duration) -> Outcome<LoadResult> {
        if self.http2 { self.h2load(duration).await } else { self.wrk(duration).await }
    }

    async fn wrk(&self, duration: Duration) -> Outcome<LoadResult> {
        let script = site::folder().join("load.lua");
        fs::write(&script, self.script()?)?;
        let mut command = process::command(LOAD_CORE, "wrk");
        command.args(["--threads", "1", "--timeout", "30s", "--latency"]);
        command.args(["--connections", &self.connections.to_string()]);
        command.args(["--duration", &format!("{}s", duration.as_secs())]).arg("--script").arg(&script);
        command.arg(format!("http://{}{}", self.address, self.path));
        let output = output(command).await?;
        let line = output.lines().find_map(|line| line.strip_prefix("RESULT "));
        let numbers: Vec<f64> =
            line.unwrap_or_default().split(' ').filter_map(|number| number.parse().ok()).collect();
        let &[requests, microseconds, p50, p99, errors] = numbers.as_slice() else {
            return Err(format!("unexpected output of wrk: {output}").into());
        };
        if errors > 0.0 || requests < 1.0 {
            return Err(
                format!("{requests} responses, {errors} failures from {}: {output}", self.path).into()
            );
        }
        Ok(LoadResult { requests, elapsed: Duration::from_secs_f64(microseconds / 1e6), p50, p99 })
    }

    fn script(&self) -> Outcome<String> {
        let mut script = String::from(DONE);
        match &self.tokens {
            Tokens::One(token) => {
                writeln!(script, "wrk.headers['Authorization'] = 'Bearer {token}'")?;
            }
            Tokens::Many(file) => {
                let file = file.to_str().ok_or("the path of the checkout is not UTF-8")?;
                write!(script, "local file = '{file}'\n{MANY}")?;
            }
        }
        if self.body > 0 {
            let headers = "wrk.headers['Content-Type'] = 'application/json'";
            let body = self.body - 2;
            writeln!(script, "wrk.method = 'POST'\n{headers}\nwrk.body = '\"' .. ('x'):rep({body}) .. '\"'")?;
        }
        Ok(script)
    }

    async fn h2load(&self, duration: Duration) -> Outcome<LoadResult> {
        let Tokens::One(token) = &self.tokens else { return Err("h2load sends one token".into()) };
        let log = site::folder().join("h2load.log");
        let mut command = process::command(LOAD_CORE, "h2load");
        command.args(["--clients", &self.connections.to_string(), "--max-concurrent-streams", "8"]);
        command.args(["--duration", &duration.as_secs().to_string()]);
        command.args(["--header", &format!("authorization: Bearer {token}")]);
        command.arg(format!("--log-file={}", log.display()));
        command.arg(format!("http://{}{}", self.address, self.path));
        output(command).await?;
        let mut times = Vec::new();
        for line in fs::read_to_string(&log)?.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let &[_, status, time] = fields.as_slice() else { continue };
            if status != "200" {
                return Err(format!("h2load received status {status}").into());
            }
            times.push(time.parse::<f64>()?);
        }
        times.sort_by(f64::total_cmp);
        let last = times.len().checked_sub(1).ok_or("h2load received no response")?;
        fs::remove_file(&log)?;
        let (p50, p99) = (times[last / 2], times[last * 99 / 100]);
        Ok(LoadResult { requests: f64::from(u32::try_from(last + 1)?), elapsed: duration, p50, p99 })
    }
}

const DONE: &str = "done = function(summary, latency)
  local e = summary.errors
  io.write(('RESULT %d %d %d %d %d\\n'):format(summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout))
end
";
const MANY: &str = "local requests, at = {}, 0
init = function()
  for token in io.lines(file) do
    wrk.headers['Authorization'] = 'Bearer ' .. token
    requests[#requests + 1] = wrk.format()
  end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
";

async fn output(mut command: Command) -> Outcome<String> {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let hint = "apt-get install wrk nghttp2-client";
    Err(format!("{text}{}{hint}", String::from_utf8_lossy(&output.stderr)).into())
}
