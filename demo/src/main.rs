//! `make demo`: all of it on this machine, without an Okta account and without anything to install but Rust and a C compiler.
//!
//! It starts a stand-in Okta, the two MCP servers of `routes/`, and the gateway in front of them, and says what to
//! paste into a client. With `--once` a built-in client does what a client does, step by step.

mod ports;
mod walk;
mod welcome;
mod world;

use clap::Parser;
use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;
use world::World;

/// The compiled site: `config.yaml` and `routes/` as constants, written by `build.rs`.
#[expect(unreachable_pub, reason = "compiled sites are public where they are included")]
mod site {
    include!(concat!(env!("OUT_DIR"), "/site.rs"));
}

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The gateway with everything around it, on this machine.
#[derive(Parser)]
struct Arguments {
    /// Let a built-in MCP client sign in, roll dice and refresh its token, and end.
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match demonstrate(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When standard error is closed there is nobody to tell.
            let _ = writeln!(io::stderr(), "the demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate(arguments: &Arguments) -> Outcome<()> {
    // A person wants to see what is decided while they try it; with `--once` the steps say it all.
    let shown = if arguments.once { "error" } else { "warn,audit=info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(shown));
    let colours = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().compact().without_time().with_ansi(colours).with_env_filter(filter);
    log.with_writer(io::stderr).init();

    let runtime = Runtime::new()?;
    let world = runtime.block_on(World::start(arguments.once))?;
    let outcome = if arguments.once {
        runtime.block_on(walk::walk(&world.base_url))
    } else {
        welcome::welcome(&world);
        runtime.block_on(tokio::signal::ctrl_c()).map_err(Into::into)
    };
    world.end();
    outcome
}

/// A line for whoever watches.
fn say(line: &str) {
    // A reader that has gone away is no failure.
    let _ = writeln!(io::stdout(), "{line}");
}
