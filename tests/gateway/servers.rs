//! Real MCP servers, each directly and through the gateway of an http and of an https site, with a real client: the
//! sessions are the same. `tests/servers/README.md` describes the table of servers.

use crate::harness::{SiteBuilder, StoreKind, TlsFront, World};
use crate::workspace;
use gateway_routes::{Route, UpstreamHeader, ValuePart};
use gateway_standins::port::ReservedPort;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The driver ends by itself after two minutes.
const LIMIT: Duration = Duration::from_secs(130);
/// Starting takes seconds; a loaded machine is slow.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// The file in a server's home that its standard error goes to.
const DIAGNOSTICS: &str = "stderr.txt";

/// An entry of `servers.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    /// Included in `make test`.
    #[serde(default)]
    quick: bool,
    /// Registry and package.
    version: String,
    /// `{port}` and `{home}` are replaced, here and in `env`.
    command: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Its host in the URL; default 127.0.0.1.
    host: Option<String>,
    /// The path of the route's `target_url`.
    #[serde(default)]
    target_path: String,
    /// The `Authorization` that the server itself wants.
    credential: Option<String>,
    sessions: Value,
    /// Differences that are known.
    #[serde(default)]
    expected: Vec<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// Starts of the names of checks.
    checks: Vec<String>,
    reason: String,
}

impl Entry {
    /// Headers of the route: the credential that the server requires.
    fn upstream_headers(&self) -> &'static [UpstreamHeader] {
        let header = |credential: &String| {
            let credential: &'static str = credential.clone().leak();
            UpstreamHeader { name: "Authorization", value: vec![ValuePart::Text(credential)].leak() }
        };
        self.credential.iter().map(header).collect::<Vec<_>>().leak()
    }
}

/// A running server; it is killed when this is dropped.
struct Server {
    entry: Entry,
    pattern: &'static str,
    address: String,
    url: String,
    _child: Child,
    home: TempDir,
    _port: ReservedPort,
}

#[expect(clippy::print_stdout, reason = "the result of each server, and what it costs")]
#[tokio::test(flavor = "multi_thread")]
async fn real_mcp_servers_behave_through_the_gateway_as_directly() {
    let servers = started().await;
    let sites = Sites::start(&servers).await;
    let mut surprises = String::new();
    for server in &servers {
        let began = Instant::now();
        let result = sites.compared(server).await;
        let (known, surprise) = judged(&server.entry, &result);
        let verdict = if surprise.is_empty() { "as expected" } else { "DIFFERS" };
        let milliseconds = began.elapsed().as_millis();
        println!("{:<22} {:<42} {milliseconds:>6} ms  {verdict}", server.entry.name, server.entry.version);
        print!("{known}");
        if !surprise.is_empty() {
            write!(surprises, "{}:\n{surprise}", server.entry.name).unwrap();
        }
    }
    assert!(surprises.is_empty(), "{surprises}");
}

/// The two sites, with a route to each server.
struct Sites {
    http: World,
    https: World,
    front: TlsFront,
}

impl Sites {
    async fn start(servers: &[Server]) -> Self {
        let routes = |mut site: SiteBuilder| {
            for server in servers {
                let upstream_headers = server.entry.upstream_headers();
                site = site.route(server.pattern, &server.url, |route| Route { upstream_headers, ..route });
            }
            site
        };
        let http = World::with(StoreKind::Embedded, routes).await;
        let (https, front) = World::with(StoreKind::Embedded, routes).await.behind_tls().await;
        Self { http, https, front }
    }

