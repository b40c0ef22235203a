//! `make bench`: what the authenticated proxy costs, beside nginx, in alternating runs.
//!
//! The servers that are measured share one core; the load and the backend behind them have the other. Other work on
//! the machine disturbs the absolute numbers, much less the ratios of runs that alternate, and not at all the
//! instruction counts: trust them in this order.

mod arguments;
mod backend;
mod compare;
mod flows;
mod gateway;
mod instructions;
mod load;
mod minted;
mod nginx;
mod process;
mod report;
mod scenarios;
mod serve;
mod site;
mod statistics;
mod streams;

use arguments::{Arguments, Command};
use clap::Parser;
use compare::Binaries;
use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// The compiled site: `config.yaml` and `routes/` as constants, written by `build.rs`.
#[expect(unreachable_pub, reason = "compiled sites are public where they are included")]
mod compiled {
    include!(concat!(env!("OUT_DIR"), "/site.rs"));
}

type Outcome<T> = Result<T, Box<dyn Error>>;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command() {
        // Built first, on all cores.
        Command::Compare(options) => {
            Binaries::build(&options).and_then(|binaries| run(compare::run(options, binaries)))
        }
        Command::Instructions(options) => run(instructions::run(options)),
        Command::Serve { routes } => serve::run(routes),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When standard error is closed there is nobody to tell.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `work` on this thread, until it ends or somebody presses Ctrl-C; either way all that it started ends too.
fn run(work: impl Future<Output = Outcome<()>>) -> Outcome<()> {
    process::stay_on(process::LOAD_CORE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Err("stopped".into()),
        }
    })
}

/// A line for whoever watches.
fn say(line: &str) {
    // A reader that has gone away is no failure.
    let _ = writeln!(io::stdout(), "{line}");
}
