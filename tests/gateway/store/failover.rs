//! Sentinel and Cluster: the guarantees before and after the failure of a primary.

use super::fixture::{StoreFixture, fifty_concurrent};
use super::{id, key, user_entry};
use gateway::store::{CodeUse, Counter, Cursor, Rotation, Unavailable};
use gateway_standins::redis::{Cluster, Sentinels};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A failover takes a few seconds; until then every call fails fast.
const FAILOVER: Duration = Duration::from_secs(20);
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes enough concurrent calls to open many connections.
async fn open_many_connections(fixture: &StoreFixture) {
    fifty_concurrent(|| {
        let store = Arc::clone(&fixture.store);
        async move { store.ping().await.unwrap() }
    })
    .await;
}

/// Uses every operation and checks its result.
async fn use_and_check_every_operation(fixture: &StoreFixture) {
    let store = &fixture.store;
    store.put_login(key(1), b"login".to_vec(), fixture.seconds(60)).await.unwrap();
    assert_eq!(store.take_login(key(1)).await.unwrap().as_deref(), Some(&b"login"[..]));
    store.put_code(key(2), b"code".to_vec(), fixture.seconds(60)).await.unwrap();
    let uses = fifty_concurrent(|| {
        let store = Arc::clone(store);
        async move { store.use_code(key(2)).await.unwrap() }
    });
    assert_eq!(uses.await.iter().filter(|used| **used == Some(CodeUse::First)).count(), 1);
    for fill in 1..=3 {
        assert!(store.create_grant(fixture.record(fill)).await.unwrap());
    }
    assert!(matches!(store.rotate(id(1), fixture.rotate(1)).await.unwrap(), Rotation::Fresh { .. }));
    assert!(matches!(store.rotate(id(1), fixture.rotate(1)).await.unwrap(), Rotation::Same { .. }));
    assert!(store.revoke(id(2)).await.unwrap());
    assert_eq!(store.revoked_since(Cursor(0)).await.unwrap().ids, [id(2)]);
    let mut found = store.grants_of(user_entry(key(0)), 10).await.unwrap();
    found.sort_unstable();
    assert_eq!(found, [id(1), id(3)]);
    assert!(store.use_once(key(3), fixture.seconds(60)).await.unwrap());
    assert!(!store.use_once(key(3), fixture.seconds(60)).await.unwrap());
    assert_eq!(
        store.count(key(4), vec![Counter { key: key(4), limit: 1 }], fixture.seconds(60)).await.unwrap(),
        None
    );
    assert!(store.lease(key(5), key(6), fixture.seconds(60)).await.unwrap());
    store.release(key(5), key(6)).await.unwrap();
    store.ping().await.unwrap();
}

