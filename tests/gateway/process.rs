//! The binary itself: what it prints, when it refuses to start, how it ends.

use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_secure-mcp-okta-gateway");

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_clear().envs(environment.iter().copied());
    command.output().unwrap()
}

#[test]
fn the_version_names_environment_and_configuration() {
    let output = run(&["--version"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = format!("secure-mcp-okta-gateway {} (", env!("CARGO_PKG_VERSION"));
    assert!(output.status.success() && text.starts_with(&expected), "{text}");
}

#[test]
fn the_compiled_routes_are_printed() {
    let text = String::from_utf8(run(&["routes"], &[]).stdout).unwrap();
    for line in ["/mcp/dice/  (Dice)", "http://localhost:3000", "/mcp/uuid/  (UUID)", "http://localhost:4000"]
    {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[test]
fn half_configured_it_does_not_start_and_names_all_that_is_missing() {
    let output = run(&[], &[("KVS_ADDR", "localhost:6379")]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    for name in ["OKTA_URL", "OKTA_CLIENT_ID", "OKTA_CLIENT_SECRET", "GATEWAY_SECRET"] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
}
