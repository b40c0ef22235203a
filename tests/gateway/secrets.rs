//! `GATEWAY_SECRET`: rotated while the gateway is in use, and pinned so that what one version sealed a later one opens.

mod at_rest;
mod vectors;

use crate::harness::{Keep, Replica, SECRET, World};
use gateway_standins::client::Client;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;

const NEXT: &str = "0d6b1f9c4e7a2d5380c1e6f4a9b7d2035f8e1c4a7b0d3f69258c1e4b7a0d3c6f";

/// Replicas behind a balancer that takes one out before it ends.
struct Balancer {
    replicas: Mutex<Vec<Arc<Replica>>>,
    next: AtomicUsize,
}

impl Balancer {
    fn of(world: &World) -> Arc<Self> {
        let replicas = Mutex::new(vec![Arc::new(world.replica()), Arc::new(world.replica())]);
        Arc::new(Self { replicas, next: AtomicUsize::new(0) })
    }

    /// The next replica; it ends when the last request to it has been answered.
    fn next(&self) -> Arc<Replica> {
        let replicas = self.replicas.lock().unwrap();
        Arc::clone(&replicas[self.next.fetch_add(1, Ordering::SeqCst) % replicas.len()])
    }

    /// Exchanges one replica after the other for one that is started now, with some traffic in between.
    async fn roll(&self, world: &World, traffic: &AtomicUsize) {
        for place in 0..2 {
            let fresh = Arc::new(world.replica());
            self.replicas.lock().unwrap()[place] = fresh;
            let so_far = traffic.load(Ordering::SeqCst);
            while traffic.load(Ordering::SeqCst) < so_far + 12 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn refresh(&self, client: &Client, token: &str) -> (StatusCode, Value) {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", &client.id)];
        let replica = self.next();
        let answer = replica.request(Method::POST, "/auth/token").form(&form).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn call(&self, token: &str) -> StatusCode {
        let replica = self.next();
        let request = replica.request(Method::POST, "/mcp/raw/echo").bearer_auth(token).json(&json!({}));
        request.send().await.unwrap().status()
    }
}

/// Refreshes and calls until it is told to stop; returns its last refresh token.
async fn goes_on(
    balancer: Arc<Balancer>,
    (client, mut token): (Client, String),
    (traffic, stop): (Arc<AtomicUsize>, Arc<AtomicBool>),
) -> String {
    while !stop.load(Ordering::SeqCst) {
        let (status, tokens) = balancer.refresh(&client, &token).await;
        assert_eq!(status, 200, "{tokens}");
        tokens["refresh_token"].as_str().unwrap().clone_into(&mut token);
        assert_eq!(balancer.call(tokens["access_token"].as_str().unwrap()).await, 200);
        traffic.fetch_add(1, Ordering::SeqCst);
    }
    token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_under_load_and_nobody_is_logged_out() {
    let mut world = World::with(Keep::Redis, |site| site).await;
    let balancer = Balancer::of(&world);
    let (traffic, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut sessions = JoinSet::new();
    for _ in 0..4 {
        let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
        let session = (client, tokens.refresh_token.unwrap());
        let counted = (Arc::clone(&traffic), Arc::clone(&stop));
        sessions.spawn(goes_on(Arc::clone(&balancer), session, counted));
    }
    for secrets in [format!("{SECRET},{NEXT}"), format!("{NEXT},{SECRET}")] {
        world.secrets = secrets;
        balancer.roll(&world, &traffic).await;
    }
    stop.store(true, Ordering::SeqCst);
    assert_eq!(sessions.join_all().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_secret_ends_what_it_sealed_and_nothing_else() {
    let mut world = World::with(Keep::Redis, |site| site).await;
    let (old_client, old) = world.sign_in("/mcp/raw/echo", "alice").await;
    world.secrets = format!("{NEXT},{SECRET}");
    world.restart().await;
    let (new_client, new) = world.sign_in("/mcp/raw/echo", "alice").await;
    old_client.refresh(&old.refresh_token.clone().unwrap()).await.unwrap();
    NEXT.clone_into(&mut world.secrets);
    world.restart().await;
    new_client.refresh(&new.refresh_token.unwrap()).await.unwrap();
    let ended = old_client.refresh(&old.refresh_token.unwrap()).await.unwrap_err().to_string();
    assert!(ended.starts_with("invalid_client"), "the client registers anew: {ended}");
}
