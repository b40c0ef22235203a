//! The executable: its output, its errors at startup, its exit.

use crate::harness::binary::{Process, binary, built_for};
use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    run_binary(binary(), arguments, environment)
}

fn run_binary(program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment.iter().copied());
    command.output().unwrap()
}

#[test]
fn the_version_shows_environment_and_configuration() {
    let output = run(&["--version"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = format!("securemcp-okta-gateway {} (", env!("CARGO_PKG_VERSION"));
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
fn an_incomplete_configuration_stops_startup_and_lists_every_missing_setting() {
    let output = run(&[], &[("KVS_ADDR", "localhost:6379")]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    for name in ["OKTA_URL", "OKTA_CLIENT_ID", "OKTA_CLIENT_SECRET", "GATEWAY_SECRET"] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_base_url_than_the_pinned_one_stops_startup() {
    let binary = built_for(Path::new("tests/gateway/sites/pinned.yaml"), "pinned");
    let folder = tempfile::tempdir().unwrap();
    let environment =
        [("OKTA_CLIENT_SECRET", "secret-of-the-app"), ("DATA_DIR", folder.path().to_str().unwrap())];
    let other = [("BASE_URL", "https://staging.example.com"), ("OKTA_URL", "https://other.okta.com")];
    let output = run_binary(&binary, &[], &[&environment[..], &other].concat());
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    for words in [
        "BASE_URL contradicts this binary, which was built for https://mcp.example.com (environment production)",
        "unset BASE_URL, or run the binary of the other environment",
        "OKTA_URL contradicts this binary, which was built for https://acme.okta.com",
    ] {
        assert!(text.contains(words), "{words:?} is missing in\n{text}");
    }
    assert!(!text.contains("secret-of-the-app"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_the_same_data_does_not_start_and_says_why() {
    let okta = [
        ("OKTA_URL", "http://127.0.0.1:9"),
        ("OKTA_CLIENT_ID", "0oa1"),
        ("OKTA_CLIENT_SECRET", "secret-of-the-app"),
    ];
    let first = Process::start(binary(), &okta).await;
    let data_dir = first.data_dir();
    let output = run(&[], &[&okta[..], &[("DATA_DIR", &data_dir), ("PORT", "0")]].concat());
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("another gateway has it open: stop that one, give this one another DATA_DIR"),
        "{text}"
    );
}

#[test]
fn an_error_at_the_start_is_printed_with_its_cause_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let free = folder.path().join("data");
    for (data_dir, expected) in
        [(&file, "file cannot be used: caused by File exists"), (&free, "cannot serve on port")]
    {
        let output = run(
            &[],
            &[
                ("OKTA_URL", "http://127.0.0.1:9"),
                ("OKTA_CLIENT_ID", "0oa1"),
                ("OKTA_CLIENT_SECRET", "secret-of-the-app"),
                ("DATA_DIR", data_dir.to_str().unwrap()),
                ("PORT", &port),
            ],
        );
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.matches("(os error").count(), 1, "{text}");
    }
}
