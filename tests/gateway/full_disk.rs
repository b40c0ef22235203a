//! The binary on its own file system that runs full.

use crate::harness::binary::{Process, binary};
use crate::harness::{CALLBACK, http};
use gateway_standins::ClientError;
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Client, Login, Tokens};
use gateway_standins::okta::{Okta, OktaOptions};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Mounts 2 MiB at `DATA_DIR` in its own mount namespace and executes the gateway.
const SMALL_DISK_SCRIPT: &str = r#"#!/bin/sh
exec unshare --mount sh -c 'mkdir -p "$DATA_DIR" && mount -t tmpfs -o size=2m,mode=0700 tmpfs "$DATA_DIR" && exec "$GATEWAY"'
"#;

#[expect(clippy::print_stdout, reason = "prints that the test is skipped")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_503_and_logs_nobody_out() {
    if !may_mount() {
        println!("skipped: this user may not mount; store::embedded::writer::tests fills a simulated disk");
        return;
    }
    let okta = Okta::start(OktaOptions::default()).await.unwrap();
    let (folder, program) = small_disk();
    let path = std::env::var("PATH").unwrap();
    let gateway =
        Process::with_okta(&program, &okta, &[("PATH", &path), ("GATEWAY", binary().to_str().unwrap())])
            .await;
    let client = client::discover(&format!("{}/mcp/dice/mcp", gateway.base_url)).await.unwrap();
    let client = client.register("Test client", "none", CALLBACK).await.unwrap();
    let first = sign_in(&client, &mut Browser::new()).await.unwrap();
    let filler = gateway.data_dir_setting().join("ballast");
    fill_disk(&filler);
    let (mut tokens, refused) = sign_in_until_refused(&client).await;
    assert!(refused.contains("503") || refused.starts_with("temporarily_unavailable"), "{refused}");
    let call = http().post(format!("{}/mcp/dice/mcp", gateway.base_url)).bearer_auth(&first.access_token);
    assert_ne!(call.send().await.unwrap().status(), 401, "calls are still served");
    fs::remove_file(filler).unwrap();
    tokens.push(first);
    let deadline = Instant::now() + Duration::from_secs(10);
    for acknowledged in tokens {
        while let Err(refused) = client.refresh(acknowledged.refresh_token.as_ref().unwrap()).await {
            assert!(refused.0.starts_with("temporarily_unavailable"), "{refused}");
            assert!(Instant::now() < deadline, "it does not recover: {}", gateway.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert_two_warnings(&gateway.log());
    drop(folder);
}

/// Asserts that the store's outage has left one line at each end.
fn assert_two_warnings(log: &str) {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let about_the_store = lines.filter(|line| {
        line["level"] != "INFO" && line["message"].as_str().is_some_and(|text| text.contains("the store"))
    });
    let lines: Vec<Value> = about_the_store.collect();
    assert!(lines.iter().all(|line| line["level"] == "WARN"), "{lines:?}");
    let first = lines[0]["message"].as_str().unwrap();
    assert!(first.contains("the store is unavailable") && lines[0]["cause"] != "", "{lines:?}");
    // Small writes may succeed in between, on space that was freed: then a count follows once a minute.
    assert!((2..=3).contains(&lines.len()), "{lines:?}");
    assert!(lines[1]["message"].as_str().unwrap().contains("the store is available again"), "{lines:?}");
}

/// Returns `true` if this user can mount a file system.
fn may_mount() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs tmpfs '{}'", folder.path().display());
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &mount]).output();
    output.is_ok_and(|output| output.status.success())
}

fn small_disk() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("gateway");
    fs::write(&program, SMALL_DISK_SCRIPT).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
    (folder, program)
}

/// Fills the disk completely.
fn fill_disk(filler: &Path) {
    let mut file = fs::File::create(filler).unwrap();
    for _ in 0..64 * 1024 {
        if file.write_all(&[1; 512]).is_err() {
            return;
        }
    }
    panic!("the disk is not small");
}

async fn sign_in(client: &Client, browser: &mut Browser) -> Result<Tokens, ClientError> {
    client.redeem(&client.authorize(browser, &Login::of("alice")).await?).await
}

/// Signs in until a login fails; returns the issued tokens and the error.
async fn sign_in_until_refused(client: &Client) -> (Vec<Tokens>, String) {
    let (mut tokens, mut browser) = (Vec::new(), Browser::new());
    for _ in 0..1000 {
        match sign_in(client, &mut browser).await {
            Ok(acknowledged) => tokens.push(acknowledged),
            Err(refused) => return (tokens, refused.to_string()),
        }
    }
    panic!("the disk does not fill up");
}
