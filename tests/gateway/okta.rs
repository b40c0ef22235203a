//! Settings of Okta that differ from one org to the next.

use crate::harness::binary::Process;
use crate::harness::go_program::GoProgram;
use gateway_standins::okta::{Okta, OktaOptions};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_of_okta_leave_one_warning_with_the_remedy_at_the_start() {
    let program = GoProgram::shared().await;
    let okta = Okta::start(OktaOptions::default()).await.unwrap();
    let nowhere = format!("{}/oauth2/no-such-server", okta.url());
    for (setting, value, remedy) in [
        ("OKTA_CLIENT_SECRET", "another", "check OKTA_CLIENT_SECRET"),
        ("OKTA_URL", &*nowhere, "check OKTA_URL, okta.authorization_server"),
    ] {
        let process = Process::with_okta(&program.binary, &okta, &[(setting, value)]).await;
        let deadline = Instant::now() + Duration::from_secs(30);
        while !process.log().contains("WARN") {
            assert!(Instant::now() < deadline, "{}", process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = process.log();
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("\"WARN\"")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains(remedy), "{warnings:?}");
    }
}
