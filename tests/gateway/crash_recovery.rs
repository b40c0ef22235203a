//! The binary, killed under load at random times: after the restart, everything that it acknowledged is still true.
//!
//! `GATEWAY_KILLS` sets the number of kills. `GATEWAY_SEED` repeats the random choices of a run, but not its timing.

mod session;

use crate::harness::binary::{Process, binary};
use crate::harness::random_source::{RandomSource, number};
use gateway_standins::client;
use gateway_standins::okta::{Okta, OktaOptions};
use session::{Counts, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Default number of kills.
const DEFAULT_KILLS: u64 = 40;
/// Number of concurrent clients.
const SESSIONS: usize = 6;
/// The binary is killed after a random number of responses below this, plus a random delay in milliseconds.
const MAX_RESPONSES: u64 = 32;
const MAX_DELAY_MILLIS: u64 = 20;
/// Approximate duration of a first start.
const MAX_FIRST_START_MILLIS: u64 = 80;
/// Time after which the binary is killed on a loaded machine that responds slowly.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_acknowledged_writes_remain_and_no_code_works_twice() {
    let random = RandomSource::new();
    let kills = number("GATEWAY_KILLS").unwrap_or(DEFAULT_KILLS);
    let okta = Okta::start(OktaOptions::default()).await.unwrap();
    let mut gateway = Process::with_okta(binary(), &okta, &[("RUST_LOG", "warn")]).await;
    let mut sessions = sessions(&gateway, &random).await;
    for _ in 0..kills {
        let (mut running, responses) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        for session in sessions {
            running.spawn(session.run_until_error(Arc::clone(&responses)));
        }
        wait_for_responses(&responses, random.below(MAX_RESPONSES)).await;
        tokio::time::sleep(Duration::from_millis(random.below(MAX_DELAY_MILLIS))).await;
        gateway.kill();
        sessions = running.join_all().await;
        gateway.start_again().await;
        let mut checking = JoinSet::new();
        for session in sessions {
            checking.spawn(session.check_acknowledged());
        }
        sessions = checking.join_all().await;
    }
    let counts = sessions.iter().fold(Counts::default(), |sum, session| sum + session.counts);
    assert!(counts.are_significant(kills), "too few kills to be significant: {counts:?}");
}

async fn wait_for_responses(responses: &AtomicU64, wanted: u64) {
    let responses_arrived = async {
        while responses.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // On a loaded machine, fewer responses are enough.
    let _ = tokio::time::timeout(KILL_TIMEOUT, responses_arrived).await;
}

async fn sessions(gateway: &Process, random: &RandomSource) -> Vec<Session> {
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let discovered = client::discover(&format!("{}/mcp/dice/mcp", gateway.base_url)).await.unwrap();
        let client = discovered.register("Test client", "none", crate::harness::CALLBACK).await.unwrap();
        sessions.push(Session::new(gateway.base_url.clone(), client, random.clone()));
    }
    sessions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_first_start_can_be_repeated() {
    let random = RandomSource::new();
    let okta =
        [("OKTA_URL", "http://127.0.0.1:9"), ("OKTA_CLIENT_ID", "0oa1"), ("OKTA_CLIENT_SECRET", "word")];
    for _ in 0..number("GATEWAY_KILLS").unwrap_or(DEFAULT_KILLS) / 4 {
        let mut gateway = Process::spawn_without_wait(binary(), &okta);
        tokio::time::sleep(Duration::from_millis(random.below(MAX_FIRST_START_MILLIS))).await;
        gateway.kill();
        gateway.start_again().await;
    }
}
