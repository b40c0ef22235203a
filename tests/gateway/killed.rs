//! The binary, killed under load at random moments: whatever it has acknowledged holds when it is back.
//!
//! `GATEWAY_KILLS` says how often, `GATEWAY_SEED` repeats a run's chances (not its timing).

mod session;

use crate::harness::binary::{Process, binary};
use crate::harness::chance::{Chance, number};
use gateway_standins::client;
use gateway_standins::okta::{Okta, OktaOptions};
use session::{Done, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// How often it is killed when nothing else is asked for.
const FEW: u64 = 40;
/// Clients that ask at the same time, each for what it needs next.
const SESSIONS: usize = 6;
/// It is killed after fewer answers than this, and less than so many milliseconds later: in the middle of others.
const ANSWERS: u64 = 32;
const MILLIS: u64 = 20;
/// A first start takes about as long.
const FIRST_MILLIS: u64 = 80;
/// A loaded machine answers little; it is killed at the latest after this.
const LATEST: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_acknowledged_writes_remain_and_no_code_works_twice() {
    let chance = Chance::new();
    let kills = number("GATEWAY_KILLS").unwrap_or(FEW);
    let okta = Okta::start(OktaOptions::default()).await.unwrap();
    let mut gateway = Process::with_okta(binary(), &okta, &[("RUST_LOG", "warn")]).await;
    let mut sessions = sessions(&gateway, &chance).await;
    for _ in 0..kills {
        let (mut asking, answers) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        for session in sessions {
            asking.spawn(session.asks_until_it_fails(Arc::clone(&answers)));
        }
        has_come(&answers, chance.below(ANSWERS)).await;
        tokio::time::sleep(Duration::from_millis(chance.below(MILLIS))).await;
        gateway.kill();
        sessions = asking.join_all().await;
        gateway.start_again().await;
        let mut checking = JoinSet::new();
        for session in sessions {
            checking.spawn(session.finds_all_as_promised());
        }
        sessions = checking.join_all().await;
    }
    let done = sessions.iter().fold(Done::default(), |sum, session| sum + session.done);
    assert!(done.happened_often(kills), "too little to mean something: {done:?}");
}

async fn has_come(answers: &AtomicU64, wanted: u64) {
    let come = async {
        while answers.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // Fewer are enough for a loaded machine.
    let _ = tokio::time::timeout(LATEST, come).await;
}

async fn sessions(gateway: &Process, chance: &Chance) -> Vec<Session> {
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let discovered = client::discover(&format!("{}/mcp/dice/mcp", gateway.base_url)).await.unwrap();
        let client = discovered.register("Test client", "none", crate::harness::CALLBACK).await.unwrap();
        sessions.push(Session::new(gateway.base_url.clone(), client, chance.clone()));
    }
    sessions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_first_start_can_be_repeated() {
    let chance = Chance::new();
    let okta =
        [("OKTA_URL", "http://127.0.0.1:9"), ("OKTA_CLIENT_ID", "0oa1"), ("OKTA_CLIENT_SECRET", "word")];
    for _ in 0..number("GATEWAY_KILLS").unwrap_or(FEW) / 4 {
        let mut gateway = Process::spawned(binary(), &okta);
        tokio::time::sleep(Duration::from_millis(chance.below(FIRST_MILLIS))).await;
        gateway.kill();
        gateway.start_again().await;
    }
}
