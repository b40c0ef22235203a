//! Sentinel and Cluster: the same promises, and what is left of them when a primary dies.

use super::kept::{Kept, by_fifty};
use super::{id, key};
use gateway::store::{CodeUse, Cursor, IndexKey, Rotation, Unavailable};
use gateway_standins::redis::{Cluster, Sentinels};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A failover takes the servers a few seconds; until then every call fails soon.
const FAILOVER: Duration = Duration::from_secs(20);
const NEVER_A_HANG: Duration = Duration::from_secs(3);

/// So many calls at once that there are many connections, of which each call then takes another.
async fn connects_often(kept: &Kept) {
    by_fifty(|| {
        let store = Arc::clone(&kept.store);
        async move { store.ping().await.unwrap() }
    })
    .await;
}

/// Every verb, once around.
async fn keeps_its_promises(kept: &Kept) {
    let store = &kept.store;
    store.put_login(key(1), b"login".to_vec(), kept.seconds(60)).await.unwrap();
    assert_eq!(store.take_login(key(1)).await.unwrap().as_deref(), Some(&b"login"[..]));
    store.put_code(key(2), b"code".to_vec(), kept.seconds(60)).await.unwrap();
    let uses = by_fifty(|| {
        let store = Arc::clone(store);
        async move { store.use_code(key(2)).await.unwrap() }
    });
    assert_eq!(uses.await.iter().filter(|used| **used == Some(CodeUse::First)).count(), 1);
    for fill in 1..=3 {
        assert!(store.create_grant(kept.record(fill)).await.unwrap());
    }
    assert!(matches!(store.rotate(id(1), kept.rotate(1)).await.unwrap(), Rotation::Fresh { .. }));
    assert!(matches!(store.rotate(id(1), kept.rotate(1)).await.unwrap(), Rotation::Same { .. }));
    assert!(store.revoke(id(2)).await.unwrap());
    assert_eq!(store.revoked_since(Cursor(0)).await.unwrap().ids, [id(2)]);
    let mut found = store.grants_of(IndexKey::User, key(0), 10).await.unwrap();
    found.sort_unstable();
    assert_eq!(found, [id(1), id(3)]);
    assert!(store.use_once(key(3), kept.seconds(60)).await.unwrap());
    assert!(!store.use_once(key(3), kept.seconds(60)).await.unwrap());
    assert_eq!(store.count(key(4), vec![(key(4), 1)], kept.seconds(60)).await.unwrap(), None);
    assert!(store.lease(key(5), key(6), kept.seconds(60)).await.unwrap());
    store.release(key(5), key(6)).await.unwrap();
    store.ping().await.unwrap();
}

/// Asks until the store answers; no single call takes long.
async fn in_the_end<T>(mut ask: impl AsyncFnMut() -> Result<T, Unavailable>) -> T {
    let deadline = Instant::now() + FAILOVER;
    loop {
        let started = Instant::now();
        let answer = ask().await;
        assert!(started.elapsed() < NEVER_A_HANG, "{:?}", started.elapsed());
        match answer {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// Goes on asking while `failing` goes on: each answer is soon, and none is wrong.
async fn goes_on<T>(kept: &Kept, failing: JoinHandle<io::Result<T>>) -> T {
    while !failing.is_finished() {
        let started = Instant::now();
        if let Ok(used) = kept.store.use_code(key(2)).await {
            assert_eq!(used, Some(CodeUse::Again));
        }
        if let Ok(grant) = kept.store.grant(id(1)).await {
            assert!(grant.is_some());
        }
        assert!(started.elapsed() < NEVER_A_HANG * 2, "{:?}", started.elapsed());
    }
    failing.await.unwrap().unwrap()
}

/// Nothing that was acknowledged is undone.
async fn has_kept_its_word(kept: &Kept) {
    let store = &kept.store;
    assert_eq!(in_the_end(async || store.use_code(key(2)).await).await, Some(CodeUse::Again));
    assert_eq!(in_the_end(async || store.grant(id(2)).await).await, None);
    let again = in_the_end(async || store.create_grant(kept.record(2)).await).await;
    assert!(!again, "a revoked grant stays revoked");
    assert_eq!(in_the_end(async || store.grant(id(1)).await).await.unwrap().generation, 2);
    assert!(!in_the_end(async || store.use_once(key(3), kept.seconds(60)).await).await);
    for (fill, presented) in [(1, 2), (3, 1)] {
        let rotated = in_the_end(async || store.rotate(id(fill), kept.rotate(presented)).await).await;
        assert!(matches!(rotated, Rotation::Fresh { .. } | Rotation::Same { .. }), "{rotated:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_failover_keeps_every_guarantee() {
    let servers = Sentinels::start().unwrap();
    let kept = Kept::at(&servers.address());
    keeps_its_promises(&kept).await;
    let failing = tokio::task::spawn_blocking(move || servers.fail_over().map(|()| servers));
    let _servers = goes_on(&kept, failing).await;
    has_kept_its_word(&kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_failover_keeps_every_guarantee() {
    let cluster = Cluster::start().unwrap();
    let kept = Kept::at(&cluster.address());
    keeps_its_promises(&kept).await;
    let grant = format!("mcp:grant:{{{}}}", id(1));
    let failing = tokio::task::spawn_blocking(move || cluster.fail_over(&grant).map(|()| cluster));
    let _cluster = goes_on(&kept, failing).await;
    has_kept_its_word(&kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_to_a_hanging_primary_are_dropped() {
    let servers = Sentinels::start().unwrap();
    let kept = Kept::at(&servers.address());
    connects_often(&kept).await;
    keeps_its_promises(&kept).await;
    let losing = tokio::task::spawn_blocking(move || servers.lose_the_primary().map(|()| servers));
    let servers = goes_on(&kept, losing).await;
    let started = Instant::now();
    assert!(in_the_end(async || kept.store.grant(id(1)).await).await.is_some());
    assert!(started.elapsed() < NEVER_A_HANG, "{:?}", started.elapsed());
    // It wakes up and takes itself for the primary still: nobody asks it.
    servers.primary.thaw().unwrap();
    let ends = kept.seconds(60);
    for count in 0..=50 {
        let full = kept.store.count(key(1), vec![(key(1), 50)], ends).await.unwrap();
        assert_eq!(full, (count == 50).then_some(0), "{count}");
    }
    let rotated = kept.store.rotate(id(1), kept.rotate(2)).await;
    assert!(rotated.is_err(), "no replica has it yet: {rotated:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_no_replica_has_is_not_acknowledged() {
    let servers = Sentinels::start().unwrap();
    let kept = Kept::at(&servers.address());
    assert!(kept.store.create_grant(kept.record(1)).await.unwrap());
    connects_often(&kept).await;
    servers.replica.freeze().unwrap();
    for _ in 0..3 {
        assert!(kept.store.rotate(id(1), kept.rotate(1)).await.is_err());
    }
    servers.replica.thaw().unwrap();
    let rotated = in_the_end(async || kept.store.rotate(id(1), kept.rotate(1)).await).await;
    assert!(matches!(rotated, Rotation::Same { record } if record.generation == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_a_hanging_node_can_be_connected_to() {
    let cluster = Cluster::start().unwrap();
    let silent = cluster.nodes.last().unwrap();
    let before = Kept::at(&cluster.address());
    assert!(before.store.create_grant(before.record(1)).await.unwrap());
    silent.freeze().unwrap();
    let kept = Kept::at(&cluster.address());
    in_the_end(async || kept.store.ping().await).await;
    assert!(in_the_end(async || kept.store.grant(id(1)).await).await.is_some());
    silent.thaw().unwrap();
}
