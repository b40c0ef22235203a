//! Real clients and the certified `OpenID` provider of `tests/clients`, as processes.

use crate::workspace;
use gateway_standins::okta::OktaOptions;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Drivers end after a minute.
const LIMIT: Duration = Duration::from_secs(70);

pub(crate) const MCP_REMOTE: &[&str] = &["node", "mcp-remote.mjs"];
pub(crate) const TYPESCRIPT_V2: &[&str] = &["node", "typescript-v2.mjs"];
pub(crate) const TYPESCRIPT_V1: &[&str] = &["node", "typescript-v1.mjs"];
pub(crate) const PYTHON: &[&str] = &[".venv/bin/python", "python-sdk.py"];
pub(crate) const FASTMCP: &[&str] = &[".venv/bin/python", "python-fastmcp.py"];

/// Folder of the drivers.
pub(crate) fn folder() -> PathBuf {
    workspace().join("tests/clients")
}

/// Runs a driver against the MCP server at `url`; returns its last line of output.
pub(crate) async fn run(driver: &[&str], url: &str, state: &Path, more: &[(&str, &str)]) -> Value {
    let program = if driver[0].starts_with('.') { folder().join(driver[0]) } else { driver[0].into() };
    let child = Command::new(program)
        .args(&driver[1..])
        .current_dir(folder())
        .env("MCP_URL", url)
        .env("STATE_DIR", state)
        .env("TOOL", "roll")
        .env("ARGUMENTS", r#"{"sides":6,"count":2}"#)
        .envs(more.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{driver:?}: {error}: run `make test`, which calls tests/setup.sh"));
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("a driver ends").unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let diagnostics = String::from_utf8_lossy(&output.stderr);
    let last = stdout.lines().last().unwrap_or_default();
    let mut line: Value =
        serde_json::from_str(last).unwrap_or_else(|_| panic!("{driver:?}: {stdout}\n{diagnostics}"));
    if line["ok"] != true {
        line["diagnostics"] = diagnostics.into();
    }
    line
}

/// `oidc-provider`, certified by the `OpenID` Foundation, in place of Okta.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    _child: Child,
}

impl Provider {
    /// Starts it as an Okta with one custom authorization server and the app of [`OktaOptions::default`].
    pub(crate) async fn start(callback: &str) -> Self {
        let options = OktaOptions::default();
        let mut command = Command::new("node");
        command
            .arg("oidc-provider.mjs")
            .current_dir(folder())
            .env("PORT", "0")
            .env("ISSUER_PATH", "/oauth2/default")
            .env("OKTA_CLIENT_ID", &options.client_id)
            .env("OKTA_CLIENT_SECRET", &options.client_secret)
            .env("OKTA_REDIRECT_URI", callback);
        let (issuer, child) = start_server(&mut command).await;
        Self { issuer, _child: child }
    }
}

/// Starts a server whose first line of output is `ready <url>`; it is killed when the child is dropped.
pub(crate) async fn start_server(command: &mut Command) -> (String, Child) {
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    (ready.strip_prefix("ready ").expect("the server is ready").to_owned(), child)
}
