//! The binary on a file system of its own that fills up.

use crate::harness::binary::{BINARY, Process};
use crate::harness::{CALLBACK, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Client, Login};
use gateway_standins::okta::{Okta, OktaOptions};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Mounts 2 MiB at `DATA_DIR`, for itself alone, and becomes the gateway.
const ON_A_SMALL_DISK: &str = r#"#!/bin/sh
exec unshare --mount sh -c 'mkdir -p "$DATA_DIR" && mount -t tmpfs -o size=2m tmpfs "$DATA_DIR" && exec "$GATEWAY"'
"#;

#[expect(clippy::print_stdout, reason = "a test that was not run says so")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_503_and_passes_and_nobody_is_logged_out() {
    if !may_mount() {
        println!("skipped: this user may not mount; store::embedded::slot::tests fills a simulated disk");
        return;
    }
    let okta = Okta::start(OktaOptions::default()).await.unwrap();
    let (folder, program) = small_disk();
    let path = std::env::var("PATH").unwrap();
    let gateway = Process::with_okta(&program, &okta, &[("PATH", &path), ("GATEWAY", BINARY)]).await;
    let client = client::discover(&format!("{}/mcp/dice/mcp", gateway.base_url)).await.unwrap();
    let client = client.register("Test client", "none", CALLBACK).await.unwrap();
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let tokens = client.redeem(&code).await.unwrap();
    let ballast = gateway.data_dir_as_it_sees_it().join("ballast");
    fill(&ballast);
    let (refresh, refused) = refresh_until_refused(&client, tokens.refresh_token.unwrap()).await;
    assert_eq!((refused.0, refused.1["error"].as_str()), (503, Some("temporarily_unavailable")));
    let call = http().post(format!("{}/mcp/dice/mcp", gateway.base_url)).bearer_auth(&tokens.access_token);
    assert_ne!(call.send().await.unwrap().status(), 401, "calls go on");
    fs::remove_file(ballast).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while client.refresh(&refresh).await.is_err() {
        assert!(Instant::now() < deadline, "it does not recover: {}", gateway.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(folder);
}

/// Whether a file system can be mounted here.
fn may_mount() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs tmpfs '{}'", folder.path().display());
    let tried = Command::new("unshare").args(["--mount", "sh", "-c", &mount]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

fn small_disk() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("gateway");
    fs::write(&program, ON_A_SMALL_DISK).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
    (folder, program)
}

/// Takes all the room that there is.
fn fill(ballast: &Path) {
    let mut file = fs::File::create(ballast).unwrap();
    for _ in 0..64 * 1024 {
        if file.write_all(&[1; 512]).is_err() {
            return;
        }
    }
    panic!("the disk is not small");
}

/// Refreshes until that is refused; the newest token that was handed out, and the refusal.
async fn refresh_until_refused(client: &Client, mut newest: String) -> (String, (u16, Value)) {
    for _ in 0..1000 {
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*newest)];
        let (status, body) = client.token(&form).await.unwrap();
        match body["refresh_token"].as_str() {
            Some(next) if status == 200 => next.clone_into(&mut newest),
            _ => return (newest, (status, body)),
        }
    }
    panic!("the disk does not fill up");
}
