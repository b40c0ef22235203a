//! Clients of `make demo` on a machine without the internet: the command lines of MCP clients from npm,
//! and the public lab for the authorization of MCP servers.

use crate::harness::binary::demo;
use crate::harness::drivers::folder;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command as Blocking, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// The drivers end by themselves after a minute and a half, the demo starts at once.
const LIMIT: Duration = Duration::from_mins(2);

/// A network of its own, in which there is loopback alone.
const WITHOUT_INTERNET: [&str; 4] = ["sh", "-c", r#"ip link set lo up && exec "$@""#, "sh"];

/// Findings of the lab that are known, with the reason; `TLS-01` is about the demo alone.
const EXPECTED_FINDINGS: [(&str, &str); 1] = [("TLS-01", "the demo is plain http on loopback: a warning")];

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_signs_in_on_the_demo_without_the_internet() {
    connects("claude-code").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_signs_in_on_the_demo_without_the_internet() {
    connects("codex").await;
}

#[expect(clippy::print_stdout, reason = "a test that was not run says so")]
#[tokio::test(flavor = "multi_thread")]
async fn opencode_signs_in_on_the_demo_without_the_internet() {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        connects("opencode").await;
    } else {
        println!("skipped: the package is that of another system");
    }
}

#[expect(clippy::print_stdout, reason = "a grade is to be read")]
#[tokio::test(flavor = "multi_thread")]
async fn the_public_lab_gives_the_demo_grade_a() {
    let report = on_the_demo(&["node", "auth-lab.mjs"]).await;
    println!("{report}");
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(report["coverage"]["ran"], report["coverage"]["applicable"], "{report}");
    let findings = report["findings"].as_array().unwrap().iter();
    let found: BTreeSet<&str> = findings.map(|finding| finding["id"].as_str().unwrap()).collect();
    let expected: BTreeSet<&str> = EXPECTED_FINDINGS.iter().map(|(id, _)| *id).collect();
    assert_eq!(found, expected, "a finding is new, or gone and to be removed here: {report}");
    assert_eq!(report["grade"], "A", "{report}");
}

/// The command line signs in and reports that it is connected.
async fn connects(client: &str) {
    let line = on_the_demo(&["node", "command-lines/command-line.mjs", client]).await;
    assert_eq!(line["ok"], true, "{line}");
}

/// Runs a driver of `tests/clients` beside a demo of its own; the line that it ends with.
async fn on_the_demo(driver: &[&str]) -> Value {
    let mut arguments = isolation();
    arguments.extend(["node", "command-lines/on-the-demo.mjs", demo().to_str().unwrap()]);
    arguments.extend(driver);
    let child = Command::new(arguments[0])
        .args(&arguments[1..])
        .current_dir(folder())
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("a driver ends").unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().unwrap_or_default();
    let diagnostics = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(last).unwrap_or_else(|_| {
        panic!(
            "{driver:?}: {stdout}\n{diagnostics}\nif a package is missing: `make test` calls tests/setup.sh"
        )
    })
}

/// The command that takes the internet away, where this user may.
#[expect(clippy::print_stdout, reason = "a test that has the internet says so")]
fn isolation() -> Vec<&'static str> {
    for unshare in [&["unshare", "--net"][..], &["unshare", "--map-root-user", "--net"]] {
        let command: Vec<&str> = unshare.iter().chain(&WITHOUT_INTERNET).copied().collect();
        let tried = Blocking::new(command[0]).args(&command[1..]).arg("true").output();
        if tried.is_ok_and(|tried| tried.status.success()) {
            return command;
        }
    }
    println!("this user may not make a network: what runs here has the internet of this machine");
    Vec::new()
}
