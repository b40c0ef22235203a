//! The gateway as an executable, built for a site and configured by its environment.

use super::{http, reserve_port};
use crate::workspace;
use gateway_standins::okta::{Okta, OktaOptions};
use parking_lot::Mutex;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long enough for a loaded machine; an ended process is detected at once.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Name of the executable.
const NAME: &str = "securemcp-okta-gateway";
/// The site that is compiled in by default.
const OWN_CONFIG: &str = "config.yaml";
/// The name of the demo's executable.
const DEMO: &str = "gateway-demo";

/// Executable for the workspace's own `config.yaml`.
pub(crate) fn binary() -> &'static Path {
    static BINARY: LazyLock<PathBuf> =
        LazyLock::new(|| build(NAME, &target_dir(), Path::new(OWN_CONFIG), &[]));
    &BINARY
}

/// The executable that `make demo` runs.
pub(crate) fn demo() -> &'static Path {
    static BINARY: LazyLock<PathBuf> =
        LazyLock::new(|| build(DEMO, &target_dir(), Path::new(OWN_CONFIG), &[]));
    &BINARY
}

/// Executable for another site: its `config`, relative to the workspace or absolute. Each `name` has its own build,
/// which shares all but the last step with [`binary`].
pub(crate) fn built_for(config: &Path, name: &str) -> PathBuf {
    // A setting that gives the site its own directory among cargo's artefacts.
    let units = 16 + name.bytes().map(usize::from).sum::<usize>();
    let own = format!("profile.dev.package.{NAME}.codegen-units={units}");
    let shared = format!("build.build-dir='{}'", target_dir().display());
    build(NAME, &target_dir().join("sites").join(name), config, &["--config", &own, "--config", &shared])
}

/// Directory in which cargo built this test.
pub(crate) fn target_dir() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

fn build(name: &str, target_dir: &Path, config: &Path, options: &[&str]) -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    // All packages and features, so that the dependencies are those of the tests.
    command.args(["build", "--locked", "--workspace", "--all-features", "--bin", name, "--target-dir"]);
    command.arg(target_dir).args(options).current_dir(workspace());
    // Build scripts run again when these variables differ from those of the build of the tests.
    command.env_remove("GATEWAY_CONFIG");
    for (variable, _) in std::env::vars_os() {
        if variable
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_MANIFEST") || name.starts_with("CARGO_PKG"))
        {
            command.env_remove(variable);
        }
    }
    if config != Path::new(OWN_CONFIG) {
        command.env("GATEWAY_CONFIG", config);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}: {}", config.display(), String::from_utf8_lossy(&output.stderr));
    target_dir.join("debug").join(name)
}

/// Running executable on a free port, killed on drop.
pub(crate) struct Process {
    pub(crate) base_url: String,
    program: PathBuf,
    environment: Vec<(String, String)>,
    child: Child,
    log: Arc<Mutex<String>>,
    _folder: TempDir,
    _port: socket2::Socket,
}

impl Process {
    /// Starts it with these variables and `PORT`, `BASE_URL` and `DATA_DIR`; `{base_url}` in a value is replaced by
    /// the second. Returns when it accepts requests.
    pub(crate) async fn start(program: &Path, environment: &[(&str, &str)]) -> Self {
        let process = Self::spawn_without_wait(program, environment);
        process.wait_until_listening().await;
        process
    }

    /// The same, without waiting.
    pub(crate) fn spawn_without_wait(program: &Path, environment: &[(&str, &str)]) -> Self {
        let (socket, port) = reserve_port();
        let base_url = format!("http://localhost:{port}");
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data").to_str().unwrap().to_owned();
        let mut all = vec![
            ("PORT".to_owned(), port.to_string()),
            ("BASE_URL".to_owned(), base_url.clone()),
            ("DATA_DIR".to_owned(), data_dir),
        ];
        let given = environment.iter().map(|(name, value)| (*name, value.replace("{base_url}", &base_url)));
        all.extend(given.map(|(name, value)| (name.to_owned(), value)));
        let log = Arc::new(Mutex::new(String::new()));
        let child = spawn(program, &all, &log);
        let program = program.to_owned();
        Self { base_url, program, environment: all, child, log, _folder: folder, _port: socket }
    }

    /// The same, with this Okta and these variables too.
    pub(crate) async fn with_okta(program: &Path, okta: &Okta, more: &[(&str, &str)]) -> Self {
        let options = OktaOptions::default();
        let mut environment = vec![
            ("OKTA_URL", okta.url()),
            ("OKTA_CLIENT_ID", &options.client_id),
            ("OKTA_CLIENT_SECRET", &options.client_secret),
        ];
        environment.extend_from_slice(more);
        let process = Self::start(program, &environment).await;
        okta.add_redirect_uri(&format!("{}/auth/callback", process.base_url));
        process
    }

    /// Its `DATA_DIR`.
    pub(crate) fn data_dir(&self) -> String {
        self.environment.iter().find(|(name, _)| name == "DATA_DIR").unwrap().1.clone()
    }

    /// The same, as seen in its mount namespace.
    pub(crate) fn data_dir_setting(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.child.id(), self.data_dir()))
    }

    /// Changes a variable for the next start.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Sends SIGTERM, waits, and starts it again on the same state.
    pub(crate) async fn restart(&mut self) {
        self.terminate();
        assert!(self.ended().success(), "{}", self.log());
        self.start_again().await;
    }

    /// Sends SIGTERM, without a wait.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Kills it, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on its state.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(&self.program, &self.environment, &self.log);
        self.wait_until_listening().await;
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().clone()
    }

    async fn wait_until_listening(&self) {
        let deadline = Instant::now() + START_TIMEOUT;
        while http().get(format!("{}/readyz", self.base_url)).send().await.is_err() {
            assert!(Instant::now() < deadline, "the gateway does not respond: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, environment: &[(String, String)], log: &Arc<Mutex<String>>) -> Child {
    let mut child = Command::new(program)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let mut log = log.lock();
            log.push_str(&line);
            log.push('\n');
        }
    });
    child
}
