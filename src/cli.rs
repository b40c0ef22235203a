//! The commands of the executable.

mod log;
pub mod serve;

pub use serve::serve;

use gateway_routes::{Identity, Site};
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};

/// The error message of a failed command.
#[derive(Debug)]
pub struct Failed(pub String);

impl<E: Display> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Returns the output of `--version`.
pub fn version(site: &Site) -> String {
    format!(
        "securemcp-okta-gateway {} ({}, configuration {})\n",
        env!("CARGO_PKG_VERSION"),
        site.environment,
        site.digest
    )
}

/// Returns the output of `routes`: the compiled route table.
pub fn routes(site: &Site) -> String {
    let mut text = String::new();
    for route in site.table.routes() {
        let scheme = if route.target.tls { "https" } else { "http" };
        let identity = match route.identity {
            Identity::None => "none",
            Identity::Headers => "headers",
        };
        let groups = if route.groups.is_empty() { "everyone".into() } else { route.groups.join(", ") };
        let lines = format!(
            "{}  ({})\n  target    {scheme}://{}{}\n  scopes    {}\n  groups    {groups}\n  identity  {identity}\n",
            route.pattern,
            route.name,
            route.target.authority,
            route.target.path,
            route.scopes.join(" "),
        );
        let ca_file = route.ca_file.map(|file| format!("  ca_file   {file}\n")).unwrap_or_default();
        text.write_str(&(lines + &ca_file)).expect("writing to a String does not fail");
    }
    text
}

/// Writes a command's output to standard output. A closed pipe is not an error.
pub fn print(text: &str) -> Result<(), Failed> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes an error message to standard error.
pub fn print_error(message: &str) {
    // Without standard error the message cannot be reported anywhere.
    let _ = writeln!(io::stderr(), "{}", message.trim_end());
}
