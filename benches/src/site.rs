//! The binaries that are measured: built as they are shipped, for sites of the benchmark's own.

use crate::backend;
use crate::{Outcome, say};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where the benchmark keeps what it makes.
pub(crate) fn folder() -> PathBuf {
    workspace().join("target/bench")
}

/// The gateway with one route.
pub(crate) fn one_route(build: bool) -> Outcome<PathBuf> {
    binary("one-route", Path::new("benches/site.yaml"), build)
}

/// The gateway with a thousand.
pub(crate) fn thousand_routes(build: bool) -> Outcome<PathBuf> {
    let site = folder().join("thousand-routes.yaml");
    fs::create_dir_all(folder())?;
    fs::write(&site, thousand()?)?;
    binary("thousand-routes", &site, build)
}

fn thousand() -> Outcome<String> {
    let mut yaml = fs::read_to_string(workspace().join("benches/site.yaml"))?;
    for number in 1..1000 {
        let target = format!("http://127.0.0.1:{}", backend::PORT);
        write!(yaml, "  - pattern: \"/mcp/route-{number:03}/\"\n    target_url: \"{target}\"\n")?;
    }
    Ok(yaml)
}

/// Builds with the profile `dist`, and keeps a copy: the next build would replace the binary.
fn binary(name: &str, site: &Path, build: bool) -> Outcome<PathBuf> {
    let kept = folder().join(format!("gateway-{name}"));
    if !build && kept.exists() {
        return Ok(kept);
    }
    say(&format!("building {name} with the profile dist"));
    let root = workspace();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--profile", "dist", "--bin", "securemcp-okta-gateway"])
        .current_dir(root)
        .env("GATEWAY_CONFIG", site)
        .status()?;
    if !status.success() {
        return Err("the gateway does not build".into());
    }
    fs::create_dir_all(folder())?;
    fs::copy(root.join("target/dist/securemcp-okta-gateway"), &kept)?;
    Ok(kept)
}
