//! Integration tests of the gateway with real stores, a stand-in Okta, real MCP servers and clients.

#![expect(clippy::unwrap_used, reason = "a panic fails the test and reports its line")]

mod harness;

mod attacks;
mod audit;
mod authorities;
mod authorization;
mod chromium;
mod client_metadata;
mod clients;
mod clock_skew;
mod conformance;
mod consent;
mod cookies;
mod crash_recovery;
mod discovery;
mod docs;
mod egress_proxy;
mod email;
mod error_pages;
mod failures;
mod full_disk;
mod go_program;
mod go_program_faults;
mod hostile;
mod layers;
mod limits;
mod login;
mod nix;
mod okta;
mod on_the_demo;
mod overload;
mod private_key_jwt;
mod process;
mod proxy;
mod readme;
mod refresh;
mod registration;
mod replicas;
mod resilience;
mod revalidation;
mod revocation;
mod secrets;
mod servers;
mod shutdown;
mod store;
mod token_endpoint;
mod tokens;
mod transport;
mod upgrade;

use std::path::Path;
use std::sync::LazyLock;

/// Root of the workspace.
fn workspace() -> &'static Path {
    static ROOT: LazyLock<&Path> = LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    *ROOT
}
