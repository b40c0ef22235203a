//! Outages of the store, files of other programs, and damaged files.

use super::fixture::StoreFixture;
use super::{id, key};
use gateway::base::clock::Clock;
use gateway::base::entropy::Entropy;
use gateway::store::{Counter, Cursor, Format, Rotation, Store};
use std::fs;
use std::time::{Duration, Instant};

/// Upper bound of any operation, in any state of Redis.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Repeats a call until the store is available, for at most ten seconds.
pub(super) async fn becomes_available(store: &Store) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if store.ping().await.is_ok() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// Checks that every operation that a request waits for fails fast.
async fn assert_all_fail_fast(fixture: &StoreFixture) {
    let store = &fixture.store;
    let started = Instant::now();
    assert!(store.grant(id(1)).await.is_err());
    assert!(started.elapsed() < CALL_TIMEOUT);
    for round in 0..20 {
        let started = Instant::now();
        assert!(store.use_code(key(1)).await.is_err());
        assert!(store.rotate(id(1), fixture.rotate(1)).await.is_err());
        assert!(store.revoke(id(1)).await.is_err());
        assert!(started.elapsed() < CALL_TIMEOUT, "round {round}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_killed_redis_fails_at_once_and_is_used_again_after_its_restart() {
    let fixture = StoreFixture::redis();
    fixture.store.ping().await.unwrap();
    fixture.server().stop();
    assert_all_fail_fast(&fixture).await;
    fixture.server().resume().unwrap();
    assert!(becomes_available(&fixture.store).await);
    for _ in 0..50 {
        fixture.store.create_grant(fixture.record(1)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_restart_of_redis_fails_no_call() {
    let fixture = StoreFixture::redis();
    // Opens many connections.
    super::fixture::fifty_concurrent(|| {
        let store = std::sync::Arc::clone(&fixture.store);
        async move { store.ping().await.unwrap() }
    })
    .await;
    fixture.server().resume().unwrap();
    for _ in 0..50 {
        fixture.store.create_grant(fixture.record(1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_frozen_redis_fails_fast() {
    let fixture = StoreFixture::redis();
    fixture.store.ping().await.unwrap();
    fixture.server().freeze().unwrap();
    assert_all_fail_fast(&fixture).await;
    fixture.server().thaw().unwrap();
    assert!(becomes_available(&fixture.store).await);
}

#[tokio::test]
async fn a_full_redis_serves_reads_and_revocations_only() {
    let fixture = StoreFixture::redis();
    let (store, expiry) = (&fixture.store, fixture.seconds(60));
    store.create_grant(fixture.record(1)).await.unwrap();
    store.create_grant(fixture.record(3)).await.unwrap();
    fixture.server().command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let keys = fixture.server().command(&["DBSIZE"]).unwrap();
    assert!(store.create_grant(fixture.record(2)).await.is_err());
    assert!(store.put_login(key(1), b"login".to_vec(), expiry).await.is_err());
    assert!(store.put_code(key(1), b"code".to_vec(), expiry).await.is_err());
    assert!(store.rotate(id(3), fixture.rotate(1)).await.is_err());
    assert!(store.use_once(key(1), expiry).await.is_err());
    assert!(store.count(key(1), vec![Counter { key: key(1), limit: 9 }], expiry).await.is_err());
    assert!(store.lease(key(1), key(2), expiry).await.is_err());
    assert_eq!(fixture.server().command(&["DBSIZE"]).unwrap(), keys);
    assert!(store.grant(id(1)).await.unwrap().is_some());
    assert!(store.revoke(id(1)).await.unwrap());
    assert_eq!(store.revoked_since(Cursor(0)).await.unwrap().ids, [id(1)]);
    fixture.server().command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert!(store.create_grant(fixture.record(2)).await.unwrap());
    assert!(matches!(store.rotate(id(3), fixture.rotate(1)).await.unwrap(), Rotation::Fresh { .. }));
}

#[tokio::test]
async fn every_redis_key_has_a_ttl() {
    let fixture = StoreFixture::redis();
    let (store, expiry) = (&fixture.store, fixture.seconds(60));
    store.put_login(key(1), b"login".to_vec(), expiry).await.unwrap();
    store.put_code(key(1), b"code".to_vec(), expiry).await.unwrap();
    store.use_code(key(1)).await.unwrap();
    store.create_grant(fixture.record(1)).await.unwrap();
    store.rotate(id(1), fixture.rotate(1)).await.unwrap();
    store.create_grant(fixture.record(2)).await.unwrap();
    store.revoke(id(2)).await.unwrap();
    store.use_once(key(1), expiry).await.unwrap();
    store.count(key(1), vec![Counter { key: key(1), limit: 9 }], expiry).await.unwrap();
    store.lease(key(1), key(2), expiry).await.unwrap();
    let keys = fixture.server().command(&["KEYS", "*"]).unwrap();
    let keys: Vec<&str> = keys.lines().filter(|line| line.starts_with("mcp:")).collect();
    assert_eq!(keys.len(), 13, "{keys:?}");
    for key in keys {
        let ttl_millis = fixture.server().command(&["PTTL", key]).unwrap();
        assert!(ttl_millis.trim().trim_start_matches(':').parse::<i64>().unwrap() > 0, "{key}: {ttl_millis}");
    }
}

#[tokio::test]
async fn a_flushed_redis_resets_the_feed() {
    let fixture = StoreFixture::redis();
    fixture.store.revoke(id(1)).await.unwrap();
    let before = fixture.store.revoked_since(Cursor(0)).await.unwrap().cursor;
    fixture.server().command(&["FLUSHALL"]).unwrap();
    fixture.clock.advance(Duration::from_secs(1));
    let empty = fixture.store.revoked_since(before).await.unwrap();
    assert!(empty.reset && empty.ids.is_empty());
    fixture.store.revoke(id(2)).await.unwrap();
    let feed = fixture.store.revoked_since(before).await.unwrap();
    assert_eq!((feed.ids, feed.reset), (vec![id(2)], true));
    let next = fixture.store.revoked_since(feed.cursor).await.unwrap();
    assert!(!next.reset);
}

#[tokio::test]
async fn a_file_opened_by_another_process_is_rejected() {
    let fixture = StoreFixture::embedded();
    let refused = Store::embedded(fixture.folder(), Clock::system(), &Entropy::system(), Format::default())
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("another gateway has it open"), "{refused}");
}

#[tokio::test]
async fn a_damaged_file_is_rejected_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.redb");
    fs::write(&path, b"these are not the records of a gateway").unwrap();
    let refused = Store::embedded(folder.path(), Clock::system(), &Entropy::system(), Format::default())
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("was left as it is"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), b"these are not the records of a gateway");
}

#[tokio::test]
async fn a_read_only_redis_rejects_writes_until_it_is_a_primary() {
    let fixture = StoreFixture::redis();
    fixture.store.create_grant(fixture.record(1)).await.unwrap();
    fixture.server().command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    assert!(fixture.store.create_grant(fixture.record(2)).await.is_err());
    assert!(fixture.store.rotate(id(1), fixture.rotate(1)).await.is_err());
    assert!(fixture.store.revoke(id(1)).await.is_err());
    fixture.server().command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    assert!(becomes_available(&fixture.store).await);
    assert!(matches!(fixture.store.rotate(id(1), fixture.rotate(1)).await.unwrap(), Rotation::Fresh { .. }));
}
