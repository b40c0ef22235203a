//! What the binary can be told to do.

mod log;
pub mod serve;

pub use serve::serve;

use gateway_routes::{Identity, Site};
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};

/// Why a command failed, for the person who gave it.
#[derive(Debug)]
pub struct Failed(pub String);

impl<E: Display> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// `--version`: which binary this is.
pub fn version(site: &Site) -> String {
    format!(
        "securemcp-okta-gateway {} ({}, configuration {})\n",
        env!("CARGO_PKG_VERSION"),
        site.environment,
        site.digest
    )
}

/// `routes`: the compiled table.
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

/// Writes a command's answer; a reader that has gone away is no failure.
pub fn print(text: &str) -> Result<(), Failed> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Tells a person why a command failed.
pub fn complain(why: &str) {
    // When standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "{}", why.trim_end());
}
