//! Whoever comes from the Go program changes nothing: its `config.yaml`, its environment, its clients.

use crate::harness::binary::{Process, Site, built_for};
use crate::harness::drivers::{self, MCP_REMOTE, Provider};
use crate::harness::ports::SeedServers;
use gateway_standins::okta::OktaOptions;

/// As the Go program's README has it; the port alone is the test's.
const SEED: &str = r#"proxies:
  - pattern: "/mcp/dice/"
    target_url: "http://localhost:3000"
  - pattern: "/mcp/uuid/"
    target_url: "http://localhost:4000"
"#;

#[test]
fn the_seeds_config_is_compiled_byte_for_byte() {
    assert_eq!(include_str!("../../routes/tests/golden/seed/config.yaml"), SEED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_config_and_environment_serve_mcp_remote_with_a_certified_provider_as_okta() {
    let binary = built_for(Site::Seed).await;
    let _servers = SeedServers::start().await;
    let options = OktaOptions::default();
    // The provider must know where the gateway is, and the gateway where the provider is: it comes up first.
    let mut process = Process::start(
        &binary,
        &[
            ("OAUTH_OKTA_URL", "http://127.0.0.1:9"),
            ("OAUTH_OKTA_CLIENT_ID", &options.client_id),
            ("OAUTH_OKTA_CLIENT_SECRET", &options.client_secret),
            ("OAUTH_OKTA_REDIRECT_URI", "{base_url}/auth/callback"),
        ],
    )
    .await;
    let provider = Provider::start(&format!("{}/auth/callback", process.base_url)).await;
    process.set("OAUTH_OKTA_URL", &provider.issuer);
    process.restart().await;
    let state = tempfile::tempdir().unwrap();
    let url = format!("{}/mcp/dice/mcp", process.base_url);
    let first = drivers::run(MCP_REMOTE, &url, state.path(), &[]).await;
    assert_eq!((&first["ok"], &first["signed_in"]), (&true.into(), &true.into()), "{first}");
    process.restart().await;
    let second = drivers::run(MCP_REMOTE, &url, state.path(), &[]).await;
    assert_eq!((&second["ok"], &second["signed_in"]), (&true.into(), &false.into()), "{second}");
    let uuid = format!("{}/mcp/uuid/mcp", process.base_url);
    let tool = [("TOOL", "generate"), ("ARGUMENTS", r#"{"count":1}"#)];
    let other = drivers::run(MCP_REMOTE, &uuid, state.path(), &tool).await;
    assert_eq!((&other["ok"], &other["signed_in"]), (&true.into(), &true.into()), "{other}");
}
