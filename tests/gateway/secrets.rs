//! `GATEWAY_SECRET`: rotation in operation, and vectors that keep its derivations compatible.

mod at_rest;
mod vectors;

use crate::harness::{CALLBACK, SECRET, StoreKind, World};
use crate::replicas::Sessions;
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Login};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NEXT: &str = "0d6b1f9c4e7a2d5380c1e6f4a9b7d2035f8e1c4a7b0d3f69258c1e4b7a0d3c6f";

/// Registers and signs in until it is stopped; nothing may fail. Returns the number of logins.
async fn sign_in_repeatedly(echo: String, stop: Arc<AtomicBool>) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let discovered = client::discover(&echo).await.unwrap();
        let client = discovered.register("Test client", "none", CALLBACK).await.unwrap();
        let code = client.authorize(&mut Browser::new(), &Login::of("bob")).await.unwrap();
        client.redeem(&code).await.unwrap();
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_rotation_under_load_logs_nobody_out() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    let balancer = world.start_balancer(3).await;
    let (sessions, stop) = (Sessions::start(&world).await, Arc::new(AtomicBool::new(false)));
    let logins = tokio::spawn(sign_in_repeatedly(world.url("/mcp/raw/echo"), Arc::clone(&stop)));
    for secrets in [format!("{SECRET},{NEXT}"), format!("{NEXT},{SECRET}")] {
        world.secrets = secrets;
        balancer.restart_rolling(&world).await;
    }
    stop.store(true, Ordering::SeqCst);
    sessions.end().await;
    assert!(logins.await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_secret_invalidates_only_what_it_sealed() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
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
