//! Real Redis or Valkey servers from the system's packages. The environment variable `REDIS_SERVER` selects another
//! program than `redis-server`, such as `valkey-server`.

mod certificates;
mod cluster;
mod sentinels;

pub use certificates::Certificates;
pub use cluster::Cluster;
pub use sentinels::Sentinels;

use crate::port::ReservedPort;
use parking_lot::Mutex;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Long enough for a loaded machine; an ended server is detected at once.
const START_TIMEOUT: Duration = Duration::from_mins(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Program that `make test` installs where the system has a package.
const VALKEY: &str = "valkey-server";

/// Running Redis on 127.0.0.1, stopped on drop.
pub struct Redis {
    program: String,
    port: ReservedPort,
    tls_port: Option<ReservedPort>,
    folder: TempDir,
    arguments: Vec<String>,
    child: Mutex<Option<Child>>,
}

impl Redis {
    /// Starts a server on a free port and waits until it responds.
    pub fn start() -> io::Result<Self> {
        Self::start_with(None, &[])
    }

    /// Starts a server that also listens with TLS and requires client certificates of this authority.
    pub fn start_with_tls(certificates: &Certificates) -> io::Result<Self> {
        Self::start_with(Some(certificates), &[])
    }

    /// Starts Valkey, if it is installed.
    pub fn start_valkey() -> Option<io::Result<Self>> {
        Command::new(VALKEY).arg("--version").stdout(Stdio::null()).status().ok()?;
        Some(Self::launch(VALKEY.to_owned(), None, &[]))
    }

    /// Starts a server with more settings, such as `--replicaof`.
    fn start_with(tls: Option<&Certificates>, settings: &[&str]) -> io::Result<Self> {
        Self::launch(program(), tls, settings)
    }

    fn launch(program: String, tls: Option<&Certificates>, settings: &[&str]) -> io::Result<Self> {
        let port = ReservedPort::reserve()?;
        let number = port.number().to_string();
        let usual = [
            "--port",
            &number,
            "--save",
            "",
            "--appendonly",
            "no",
            "--rdbcompression",
            "no",
            "--bind",
            "127.0.0.1",
        ];
        let mut arguments: Vec<String> =
            usual.iter().chain(settings).map(|word| (*word).to_owned()).collect();
        let tls_port = tls.map(|_| ReservedPort::reserve()).transpose()?;
        if let (Some(tls), Some(port)) = (tls, &tls_port) {
            arguments.extend(tls.settings(port.number()));
        }
        let (folder, child) = (tempfile::tempdir()?, Mutex::new(None));
        let redis = Self { program, port, tls_port, folder, arguments, child };
        redis.resume()?;
        Ok(redis)
    }

    /// Port announced to others: the TLS port, if there is one.
    fn advertised_port(&self) -> u16 {
        self.tls_port.as_ref().unwrap_or(&self.port).number()
    }

    /// Host and TLS port.
    ///
    /// # Panics
    /// If the server does not use TLS.
    pub fn tls_address(&self) -> String {
        format!("127.0.0.1:{}", self.tls_port.as_ref().expect("the server uses TLS").number())
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// Kills the server; its port stays reserved.
    pub fn stop(&self) {
        if let Some(mut child) = self.child.lock().take() {
            // The process may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Suspends the process: connections stay open without responses.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal("-STOP")
    }

    /// Resumes a suspended process.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let child = self.child.lock();
        let child = child.as_ref().ok_or_else(|| io::Error::other("the server is not running"))?;
        let status = Command::new("kill").args([signal, &child.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("kill failed")) }
    }

    /// Starts the server again on the same port, without data.
    pub fn resume(&self) -> io::Result<()> {
        self.stop();
        // Otherwise the server would load the file of [`Redis::dump`], if there is one.
        let _ = std::fs::remove_file(self.folder.path().join("dump.rdb"));
        let started = Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = started.map_err(|error| {
            let program = &self.program;
            io::Error::new(error.kind(), format!("{program}: {error}: apt-get install {program}"))
        })?;
        *self.child.lock() = Some(child);
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match self.command(&["PING"]) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => self.is_running()?,
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Fails if the process has ended.
    fn is_running(&self) -> io::Result<()> {
        let ended = self.child.lock().as_mut().map(Child::try_wait).transpose()?.flatten();
        ended.map_or(Ok(()), |status| Err(io::Error::other(format!("{} ended: {status}", self.program))))
    }

    /// Dump of all data, in the format of its file.
    pub fn dump(&self) -> io::Result<Vec<u8>> {
        self.command(&["SAVE"])?;
        std::fs::read(self.folder.path().join("dump.rdb"))
    }

    /// Sends one command; returns the raw response.
    pub fn command(&self, words: &[&str]) -> io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number()))?;
        stream.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
        let arguments: Vec<String> =
            words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        let command = format!("*{}\r\n{}", words.len(), arguments.concat());
        stream.write_all(command.as_bytes())?;
        let mut response = vec![0; 64 * 1024];
        let length = stream.read(&mut response)?;
        let response = String::from_utf8_lossy(&response[..length]).into_owned();
        if length == 0 || response.starts_with('-') {
            return Err(io::Error::other(response));
        }
        Ok(response)
    }

    fn is_primary(&self) -> bool {
        self.response_contains(&["ROLE"], "master")
    }

    /// Returns `true` if the response to a command contains this text.
    fn response_contains(&self, words: &[&str], text: &str) -> bool {
        self.command(words).is_ok_and(|response| response.contains(text))
    }
}

fn program() -> String {
    std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

/// Repeats a check until it is true.
fn wait_until(what: &str, is_so: impl Fn() -> bool) -> io::Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    while !is_so() {
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, what.to_owned()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
