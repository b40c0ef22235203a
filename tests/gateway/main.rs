//! What the gateway promises, shown on a real one: real stores, a stand-in Okta, real MCP servers and clients.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends; what it says is where it ended")]

mod harness;

mod attacks;
mod audit;
mod authorization;
mod chromium;
mod client_metadata;
mod clients;
mod clocks;
mod conformance;
mod consent;
mod cookies;
mod dead_ends;
mod discovery;
mod docs;
mod email;
mod full_disk;
mod hostile;
mod killed;
mod layers;
mod limits;
mod login;
mod nix;
mod overload;
mod private_key_jwt;
mod process;
mod proxy;
mod readme;
mod recheck;
mod refresh;
mod registration;
mod replicas;
mod resilience;
mod revocation;
mod secrets;
mod seed;
mod seed_faults;
mod store;
mod token_endpoint;
mod tokens;
mod transport;
mod upgrade;

use std::path::Path;
use std::sync::LazyLock;

/// The root of the workspace.
fn workspace() -> &'static Path {
    static ROOT: LazyLock<&Path> = LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    *ROOT
}
