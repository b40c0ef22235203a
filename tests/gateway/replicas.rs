//! Several replicas as one gateway: consecutive requests of a client reach different replicas.

use crate::harness::{StoreKind, World, http};
use gateway_standins::client::Client;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_a_login_may_reach_another_replica() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    let balancer = world.start_balancer(3).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    assert_eq!(balancer.response_count(), 8, "401, two documents, registration, page, form, callback, token");
    let tokens = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    for _ in 0..3 {
        let call = http().post(world.url("/mcp/raw/echo")).bearer_auth(&tokens.access_token).json(&json!({}));
        assert_eq!(call.send().await.unwrap().status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refreshes_across_replicas_get_one_successor() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    let _balancer = world.start_balancer(3).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let (client, token) = (Arc::new(client), tokens.refresh_token.unwrap());
    let mut processes = JoinSet::new();
    for _ in 0..30 {
        let (client, token) = (Arc::clone(&client), token.clone());
        processes.spawn(async move { client.refresh(&token).await.unwrap().refresh_token.unwrap() });
    }
    let successors: HashSet<String> = processes.join_all().await.into_iter().collect();
    assert_eq!(successors.len(), 1);
}

/// Three signed-in clients that continue until they are stopped.
pub(crate) struct Sessions {
    stop: Arc<AtomicBool>,
    rounds: JoinSet<usize>,
}

impl Sessions {
    /// Signs the clients in and starts their refreshes and calls.
    pub(crate) async fn start(world: &World) -> Self {
        let (stop, mut rounds) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for _ in 0..3 {
            let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
            let session = (client, tokens.refresh_token.unwrap());
            rounds.spawn(run_session(world.url("/mcp/raw/echo"), session, Arc::clone(&stop)));
        }
        Self { stop, rounds }
    }

    /// Stops them, and checks that each made progress without a failure.
    pub(crate) async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        let rounds = self.rounds.join_all().await;
        assert!(rounds.iter().all(|rounds| *rounds > 0), "{rounds:?}");
    }
}

/// Refreshes and calls until it is stopped; nothing may fail. Returns the number of rounds.
async fn run_session(echo: String, (client, mut token): (Client, String), stop: Arc<AtomicBool>) -> usize {
    let mut rounds = 0;
    while !stop.load(Ordering::SeqCst) {
        let tokens = client.refresh(&token).await.unwrap();
        let call = http().post(&echo).bearer_auth(&tokens.access_token).json(&json!({}));
        assert_eq!(call.send().await.unwrap().status(), 200);
        token = tokens.refresh_token.unwrap();
        rounds += 1;
    }
    rounds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_fails_no_request() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    let balancer = world.start_balancer(3).await;
    let sessions = Sessions::start(&world).await;
    balancer.restart_rolling(&world).await;
    sessions.end().await;
}
