//! Command line arguments of the benchmark.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Measures the gateway beside nginx. Needs nginx, wrk, h2load, util-linux, and for `instructions` valgrind.
#[derive(Parser)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Throughput, CPU time and latency beside nginx (the default).
    Compare(Options),
    /// Instructions of one proxied request under callgrind; fails above the ceiling.
    Instructions(Counted),
    /// The gateway in this program, for `instructions`.
    #[command(hide = true)]
    Serve {
        /// 1 or 1000.
        routes: usize,
    },
}

#[derive(Args)]
pub(crate) struct Counted {
    /// Count this binary instead, built with `GATEWAY_CONFIG=benches/site.yaml`, and hold it to no ceiling.
    #[arg(long)]
    pub(crate) binary: Option<PathBuf>,
}

#[derive(Args, Clone, Default)]
pub(crate) struct Options {
    /// Run a small part in about a minute, without writing a report.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Number of rounds.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Duration of one run, in seconds.
    #[arg(long, default_value_t = 3)]
    pub(crate) seconds: u64,
    /// Number of idle event streams.
    #[arg(long, default_value_t = 4000)]
    pub(crate) streams: usize,
    /// Duration of the idle streams, in seconds.
    #[arg(long, default_value_t = 300)]
    pub(crate) idle: u64,
    /// Run only scenarios whose name contains this text.
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Measure the binaries of the last run instead of building them.
    #[arg(long)]
    pub(crate) no_build: bool,
    /// The date in the report; the system's otherwise.
    #[arg(long)]
    pub(crate) date: Option<String>,
}

impl Arguments {
    pub(crate) fn command(self) -> Command {
        self.command.unwrap_or(Command::Compare(self.options))
    }
}

impl Options {
    /// Returns the number of rounds and the duration of a run.
    pub(crate) fn turns(&self) -> (usize, Duration) {
        if self.quick {
            (3, Duration::from_secs(1))
        } else {
            (self.rounds, Duration::from_secs(self.seconds))
        }
    }
}
