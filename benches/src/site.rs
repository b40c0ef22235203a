//! Measured binaries: built with the release profile for sites of the benchmark.

use crate::backend;
use crate::{Outcome, print_line};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Directory of generated files.
pub(crate) fn folder() -> PathBuf {
    workspace().join("target/bench")
}

/// Gateway with one route.
pub(crate) fn one_route(build: bool) -> Outcome<PathBuf> {
    binary("one-route", Path::new("benches/site.yaml"), build)
}

/// Gateway with a thousand routes.
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

/// Builds with the profile `dist` and copies the binary, because the next build would replace it.
fn binary(name: &str, site: &Path, build: bool) -> Outcome<PathBuf> {
    let kept = folder().join(format!("gateway-{name}"));
    if !build && kept.exists() {
        return Ok(kept);
    }
    print_line(&format!("building {name} with the profile dist"));
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