/// Repeats a call until it succeeds; no single call may take long.
async fn retry_until_success<T>(mut operation: impl AsyncFnMut() -> Result<T, Unavailable>) -> T {
    let deadline = Instant::now() + FAILOVER;
    loop {
        let started = Instant::now();
        let response = operation().await;
        assert!(started.elapsed() < CALL_TIMEOUT, "{:?}", started.elapsed());
        match response {
            Ok(response) => return response,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// Makes calls until `failing` ends: each returns in time, with a correct result.
async fn call_during<T>(fixture: &StoreFixture, failing: JoinHandle<io::Result<T>>) -> T {
    while !failing.is_finished() {
        let started = Instant::now();
        if let Ok(used) = fixture.store.use_code(key(2)).await {
            assert_eq!(used, Some(CodeUse::Again));
        }
        if let Ok(grant) = fixture.store.grant(id(1)).await {
            assert!(grant.is_some());
        }
        assert!(started.elapsed() < CALL_TIMEOUT * 2, "{:?}", started.elapsed());
    }
    failing.await.unwrap().unwrap()
}

/// Checks that no acknowledged write is lost.
async fn check_acknowledged(fixture: &StoreFixture) {
    let store = &fixture.store;
    assert_eq!(retry_until_success(async || store.use_code(key(2)).await).await, Some(CodeUse::Again));
    assert_eq!(retry_until_success(async || store.grant(id(2)).await).await, None);
    let again = retry_until_success(async || store.create_grant(fixture.record(2)).await).await;
    assert!(!again, "a revoked grant stays revoked");
    assert_eq!(retry_until_success(async || store.grant(id(1)).await).await.unwrap().generation, 2);
    assert!(!retry_until_success(async || store.use_once(key(3), fixture.seconds(60)).await).await);
    for (fill, presented) in [(1, 2), (3, 1)] {
        let rotated =
            retry_until_success(async || store.rotate(id(fill), fixture.rotate(presented)).await).await;
        assert!(matches!(rotated, Rotation::Fresh { .. } | Rotation::Same { .. }), "{rotated:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_failover_keeps_every_guarantee() {
    let servers = Sentinels::start().unwrap();
    let fixture = StoreFixture::at(&servers.address());
    use_and_check_every_operation(&fixture).await;
    let failing = tokio::task::spawn_blocking(move || servers.fail_over().map(|()| servers));
    let _servers = call_during(&fixture, failing).await;
    check_acknowledged(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_failover_keeps_every_guarantee() {
    let cluster = Cluster::start().unwrap();
    let fixture = StoreFixture::at(&cluster.address());
    use_and_check_every_operation(&fixture).await;
    let grant = format!("mcp:grant:{{{}}}", id(1));
    let failing = tokio::task::spawn_blocking(move || cluster.fail_over(&grant).map(|()| cluster));
    let _cluster = call_during(&fixture, failing).await;
    check_acknowledged(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_to_a_hanging_primary_are_dropped() {
    let servers = Sentinels::start().unwrap();
    let fixture = StoreFixture::at(&servers.address());
    open_many_connections(&fixture).await;
    use_and_check_every_operation(&fixture).await;
    let losing = tokio::task::spawn_blocking(move || servers.hang_primary().map(|()| servers));
    let servers = call_during(&fixture, losing).await;
    let started = Instant::now();
    assert!(retry_until_success(async || fixture.store.grant(id(1)).await).await.is_some());
    assert!(started.elapsed() < CALL_TIMEOUT, "{:?}", started.elapsed());
    // The old primary resumes and still considers itself the primary; no call goes to it.
    servers.primary.thaw().unwrap();
    let expiry = fixture.seconds(60);
    for count in 0..=50 {
        let full =
            fixture.store.count(key(1), vec![Counter { key: key(1), limit: 50 }], expiry).await.unwrap();
        assert_eq!(full, (count == 50).then_some(0), "{count}");
    }
    let rotated = fixture.store.rotate(id(1), fixture.rotate(2)).await;
    assert!(rotated.is_err(), "no replica has it yet: {rotated:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_no_replica_has_is_not_acknowledged() {
    let servers = Sentinels::start().unwrap();
    let fixture = StoreFixture::at(&servers.address());
    // A busy machine may delay the replica; the record is then there, and the next attempt finds it.
    retry_until_success(async || fixture.store.create_grant(fixture.record(1)).await).await;
    open_many_connections(&fixture).await;
    servers.replica.freeze().unwrap();
    for _ in 0..3 {
        assert!(fixture.store.rotate(id(1), fixture.rotate(1)).await.is_err());
    }
    servers.replica.thaw().unwrap();
    let rotated = retry_until_success(async || fixture.store.rotate(id(1), fixture.rotate(1)).await).await;
    assert!(matches!(rotated, Rotation::Same { record } if record.generation == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_a_hanging_node_can_be_connected_to() {
    let cluster = Cluster::start().unwrap();
    let silent = cluster.nodes.last().unwrap();
    let before = StoreFixture::at(&cluster.address());
    retry_until_success(async || before.store.create_grant(before.record(1)).await).await;
    silent.freeze().unwrap();
    let fixture = StoreFixture::at(&cluster.address());
    retry_until_success(async || fixture.store.ping().await).await;
    assert!(retry_until_success(async || fixture.store.grant(id(1)).await).await.is_some());
    silent.thaw().unwrap();
}
