//! Processes on a core of their own, which never outlive the benchmark.

use crate::Outcome;
use std::ffi::OsStr;
use std::fs;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// Where the servers run that are measured.
pub(crate) const SERVER_CORE: usize = 0;
/// Where the load and the backend run.
pub(crate) const LOAD_CORE: usize = 1;

/// A process that ends when this is dropped, and whenever the benchmark ends.
pub(crate) struct Process(Child);

/// A command for that core whose process the kernel kills together with ours.
pub(crate) fn command(core: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "taskset", "--cpu-list", &core.to_string()]).arg(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Moves this process to that core.
pub(crate) fn stay_on(core: usize) -> Outcome<()> {
    let own = std::process::id().to_string();
    let status = std::process::Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", &core.to_string(), &own])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("taskset: {error}: apt-get install util-linux"))?;
    if status.success() { Ok(()) } else { Err("two cores are needed".into()) }
}

impl Process {
    /// Starts what [`command`] made.
    pub(crate) fn start(mut command: Command) -> Outcome<Self> {
        Ok(Self(command.spawn()?))
    }

    /// Its id.
    pub(crate) fn id(&self) -> Outcome<u32> {
        self.0.id().ok_or_else(|| "a server that is measured has ended".into())
    }

    /// The CPU time of its threads so far; the kernel counts it in nanoseconds.
    pub(crate) fn cpu_time(&self) -> Outcome<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.id()?))? {
            let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += schedstat.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Its resident memory.
    pub(crate) fn resident_kib(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.ok_or("no VmRSS in /proc")?.trim().parse()?)
    }
}
