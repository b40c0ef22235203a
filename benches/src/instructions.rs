//! Instruction count of one proxied request, measured with callgrind. It does not depend on the load of the machine, so
//! that a regression can fail the build.
//!
//! The request has a cached token, a response of 256 bytes and a keep-alive connection, without logging. Instructions
//! of the kernel are not counted.

use crate::arguments::Counted;
use crate::gateway::{Gateway, GatewayOptions, MCP_PATH};
use crate::process::{self, LOAD_CORE};
use crate::statistics::Spread;
use crate::{Outcome, backend, print_line, site};
use gateway_standins::okta::{Okta, OktaOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Most instructions of one request (profile `release`). After an improvement, lower it to the count plus 2.5 %. A
/// token that the connection did not send before would add 44 000 for its digest, which takes half a microsecond in
/// practice: Valgrind does not support SHA instructions.
///
/// 1 400 of them came with the rules for copies of single-valued headers in both directions, `X-Forwarded-Prefix`, the
/// audit event of every outcome, and the responses that a shutdown waits for.
const CEILING: f64 = 29_700.0;
/// Most instructions of one request with its audit event.
const CEILING_AUDITED: f64 = 34_600.0;
/// Allowed increase with a thousand routes, as a fraction.
const ROUTES_TOLERANCE: f64 = 0.01;
/// Values of `RUST_LOG` without and with audit events.
const QUIET: &str = "warn";
const AUDITED: &str = "info";
/// Number of requests in a sample, and of samples.
const REQUESTS: u32 = 200;
const SAMPLES: usize = 5;

/// Counts instructions with one and with a thousand routes; fails above a ceiling.
pub(crate) async fn run(options: Counted) -> Outcome<()> {
    LocalSet::new().run_until(count(&options)).await
}

async fn count(options: &Counted) -> Outcome<()> {
    backend::start().await?;
    if let Some(binary) = &options.binary {
        let spent = instructions_per_request(&[binary], QUIET, "other").await?;
        print_line(&format!("{spent:.0} instructions a request; profile: {}", profile("other").display()));
        return Ok(());
    }
    let own = std::env::current_exe()?;
    let serve = |routes| [own.as_path(), Path::new("serve"), Path::new(routes)];
    let one = instructions_per_request(&serve("1"), QUIET, "one-route").await?;
    let thousand = instructions_per_request(&serve("1000"), QUIET, "thousand-routes").await?;
    let audited = instructions_per_request(&serve("1"), AUDITED, "audited").await?;
    print_line(&format!(
        "instructions a request: {one:.0} with one route, {thousand:.0} with a thousand, {audited:.0} audited"
    ));
    for (count, ceiling) in [(one, CEILING), (audited, CEILING_AUDITED)] {
        if count > ceiling {
            return Err(format!("{count:.0} instructions a request: the ceiling is {ceiling:.0}").into());
        }
    }
    if thousand > one * (1.0 + ROUTES_TOLERANCE) {
        return Err(
            "a thousand routes cost more than one: the table is not looked up in constant time".into()
        );
    }
    Ok(())
}

/// Instructions of one request: the minimum of the samples.
async fn instructions_per_request(server: &[&Path], log: &str, name: &str) -> Outcome<f64> {
    let okta = Okta::start(OktaOptions::default()).await?;
    let profile = profile(name);
    fs::create_dir_all(site::folder())?;
    let callgrind = format!("--callgrind-out-file={}", profile.display());
    let valgrind = ["--quiet", "--tool=callgrind", "--instr-atstart=no", &callgrind].map(Path::new);
    let before: Vec<&Path> = valgrind.iter().chain(server).copied().collect();
    let options = GatewayOptions { binary: Path::new("valgrind"), arguments: &before, log, redis: "" };
    let gateway = Gateway::start(options, &okta).await?;
    let (_, tokens) = gateway.sign_in().await?;
    let mut client = RepeatingClient::connect(&gateway, &tokens.access_token).await?;
    let mut control = Control { process: gateway.process.id()?, profile, dumps: 0 };
    control.send("instrumentation on").await?;
    client.call(REQUESTS).await?;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        control.send("zero").await?;
        client.call(REQUESTS).await?;
        samples.push(control.dump().await? / f64::from(REQUESTS));
    }
    let spread = Spread::of(samples);
    if spread.max > spread.min * 1.01 {
        print_line(&format!("the samples lie apart: {:.0} to {:.0}", spread.min, spread.max));
    }
    // Timers that fire during a sample only add instructions.
    Ok(spread.min)
}

/// Output file of callgrind, for `callgrind_annotate`; each sample adds a suffix (`.1`, `.2`, …).
fn profile(name: &str) -> PathBuf {
    site::folder().join(format!("callgrind-{name}.out"))
}

/// Control of a running callgrind.
struct Control {
    process: u32,
    profile: PathBuf,
    dumps: u32,
}

impl Control {
    async fn send(&self, command_line: &str) -> Outcome<()> {
        let mut command = process::command(LOAD_CORE, "vgdb");
        command.arg(format!("--pid={}", self.process)).args(command_line.split(' ')).stderr(Stdio::null());
        let output = command.output().await?;
        if output.status.success() { Ok(()) } else { Err(format!("vgdb {command_line} failed").into()) }
    }

    /// Instructions since the last dump or `zero`.
    async fn dump(&mut self) -> Outcome<f64> {
        self.send("dump").await?;
        self.dumps += 1;
        let text = fs::read_to_string(format!("{}.{}", self.profile.display(), self.dumps))?;
        let totals = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
        Ok(totals.ok_or("callgrind wrote no totals")?.trim().parse()?)
    }
}

/// Connection that repeats one request.
struct RepeatingClient {
    stream: TcpStream,
    request: String,
    /// Buffer with the length of a response, which is always the same.
    response: Vec<u8>,
}

impl RepeatingClient {
    async fn connect(gateway: &Gateway, token: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(&gateway.address).await?;
        let request = format!(
            "GET {MCP_PATH}/bytes/256 HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
            gateway.address
        );
        let mut client = Self { stream, request, response: Vec::new() };
        client.measure_response().await?;
        Ok(client)
    }

    async fn measure_response(&mut self) -> Outcome<()> {
        self.stream.write_all(self.request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await?);
        }
        if !head.starts_with(b"HTTP/1.1 200 ") {
            return Err(format!("the gateway returned {}", String::from_utf8_lossy(&head)).into());
        }
        let mut body = vec![0; 256];
        self.stream.read_exact(&mut body).await?;
        self.response = vec![0; head.len() + body.len()];
        Ok(())
    }

    async fn call(&mut self, times: u32) -> Outcome<()> {
        for _ in 0..times {
            self.stream.write_all(self.request.as_bytes()).await?;
            self.stream.read_exact(&mut self.response).await?;
            if !self.response.starts_with(b"HTTP/1.1 200 ") {
                return Err(
                    format!("the gateway returned {}", String::from_utf8_lossy(&self.response)).into()
                );
            }
        }
        Ok(())
    }
}
