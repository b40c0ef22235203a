//! The commands of the executable.

mod background;
mod log;
pub mod serve;
mod signals;

pub use serve::serve;

use crate::app::state::GatewayError;
use crate::base::error_chain::ErrorChain;
use crate::settings::Problems;
use crate::settings::key_file::KeyFileError;
use crate::store::OpenError;
use gateway_routes::{EgressProxySite, Identity, Site, UpstreamHeader, ValuePart};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use thiserror::Error;

/// Error of a command.
#[derive(Debug, Error)]
pub enum CommandError {
    /// Settings are missing or invalid.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// `GATEWAY_SECRET` is not set, and replicas on Redis must share one.
    #[error("GATEWAY_SECRET is not set")]
    NoSecret,
    /// The secret file beside the embedded store cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The gateway cannot be created.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// `registration.not_before` would invalidate existing and new registrations alike.
    #[error(
        "registration.not_before of the compiled configuration lies in the future: build with an earlier moment, or \
         correct this machine's clock"
    )]
    RegistrationDate,
    /// The port or the limit of open files is unavailable.
    #[error("cannot serve on port {port}")]
    Listen {
        /// Port of the listener.
        port: u16,
        /// Error of the operating system.
        source: io::Error,
    },
    /// SIGTERM or SIGINT during the shutdown.
    #[error("ended by a second signal before the shutdown was complete")]
    SecondSignal,
    /// A thread or a signal handler is unavailable, or standard output cannot be written.
    #[error(transparent)]
    System(#[from] io::Error),
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
        let headers = upstream_headers(route.upstream_headers);
        text.write_str(&(lines + &ca_file + &headers)).expect("writing to a String does not fail");
    }
    text + &egress_proxy(&site.egress_proxy)
}

/// Describes the compiled egress proxy with the names of its variables, never with values.
fn egress_proxy(proxy: &EgressProxySite) -> String {
    if !proxy.enabled {
        return "egress proxy  off\n".to_owned();
    }
    if *proxy == EgressProxySite::DEFAULT {
        return String::new();
    }
    let used_by = if proxy.client_metadata { "Okta, client documents" } else { "Okta" };
    let user = proxy.username.map(|user| match user {
        ValuePart::Text(text) => format!("  user      {text}\n"),
        ValuePart::Variable(name) => format!("  user      {name}\n"),
    });
    let password = proxy.password.map(|name| format!("  password  {name}\n"));
    let direct = proxy.no_proxy.map(|hosts| format!("  direct    {}\n", hosts.join(" ")));
    let details: String = [user, password, direct].into_iter().flatten().collect();
    format!("egress proxy  {}\n  used by   {used_by}\n{details}", proxy.url.unwrap_or("HTTPS_PROXY"))
}

/// Lists the headers with the names of their variables, never with values.
fn upstream_headers(headers: &[UpstreamHeader]) -> String {
    let described = headers.iter().map(|header| {
        let variables: Vec<&str> = header.variables().collect();
        let source = if variables.is_empty() { "fixed".to_owned() } else { variables.join(", ") };
        format!("{} ({source})", header.name)
    });
    match described.collect::<Vec<_>>().join(", ") {
        described if described.is_empty() => described,
        described => format!("  headers   {described}\n"),
    }
}

/// Writes a command's output to standard output. A closed pipe is not an error.
pub fn print(text: &str) -> Result<(), CommandError> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes an error with its causes to standard error.
pub fn print_error(error: &CommandError) {
    let message = ErrorChain(error).to_string();
    // Without standard error the message cannot be reported anywhere.
    let _ = writeln!(io::stderr(), "{}", message.trim_end());
}
