//! Compatibility with the Go program: its `config.yaml`, environment and clients work unchanged.

use crate::harness::binary::Process;
use crate::harness::drivers::{self, MCP_REMOTE, Provider};
use crate::harness::go_program::GoProgram;
use gateway_standins::okta::OktaOptions;
use gateway_standins::redis::Redis;
use std::path::Path;

/// From the README of the Go program. The servers of the tests listen on other, free ports.
const CONFIG: &str = r#"proxies:
  - pattern: "/mcp/dice/"
    target_url: "http://localhost:3000"
  - pattern: "/mcp/uuid/"
    target_url: "http://localhost:4000"
"#;

#[test]
fn the_go_programs_config_is_compiled_unchanged() {
    assert_eq!(include_str!("../../routes/tests/golden/go-program/config.yaml"), CONFIG);
}

/// Starts the binary of the Go program's site with its environment, these variables, and a certified provider as
/// Okta.
async fn go_program(more: &[(&str, &str)]) -> (Process, Provider) {
    let binary = &GoProgram::shared().await.binary;
    let options = OktaOptions::default();
    let mut environment = vec![
        ("OAUTH_OKTA_URL", "http://127.0.0.1:9"),
        ("OAUTH_OKTA_CLIENT_ID", &*options.client_id),
        ("OAUTH_OKTA_CLIENT_SECRET", &*options.client_secret),
        ("OAUTH_OKTA_REDIRECT_URI", "{base_url}/auth/callback"),
    ];
    environment.extend_from_slice(more);
    // Each needs the URL of the other: the gateway is started first, without its Okta.
    let mut process = Process::start(binary, &environment).await;
    let provider = Provider::start(&format!("{}/auth/callback", process.base_url)).await;
    process.set("OAUTH_OKTA_URL", &provider.issuer);
    process.restart().await;
    (process, provider)
}

/// Runs mcp-remote with the state in `folder`; returns whether a login was needed.
async fn needs_sign_in(url: &str, folder: &Path, tool: &[(&str, &str)]) -> bool {
    let line = drivers::run(MCP_REMOTE, url, folder, tool).await;
    assert_eq!(line["ok"], true, "{line}");
    line["signed_in"].as_bool().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_go_programs_config_and_environment_serve_mcp_remote() {
    let (mut process, _provider) = go_program(&[]).await;
    let state = tempfile::tempdir().unwrap();
    let dice = format!("{}/mcp/dice/mcp", process.base_url);
    assert!(needs_sign_in(&dice, state.path(), &[]).await);
    process.restart().await;
    assert!(!needs_sign_in(&dice, state.path(), &[]).await, "no login is needed after a restart");
    let uuid = format!("{}/mcp/uuid/mcp", process.base_url);
    let generate = [("TOOL", "generate"), ("ARGUMENTS", r#"{"count":1}"#)];
    assert!(needs_sign_in(&uuid, state.path(), &generate).await, "another server needs another grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_go_programs_redis_with_a_password_serves_mcp_remote() {
    let redis = Redis::start().unwrap();
    redis.command(&["CONFIG", "SET", "requirepass", "a password of Redis"]).unwrap();
    let address = redis.address();
    let (mut process, _provider) = go_program(&[
        ("KVS_ADDR", &address),
        ("KVS_PASSWORD", "a password of Redis"),
        ("GATEWAY_SECRET", "5f0e8d7c6b5a49382716f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0"),
    ])
    .await;
    let state = tempfile::tempdir().unwrap();
    let dice = format!("{}/mcp/dice/mcp", process.base_url);
    assert!(needs_sign_in(&dice, state.path(), &[]).await);
    process.restart().await;
    assert!(!needs_sign_in(&dice, state.path(), &[]).await, "no login is needed after a restart");
}
