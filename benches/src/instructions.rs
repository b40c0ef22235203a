//! How many instructions the gateway spends on one proxied request, by callgrind: the same on a busy machine as on an
//! idle one, so that a regression can fail a build.
//!
//! A warm token, 256 bytes, one connection that is kept alive, nothing logged. The kernel's instructions do not count.

use crate::arguments::Counted;
use crate::gateway::{Gateway, MCP_PATH, Setup};
use crate::process::{self, LOAD_CORE};
use crate::statistics::Spread;
use crate::{Outcome, backend, say, site};
use gateway_standins::okta::{Okta, OktaOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// The most instructions that one request may take (profile `release`). After an improvement, lower it to the count
/// plus about a fortieth. A token that its connection did not bring before would add 44 000 for its digest, which takes
/// half a microsecond in truth: Valgrind knows no SHA instructions.
const CEILING: f64 = 28_300.0;
/// The same with the audit line of each call.
const CEILING_AUDITED: f64 = 32_900.0;
/// What a thousand routes may add.
const MORE_ROUTES: f64 = 0.01;
/// `RUST_LOG`: without the audit line of each call, and with it.
const QUIET: &str = "warn";
const AUDITED: &str = "info";
/// Requests in a sample, and samples.
const REQUESTS: u32 = 200;
const SAMPLES: usize = 5;

/// Counts with one route and with a thousand, and fails where a promise is broken.
pub(crate) async fn run(options: Counted) -> Outcome<()> {
    LocalSet::new().run_until(count(&options)).await
}

async fn count(options: &Counted) -> Outcome<()> {
    backend::start().await?;
    if let Some(binary) = &options.binary {
        let spent = spent_on_one(&[binary], QUIET, "other").await?;
        say(&format!("{spent:.0} instructions a request; profile: {}", profile("other").display()));
        return Ok(());
    }
    let own = std::env::current_exe()?;
    let serve = |routes| [own.as_path(), Path::new("serve"), Path::new(routes)];
    let one = spent_on_one(&serve("1"), QUIET, "one-route").await?;
    let thousand = spent_on_one(&serve("1000"), QUIET, "thousand-routes").await?;
    let audited = spent_on_one(&serve("1"), AUDITED, "audited").await?;
    say(&format!(
        "instructions a request: {one:.0} with one route, {thousand:.0} with a thousand, {audited:.0} audited"
    ));
    for (count, ceiling) in [(one, CEILING), (audited, CEILING_AUDITED)] {
        if count > ceiling {
            return Err(format!("{count:.0} instructions a request: the ceiling is {ceiling:.0}").into());
        }
    }
    if thousand > one * (1.0 + MORE_ROUTES) {
        return Err(
            "a thousand routes cost more than one: the table is not looked up in constant time".into()
        );
    }
    Ok(())
}

/// The median of the samples.
async fn spent_on_one(server: &[&Path], log: &str, name: &str) -> Outcome<f64> {
    let okta = Okta::start(OktaOptions::default()).await?;
    let profile = profile(name);
    fs::create_dir_all(site::folder())?;
    let callgrind = format!("--callgrind-out-file={}", profile.display());
    let valgrind = ["--quiet", "--tool=callgrind", "--instr-atstart=no", &callgrind].map(Path::new);
    let before: Vec<&Path> = valgrind.iter().chain(server).copied().collect();
    let setup = Setup { binary: Path::new("valgrind"), arguments: &before, log, redis: "" };
    let gateway = Gateway::start(setup, &okta).await?;
    let (_, tokens) = gateway.sign_in().await?;
    let mut client = PeerConnection::connect(&gateway, &tokens.access_token).await?;
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
    if spread.most > spread.least * 1.01 {
        say(&format!("the samples lie apart: {:.0} to {:.0}", spread.least, spread.most));
    }
    // Timers that fire during a sample add to it and never take away.
    Ok(spread.least)
}

/// Where callgrind writes: `callgrind_annotate` reads it, once with `.1` and so on for each sample.
fn profile(name: &str) -> PathBuf {
    site::folder().join(format!("callgrind-{name}.out"))
}

/// Talks to callgrind while it runs.
struct Control {
    process: u32,
    profile: PathBuf,
    dumps: u32,
}

impl Control {
    async fn send(&self, words: &str) -> Outcome<()> {
        let mut command = process::command(LOAD_CORE, "vgdb");
        command.arg(format!("--pid={}", self.process)).args(words.split(' ')).stderr(Stdio::null());
        let output = command.output().await?;
        if output.status.success() { Ok(()) } else { Err(format!("vgdb {words} failed").into()) }
    }

    /// What was counted since the last dump, or since `zero`.
    async fn dump(&mut self) -> Outcome<f64> {
        self.send("dump").await?;
        self.dumps += 1;
        let text = fs::read_to_string(format!("{}.{}", self.profile.display(), self.dumps))?;
        let totals = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
        Ok(totals.ok_or("callgrind wrote no totals")?.trim().parse()?)
    }
}

/// One connection that asks for the same again and again.
struct PeerConnection {
    stream: TcpStream,
    request: String,
    /// The length of an answer, head and body: always the same.
    answer: Vec<u8>,
}

impl PeerConnection {
    async fn connect(gateway: &Gateway, token: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(&gateway.address).await?;
        let request = format!(
            "GET {MCP_PATH}/bytes/256 HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
            gateway.address
        );
        let mut caller = Self { stream, request, answer: Vec::new() };
        caller.measure_answer().await?;
        Ok(caller)
    }

    async fn measure_answer(&mut self) -> Outcome<()> {
        self.stream.write_all(self.request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await?);
        }
        if !head.starts_with(b"HTTP/1.1 200 ") {
            return Err(format!("the gateway answered {}", String::from_utf8_lossy(&head)).into());
        }
        let mut body = vec![0; 256];
        self.stream.read_exact(&mut body).await?;
        self.answer = vec![0; head.len() + body.len()];
        Ok(())
    }

    async fn call(&mut self, times: u32) -> Outcome<()> {
        for _ in 0..times {
            self.stream.write_all(self.request.as_bytes()).await?;
            self.stream.read_exact(&mut self.answer).await?;
            if !self.answer.starts_with(b"HTTP/1.1 200 ") {
                return Err(format!("the gateway answered {}", String::from_utf8_lossy(&self.answer)).into());
            }
        }
        Ok(())
    }
}
