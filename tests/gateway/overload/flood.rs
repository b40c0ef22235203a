//! Floods of connections on the executable: their cost, their log lines, and the effect of the limit of open files.

use super::{ADDRESS_A, TIMEOUT, connect, get, status};
use crate::harness::binary::{Process, binary};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const OKTA: [(&str, &str); 3] = [
    ("OKTA_URL", "http://127.0.0.1:9"),
    ("OKTA_CLIENT_ID", "0oa1"),
    ("OKTA_CLIENT_SECRET", "secret-of-the-app"),
];

/// Shorter than the timeout of a connection without a request.
const PAUSE: Duration = Duration::from_secs(3);

/// Starts the executable with these `ulimit` arguments.
async fn limited(ulimit: &str) -> Process {
    let path = std::env::var("PATH").unwrap();
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(script.path(), format!("#!/bin/sh\nulimit {ulimit} && exec \"$GATEWAY\"\n")).unwrap();
    let script = executable(script);
    Process::start(
        &script,
        &[&OKTA[..], &[("PATH", &path), ("GATEWAY", binary().to_str().unwrap())]].concat(),
    )
    .await
}

/// A script that is still open for writing cannot be executed.
fn executable(script: tempfile::NamedTempFile) -> tempfile::TempPath {
    use std::os::unix::fs::PermissionsExt as _;
    let path = script.into_temp_path();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn port(process: &Process) -> u16 {
    process.base_url.rsplit(':').next().unwrap().parse().unwrap()
}

/// Warnings about connections; Okta cannot be reached in these tests, which is one more.
fn warnings(process: &Process) -> Vec<String> {
    let is_about_connections = |line: &&str| line.contains("WARN") && !line.contains("gateway::okta");
    process.log().lines().filter(is_about_connections).map(str::to_owned).collect()
}

/// Cost of a process so far.
struct Cost {
    /// Resident memory.
    kib: u64,
    /// CPU time, in hundredths of a second.
    ticks: u64,
}

fn cost(process: &Process) -> Cost {
    let read = |file| fs::read_to_string(format!("/proc/{}/{file}", process.id())).unwrap();
    let status = read("status");
    let memory = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    let kib = memory.split_whitespace().nth(1).unwrap().parse().unwrap();
    let stat = read("stat");
    // Fields utime and stime, after the name in parentheses.
    let fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    Cost { kib, ticks: fields.map(|field| field.parse::<u64>().unwrap()).sum() }
}

/// Opens `count` connections, or as many as this test may have open files, from several addresses below their limits.
async fn flood(port: u16, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let files = gateway::server::raise_open_files().unwrap_or(u64::MAX);
    let count = count.min(usize::try_from(files / 2).unwrap_or(usize::MAX));
    let mut connections = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = connect(port, [127, 0, 1, u8::try_from(number % 8).unwrap() + 1]).await;
        stream.write_all(bytes).await.unwrap();
        connections.push(stream);
    }
    connections
}

/// Opens connections, sends these bytes on each, and measures the CPU time of a pause after them.
#[expect(clippy::print_stdout, reason = "prints the CPU time of the flood")]
async fn measure_flood(what: &str, bytes: &[u8], count: usize) {
    let process = Process::start(binary(), &OKTA).await;
    let before = cost(&process);
    let connections = flood(port(&process), count, bytes).await;
    assert_eq!(status(&get(port(&process), ADDRESS_A, "/healthz").await), 200);
    let open = cost(&process);
    sleep(PAUSE).await;
    let after = cost(&process);
    let (count, silent) = (connections.len(), after.ticks - open.ticks);
    println!(
        "{what} on {count} connections: memory {} KiB, then {} KiB; CPU time {} ticks, then {}, after the pause {}",
        before.kib, after.kib, before.ticks, open.ticks, after.ticks
    );
    // One timer of 10 ms per connection takes 90 ticks; without it 1.
    assert!(silent < 30, "{what}: {silent} ticks of CPU time in silence");
    assert!(warnings(&process).len() <= 3, "{}", process.log());
    drop(connections);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_idle_connections_cost_little() {
    measure_flood("`P`", b"P", 6_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_heads_and_http_2_prefaces_cost_little() {
    measure_flood("half a request line", b"POST /auth/to", 1_000).await;
    measure_flood("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1_000).await;
    measure_flood("HTTP/2 settings", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_soft_limit_of_open_files_is_raised_to_the_hard_limit() {
    let process = limited("-Sn 256").await;
    let connections = flood(port(&process), 600, b"GET").await;
    assert_eq!(status(&get(port(&process), ADDRESS_A, "/").await), 200, "{}", process.log());
    assert!(connections.len() < 300 || warnings(&process).is_empty(), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_limit_of_open_files_lowers_the_connection_limit() {
    let process = limited("-n 1024").await;
    let log = process.log();
    let expected = log.lines().filter(|line| line.contains("fewer connections than configured"));
    assert_eq!(expected.count(), 1, "{log}");
    let connections = flood(port(&process), 600, b"G").await;
    for path in ["/healthz", "/readyz"] {
        assert_ne!(status(&get(port(&process), ADDRESS_A, path).await), 0, "{path}: {}", process.log());
    }
    assert_eq!(status(&get(port(&process), ADDRESS_A, "/healthz").await), 200);
    assert!(warnings(&process).len() <= 4, "{}", process.log());
    drop(connections);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_low_a_limit_of_open_files_stops_startup_with_advice() {
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(script.path(), format!("#!/bin/sh\nulimit -n 100 && exec {}\n", binary().display())).unwrap();
    let (script, folder) = (executable(script), tempfile::tempdir().unwrap());
    let mut command = std::process::Command::new(&*script);
    command.env_clear().envs(OKTA).env("PORT", "0").env("DATA_DIR", folder.path().join("data"));
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("LimitNOFILE"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_free_file_descriptors_it_logs_once_and_recovers() {
    let process = Process::start(binary(), &OKTA).await;
    let pid = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    let files = fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count() as u64;
    let none = Rlimit { current: Some(files), ..rustix::process::getrlimit(Resource::Nofile) };
    let before = prlimit(Some(pid), Resource::Nofile, none).unwrap();
    let mut idle_connections = Vec::new();
    for _ in 0..20 {
        idle_connections.push(connect(port(&process), ADDRESS_A).await);
    }
    let expected = "a connection could not be accepted";
    let logged = async {
        while !process.log().contains(expected) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, logged).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(warnings(&process).len(), 1, "{}", process.log());
    prlimit(Some(pid), Resource::Nofile, before).unwrap();
    assert_eq!(status(&get(port(&process), ADDRESS_A, "/healthz").await), 200);
    for mut stream in idle_connections {
        stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await.unwrap();
        let mut response = String::new();
        timeout(TIMEOUT, stream.read_to_string(&mut response)).await.unwrap().unwrap();
        assert_eq!(status(&response), 200);
    }
}
