//! The executable: parses the arguments, runs a command and sets the exit code.

use clap::{Parser, Subcommand};
use gateway::cli;
use site::SITE;
use std::process::ExitCode;

/// The compiled site: `config.yaml` and `routes/` as constants, written by `build.rs`.
#[expect(unreachable_pub, reason = "compiled sites are public where they are included")]
mod site {
    include!(concat!(env!("OUT_DIR"), "/site.rs"));
}

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Puts MCP servers behind Okta. The routes are compiled in; secrets and Redis come from the environment.
#[derive(Parser)]
#[command(disable_version_flag = true)]
struct Arguments {
    /// Print version, environment and the digest of the compiled configuration.
    #[arg(long, short = 'V')]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM (the default).
    Serve,
    /// Print the compiled route table.
    Routes,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        _ if arguments.version => cli::print(&cli::version(&SITE)),
        Some(Command::Routes) => cli::print(&cli::routes(&SITE)),
        Some(Command::Serve) | None => cli::serve(&SITE),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::print_error(&error);
            ExitCode::FAILURE
        }
    }
}
