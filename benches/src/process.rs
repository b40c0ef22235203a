//! Child processes pinned to a CPU core, which are killed with the benchmark.

use crate::Outcome;
use std::ffi::OsStr;
use std::fs;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// CPU core of the measured servers.
pub(crate) const SERVER_CORE: usize = 0;
/// CPU core of the load generator and the backend.
pub(crate) const LOAD_CORE: usize = 1;

/// Child process that is killed on drop and when the benchmark ends.
pub(crate) struct Process(Child);

/// Builds a command pinned to a core, whose process the kernel kills with this one.
pub(crate) fn command(core: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "taskset", "--cpu-list", &core.to_string()]).arg(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Pins this process to a core.
pub(crate) fn pin_to_core(core: usize) -> Outcome<()> {
    let own = std::process::id().to_string();
    let status = std::process::Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", &core.to_string(), &own])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("taskset: {error}: apt-get install util-linux"))?;
    if status.success() { Ok(()) } else { Err("two cores are needed".into()) }
}

impl Process {
    /// Spawns a command of [`command`].
    pub(crate) fn start(mut command: Command) -> Outcome<Self> {
        Ok(Self(command.spawn()?))
    }

    /// Process ID.
    pub(crate) fn id(&self) -> Outcome<u32> {
        self.0.id().ok_or_else(|| "a server that is measured has ended".into())
    }

    /// CPU time of all threads, with nanosecond resolution.
    pub(crate) fn cpu_time(&self) -> Outcome<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.id()?))? {
            let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += schedstat.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.ok_or("no VmRSS in /proc")?.trim().parse()?)
    }
}
