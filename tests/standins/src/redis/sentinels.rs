//! Redis Sentinel: a primary, its replica and three Sentinels.

use super::{Certificates, Redis, program, wait_until};
use crate::port::ReservedPort;
use parking_lot::Mutex;
use std::fs;
use std::io;

/// Name of the primary in the Sentinels.
const NAME: &str = "gateway";

/// Two servers and three Sentinels, stopped on drop.
pub struct Sentinels {
    /// The initial primary.
    pub primary: Redis,
    /// The initial replica.
    pub replica: Redis,
    processes: Vec<Redis>,
}

impl Sentinels {
    /// Starts all five and waits until they know each other.
    pub fn start() -> io::Result<Self> {
        Self::start_with(None)
    }

    /// Starts all five with TLS.
    pub fn start_with_tls(certificates: &Certificates) -> io::Result<Self> {
        Self::start_with(Some(certificates))
    }

    fn start_with(tls: Option<&Certificates>) -> io::Result<Self> {
        let primary = Redis::start_with(tls, &[])?;
        let port = primary.advertised_port().to_string();
        let follow = ["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"];
        let replica = Redis::start_with(tls, &follow)?;
        let processes = (0..3).map(|_| sentinel(tls, &port)).collect::<io::Result<Vec<_>>>()?;
        let servers = Self { primary, replica, processes };
        let follows = || servers.replica.response_contains(&["INFO", "replication"], "master_link_status:up");
        wait_until("the replica is connected", follows)?;
        let knows = |sentinel: &Redis| {
            let advertised = sentinel.command(&["SENTINEL", "MASTER", NAME]).unwrap_or_default();
            let number = |name: &str| {
                advertised.split("\r\n").skip_while(|line| *line != name).nth(2).map(str::to_owned)
            };
            number("num-other-sentinels").as_deref() == Some("2")
                && number("num-slaves").as_deref() == Some("1")
        };
        wait_until("the Sentinels know each other", || servers.processes.iter().all(knows))?;
        Ok(servers)
    }

    /// Kills the primary, waits until the replica has taken over, and restarts the primary as a replica: writes are
    /// acknowledged again only then.
    pub fn fail_over(&self) -> io::Result<()> {
        self.primary.stop();
        wait_until("the replica takes over", || self.replica.is_primary())?;
        self.primary.resume()?;
        // The Sentinels would do the same ten seconds later.
        self.primary
            .command(&["REPLICAOF", "127.0.0.1", &self.replica.advertised_port().to_string()])
            .map(drop)
    }

    /// Suspends the primary, as in a network partition, and waits until the replica has taken over.
    pub fn hang_primary(&self) -> io::Result<()> {
        self.primary.freeze()?;
        wait_until("the replica takes over", || self.replica.is_primary())
    }

    /// Sends one command to each Sentinel.
    pub fn command(&self, words: &[&str]) -> io::Result<()> {
        self.processes.iter().try_for_each(|sentinel| sentinel.command(words).map(drop))
    }

    /// Suspends all Sentinels.
    pub fn freeze(&self) -> io::Result<()> {
        self.processes.iter().try_for_each(Redis::freeze)
    }

    /// The Sentinels and the name of the primary, in the format of `KVS_ADDR`.
    pub fn hosts(&self) -> String {
        let advertised = |watcher: &Redis| format!("127.0.0.1:{}", watcher.advertised_port());
        format!("{}/{NAME}", self.processes.iter().map(advertised).collect::<Vec<_>>().join(","))
    }

    /// `KVS_ADDR` of the Sentinels.
    pub fn address(&self) -> String {
        format!("redis-sentinel://{}", self.hosts())
    }
}

fn sentinel(tls: Option<&Certificates>, primary: &str) -> io::Result<Redis> {
    let (port, folder) = (ReservedPort::reserve()?, tempfile::tempdir()?);
    let file = folder.path().join("sentinel.conf");
    let mut settings = format!(
        "bind 127.0.0.1\nport {}\nsentinel monitor {NAME} 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 2000\n",
        port.number()
    );
    let tls_port = tls.map(|_| ReservedPort::reserve()).transpose()?;
    if let (Some(tls), Some(port)) = (tls, &tls_port) {
        // In a configuration file, a setting is a line without the dashes.
        let lines = tls.settings(port.number());
        let lines = lines.chunks(2).map(|setting| setting.join(" ").replacen("--", "", 1));
        settings.extend(lines.flat_map(|line| [line, "\n".to_owned()]));
    }
    fs::write(&file, settings)?;
    let arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
    let (program, child) = (program(), Mutex::new(None));
    let sentinel = Redis { program, port, tls_port, folder, arguments, child };
    sentinel.resume()?;
    Ok(sentinel)
}
