//! A primary fails under load: calls and streams are not affected, logins and refreshes wait for the replica, and
//! single use is preserved.

use super::faults::SignedInUser;
use crate::harness::{StoreKind, World, http};
use gateway_standins::ClientError;
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Code, Login, Tokens};
use gateway_standins::redis::{Cluster, Sentinels};
use serde_json::json;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::{JoinHandle, JoinSet};

/// Time until a replica has taken over and has a replica of its own.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_DELAY: Duration = Duration::from_millis(20);

/// Load that continues until it is stopped.
struct Load {
    stop: Arc<AtomicBool>,
    calls: JoinSet<usize>,
    refreshes: JoinSet<()>,
    codes: JoinSet<()>,
}

impl Load {
    async fn start(world: &World) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut calls, mut refreshes, mut codes) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        let echo = world.url("/mcp/raw/echo");
        for _ in 0..3 {
            let (client, tokens) = sign_in(world).await;
            calls.spawn(call_repeatedly(echo.clone(), tokens.access_token, Arc::clone(&stop)));
            refreshes.spawn(refresh_repeatedly(client, tokens.refresh_token.unwrap(), Arc::clone(&stop)));
        }
        for _ in 0..3 {
            let (client, code) = retry_until_success(world, async |client| get_code(client).await).await;
            codes.spawn(redeem_repeatedly(client, code, Arc::clone(&stop)));
        }
        Self { stop, calls, refreshes, codes }
    }

    async fn stop_and_check(self) {
        self.stop.store(true, Ordering::SeqCst);
        assert!(self.calls.join_all().await.into_iter().all(|count| count > 10), "too few calls");
        self.refreshes.join_all().await;
        self.codes.join_all().await;
    }
}

/// Calls repeatedly; none may fail. Returns their number.
async fn call_repeatedly(echo: String, token: String, stop: Arc<AtomicBool>) -> usize {
    let (http, mut count) = (http(), 0);
    while !stop.load(Ordering::SeqCst) {
        let call = http.post(&echo).bearer_auth(&token).json(&json!({}));
        assert_eq!(call.send().await.unwrap().status(), 200, "after {count} calls");
        count += 1;
        tokio::time::sleep(POLL_DELAY).await;
    }
    count
}

/// Refreshes repeatedly: a failed refresh is retried with the same token, and no token is ever rejected. The last
/// refresh succeeds.
async fn refresh_repeatedly(client: Client, mut token: String, stop: Arc<AtomicBool>) {
    let mut deadline = None;
    loop {
        let stopped = stop.load(Ordering::SeqCst);
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        let (status, body) = client.token(&form).await.unwrap();
        match (status, body["refresh_token"].as_str()) {
            (200, Some(_)) if stopped => return,
            (200, Some(next)) => next.clone_into(&mut token),
            (503, _) => {
                let deadline = deadline.get_or_insert_with(|| Instant::now() + RECOVERY_TIMEOUT * 2);
                assert!(Instant::now() < *deadline, "{body}");
            }
            _ => panic!("{status}: {body}"),
        }
        tokio::time::sleep(POLL_DELAY).await;
    }
}

/// Redeems one code repeatedly: it succeeds at most once.
async fn redeem_repeatedly(client: Client, code: Code, stop: Arc<AtomicBool>) {
    let mut times = 0;
    while !stop.load(Ordering::SeqCst) {
        match client.redeem(&code).await {
            Ok(_) => times += 1,
            Err(error) => {
                let why = error.to_string();
                let is_expected =
                    why.starts_with("temporarily_unavailable") || why.starts_with("invalid_grant");
                assert!(is_expected, "{why}");
            }
        }
        assert!(times <= 1, "a code worked twice");
        tokio::time::sleep(POLL_DELAY).await;
    }
}

/// Logs in; on a loaded machine that may take several attempts.
async fn sign_in(world: &World) -> (Client, Tokens) {
    retry_until_success(world, async |client| client.redeem(&get_code(client).await?).await).await
}

async fn get_code(client: &Client) -> Result<Code, ClientError> {
    client.authorize(&mut Browser::new(), &Login::of("alice")).await
}

/// Repeats `step` with a new client until the store is available again.
async fn retry_until_success<T>(
    world: &World,
    step: impl AsyncFn(&Client) -> Result<T, ClientError>,
) -> (Client, T) {
    let client = world.client("/mcp/raw/echo").await;
    let deadline = Instant::now() + RECOVERY_TIMEOUT;
    loop {
        match step(&client).await {
            Ok(got) => return (client, got),
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(POLL_DELAY).await;
    }
}

/// Runs the failover `fail` under load.
async fn run_failover_under_load<T: Send + 'static>(
    address: String,
    fail: impl FnOnce() -> io::Result<T> + Send + 'static,
) {
    let world = World::with(StoreKind::At(address), |site| site).await;
    let (client, tokens) = sign_in(&world).await;
    let user = SignedInUser::with(&world, client, tokens).await;
    let load = Load::start(&world).await;
    let failing: JoinHandle<io::Result<T>> = tokio::task::spawn_blocking(fail);
    let _servers = failing.await.unwrap().unwrap();
    sign_in(&world).await;
    load.stop_and_check().await;
    user.assert_stream_open(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_failover_under_load_fails_no_call_and_closes_no_stream() {
    let servers = Sentinels::start().unwrap();
    run_failover_under_load(servers.address(), move || servers.fail_over().map(|()| servers)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_failover_under_load_fails_no_call_and_closes_no_stream() {
    let cluster = Cluster::start().unwrap();
    run_failover_under_load(cluster.address(), move || {
        let grants = cluster.nodes.iter().map(|node| node.command(&["KEYS", "mcp:grant:*"]));
        let grants: String = grants.collect::<io::Result<_>>()?;
        let grant = grants.lines().find(|line| line.starts_with("mcp:")).unwrap().to_owned();
        cluster.fail_over(&grant).map(|()| cluster)
    })
    .await;
}
