//! The packages that people really use: each signs in, calls the dice tool, and calls it again after a restart
//! of the gateway without signing in. `tests/clients/README.md` says what the drivers are.

use crate::harness::{CALLBACK, Keep, World};
use gateway_standins::okta::OktaOptions;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// The drivers end by themselves after a minute.
const LIMIT: Duration = Duration::from_secs(70);

const MCP_REMOTE: &[&str] = &["node", "mcp-remote.mjs"];
const TYPESCRIPT_V2: &[&str] = &["node", "typescript-v2.mjs"];
const TYPESCRIPT_V1: &[&str] = &["node", "typescript-v1.mjs"];
const PYTHON: &[&str] = &[".venv/bin/python", "python-sdk.py"];
const FASTMCP: &[&str] = &[".venv/bin/python", "python-fastmcp.py"];

fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Runs a driver against the dice server and returns the line that it ends with.
async fn run(driver: &[&str], world: &World, state: &TempDir, more: &[(&str, &str)]) -> Value {
    let program = if driver[0].starts_with('.') { drivers().join(driver[0]) } else { driver[0].into() };
    let child = Command::new(program)
        .args(&driver[1..])
        .current_dir(drivers())
        .env("MCP_URL", world.dice_url())
        .env("STATE_DIR", state.path())
        .env("TOOL", "roll")
        .env("ARGUMENTS", r#"{"sides":6,"count":2}"#)
        .envs(more.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{driver:?}: {error}: run `make test`, which calls tests/clients/setup.sh")
        });
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("a driver ends").unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let diagnostics = String::from_utf8_lossy(&output.stderr);
    let last = stdout.lines().last().unwrap_or_default();
    let line: Value =
        serde_json::from_str(last).unwrap_or_else(|_| panic!("{driver:?}: {stdout}\n{diagnostics}"));
    assert_eq!(line["ok"], true, "{driver:?}: {line}\n{diagnostics}");
    line
}

/// Signs in, restarts the gateway, and calls again.
async fn signs_in_once(driver: &[&str], keep: Keep, more: &[(&str, &str)]) {
    let mut world = World::with(keep, |site| site).await;
    let state = tempfile::tempdir().unwrap();
    let first = run(driver, &world, &state, more).await;
    assert_eq!(first["signed_in"], true);
    assert_eq!(first["text"].as_str().unwrap().split(", ").count(), 2, "two dice: {first}");
    world.restart().await;
    let second = run(driver, &world, &state, more).await;
    assert_eq!(second["signed_in"], false, "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_remote_signs_in_once_on_the_embedded_store() {
    signs_in_once(MCP_REMOTE, Keep::Embedded, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_remote_signs_in_once_on_redis() {
    signs_in_once(MCP_REMOTE, Keep::Redis, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_signs_in_once_on_the_embedded_store() {
    signs_in_once(TYPESCRIPT_V2, Keep::Embedded, &[]).await;
    signs_in_once(TYPESCRIPT_V1, Keep::Embedded, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_signs_in_once_on_redis() {
    signs_in_once(TYPESCRIPT_V2, Keep::Redis, &[]).await;
    signs_in_once(TYPESCRIPT_V1, Keep::Redis, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_signs_in_once_on_the_embedded_store() {
    signs_in_once(PYTHON, Keep::Embedded, &[]).await;
    signs_in_once(FASTMCP, Keep::Embedded, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_signs_in_once_on_redis() {
    signs_in_once(PYTHON, Keep::Redis, &[]).await;
    signs_in_once(FASTMCP, Keep::Redis, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confidential_client_signs_in_with_its_secret_in_the_header_or_in_the_body() {
    for driver in [TYPESCRIPT_V2, TYPESCRIPT_V1, PYTHON] {
        for method in ["client_secret_basic", "client_secret_post"] {
            let world = World::start().await;
            let state = tempfile::tempdir().unwrap();
            run(driver, &world, &state, &[("AUTH_METHOD", method)]).await;
        }
    }
}

/// Refreshing instead of asking a person. The Node clients do it at a 401, the Python ones by their own clock.
#[tokio::test(flavor = "multi_thread")]
async fn every_client_refreshes_when_its_access_token_has_ended() {
    let ttl = Duration::from_mins(10);
    for driver in [MCP_REMOTE, TYPESCRIPT_V2, TYPESCRIPT_V1, PYTHON, FASTMCP] {
        let world = World::in_standing_time(|site| site.set(|site| site.tokens.access_ttl = ttl)).await;
        let state = tempfile::tempdir().unwrap();
        run(driver, &world, &state, &[]).await;
        world.clock.advance(ttl);
        let second = run(driver, &world, &state, &[("CLOCK_AHEAD", "600")]).await;
        assert_eq!(second["signed_in"], false, "{driver:?}: {second}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_an_okta_session_clicks_once() {
    let world = World::start().await;
    let jar = tempfile::tempdir().unwrap();
    let jar = jar.path().join("jar");
    let more = [("BROWSER_JAR", jar.to_str().unwrap())];
    let first = run(TYPESCRIPT_V2, &world, &tempfile::tempdir().unwrap(), &more).await;
    assert_eq!(first["forms"], serde_json::json!(["approve", "login"]));
    let second = run(TYPESCRIPT_V2, &world, &tempfile::tempdir().unwrap(), &more).await;
    assert_eq!(second["forms"], serde_json::json!(["approve"]));
}

/// `oidc-provider`, certified by the `OpenID` Foundation, in Okta's place.
#[tokio::test(flavor = "multi_thread")]
async fn a_certified_openid_provider_may_stand_in_oktas_place() {
    let options = OktaOptions::default();
    let mut world = World::start().await;
    let callback = world.url("/auth/callback");
    let mut provider = Command::new("node")
        .arg("oidc-provider.mjs")
        .current_dir(drivers())
        .env("PORT", "0")
        .env("ISSUER_PATH", "/oauth2/default")
        .env("OKTA_CLIENT_ID", &options.client_id)
        .env("OKTA_CLIENT_SECRET", &options.client_secret)
        .env("OKTA_REDIRECT_URI", callback)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = tokio::io::BufReader::new(provider.stdout.take().unwrap());
    let mut ready = String::new();
    let line = tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut ready);
    tokio::time::timeout(LIMIT, line).await.unwrap().unwrap();
    let issuer = ready.trim().strip_prefix("ready ").expect("the provider is ready");
    world.okta_url(issuer).await;
    let first = run(MCP_REMOTE, &world, &tempfile::tempdir().unwrap(), &[]).await;
    assert_eq!(first["signed_in"], true);
    run(PYTHON, &world, &tempfile::tempdir().unwrap(), &[("REDIRECT_URI", CALLBACK)]).await;
}