    /// Result of the driver for this server.
    async fn compared(&self, server: &Server) -> Value {
        let path = server.pattern.trim_end_matches('/');
        let task = json!({
            "direct": server.url,
            "gateways": { "http": self.http.url(path), "https": self.https.url(path) },
            "credential": server.entry.credential,
            "sessions": server.entry.sessions,
        });
        let mut child = Command::new("node")
            .arg("compare.mjs")
            .current_dir(folder())
            .env("NODE_EXTRA_CA_CERTS", self.front.ca_file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(task.to_string().as_bytes()).await.unwrap();
        let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("the driver ends");
        let stdout = String::from_utf8(output.unwrap().stdout).unwrap();
        let result: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        if let Ok(folder) = std::env::var("GATEWAY_SERVERS_RECORDS") {
            let file = PathBuf::from(folder).join(format!("{}.json", server.entry.name));
            std::fs::write(file, serde_json::to_vec_pretty(&result).unwrap()).unwrap();
        }
        assert!(result["error"].is_null(), "{}: {}", server.entry.name, result["error"]);
        result
    }
}

/// Known and unknown differences of this server, in lines; an entry that names no difference is unknown, too.
fn judged(entry: &Entry, result: &Value) -> (String, String) {
    let differences = result["differences"].as_array().unwrap();
    let names: Vec<&str> = differences.iter().map(|it| it["check"].as_str().unwrap()).collect();
    let (mut known, mut surprise) = (String::new(), String::new());
    for expected in &entry.expected {
        for prefix in &expected.checks {
            let count = names.iter().filter(|name| name.starts_with(prefix.as_str())).count();
            match count {
                0 => writeln!(surprise, "  {prefix}: behaves as directly again; remove the entry").unwrap(),
                _ => writeln!(known, "  expected: {prefix} ({count}): {}", expected.reason).unwrap(),
            }
        }
    }
    let is_known = |name: &str| {
        entry.expected.iter().flat_map(|it| &it.checks).any(|prefix| name.starts_with(prefix.as_str()))
    };
    for difference in differences.iter().filter(|it| !is_known(it["check"].as_str().unwrap())) {
        let (direct, through) = (&difference["direct"], &difference["through"]);
        writeln!(surprise, "  {}: directly {direct}, through the gateway {through}", difference["check"])
            .unwrap();
    }
    (known, surprise)
}

/// The servers that this run is about: the quick ones, `all` of them or those named in `GATEWAY_SERVERS`.
async fn started() -> Vec<Server> {
    #[derive(Deserialize)]
    struct Table {
        servers: Vec<Entry>,
    }
    let file = std::fs::read(folder().join("servers.json")).unwrap();
    let table: Table = serde_json::from_slice(&file).unwrap();
    let wanted = std::env::var("GATEWAY_SERVERS").unwrap_or_default();
    let is_wanted = |entry: &Entry| match &*wanted {
        "" => entry.quick,
        "all" => true,
        names => names.split(',').any(|name| name == entry.name),
    };
    let starting: Vec<Server> = table.servers.into_iter().filter(is_wanted).map(Server::spawn).collect();
    for server in &starting {
        server.accepts().await;
    }
    starting
}

impl Server {
    fn spawn(entry: Entry) -> Self {
        let (home, port) = (tempfile::tempdir().unwrap(), ReservedPort::reserve().unwrap());
        let number = port.number().to_string();
        let replaced =
            |text: &str| text.replace("{port}", &number).replace("{home}", home.path().to_str().unwrap());
        let program = &entry.command[0];
        let program = if program.contains('/') { folder().join(program) } else { program.into() };
        let child = Command::new(&program)
            .args(entry.command[1..].iter().map(|argument| replaced(argument)))
            .current_dir(folder())
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", home.path())
            .envs(entry.env.iter().map(|(name, value)| (name, replaced(value))))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(home.path().join(DIAGNOSTICS)).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{}: {error}: run `make servers`, which calls tests/setup.sh", program.display())
            });
        let host = entry.host.as_deref().unwrap_or("127.0.0.1");
        let address = format!("{host}:{number}");
        let url = format!("http://{address}{}", entry.target_path);
        let pattern = format!("/mcp/{}/", entry.name).leak();
        Self { entry, pattern, address, url, _child: child, home, _port: port }
    }

    /// Waits until it accepts connections.
    async fn accepts(&self) {
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(&self.address).await.is_err() {
            let diagnostics = || std::fs::read_to_string(self.home.path().join(DIAGNOSTICS)).unwrap();
            assert!(Instant::now() < deadline, "{} does not start: {}", self.entry.name, diagnostics());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn folder() -> PathBuf {
    workspace().join("tests/servers")
}
