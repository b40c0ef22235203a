//! Number of Redis round trips, and behaviour of calls when Redis is slow, accepts no connections or is overloaded.

use super::fixture::{StoreFixture, fifty_concurrent};
use super::outage::{CALL_TIMEOUT, becomes_available};
use super::{id, key, user_entry};
use gateway::base::entropy::Entropy;
use gateway::base::secret::SecretBytes;
use gateway::crypto::seal::Keys;
use gateway::grants::Grants;
use gateway::store::{Counter, Cursor, Sealed, Unavailable};
use gateway_standins::redis::Redis;
use gateway_standins::tcp_proxy::TcpProxy;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Store that reaches its Redis through a TCP proxy.
struct ProxiedStore {
    fixture: StoreFixture,
    proxy: TcpProxy,
    _redis: Redis,
}

impl ProxiedStore {
    async fn start() -> Self {
        let redis = Redis::start().unwrap();
        let proxy = TcpProxy::start(&redis.address()).await.unwrap();
        let fixture = StoreFixture::at(&proxy.address());
        fixture.store.ping().await.unwrap();
        Self { fixture, proxy, _redis: redis }
    }

    async fn assert_round_trips<T>(
        &self,
        verb: &str,
        most: u64,
        operation: impl Future<Output = Result<T, Unavailable>>,
    ) -> T {
        let before = self.proxy.round_trips();
        let response = operation.await.unwrap();
        assert_eq!(self.proxy.round_trips() - before, most, "{verb}");
        response
    }
}

#[tokio::test]
async fn a_store_operation_takes_one_round_trip_unless_its_next_key_is_stored() {
    let proxied = ProxiedStore::start().await;
    let (store, expiry) = (&proxied.fixture.store, proxied.fixture.seconds(60));
    proxied.assert_round_trips("put_login", 1, store.put_login(key(1), vec![1], expiry)).await;
    proxied.assert_round_trips("take_login", 1, store.take_login(key(1))).await;
    proxied.assert_round_trips("put_code", 1, store.put_code(key(1), vec![1], expiry)).await;
    proxied.assert_round_trips("code", 1, store.code(key(1))).await;
    proxied.assert_round_trips("use_code", 1, store.use_code(key(1))).await;
    proxied.assert_round_trips("create_grant", 1, store.create_grant(proxied.fixture.record(1))).await;
    proxied.assert_round_trips("grant", 1, store.grant(id(1))).await;
    proxied.assert_round_trips("revoked_since", 1, store.revoked_since(Cursor(0))).await;
    proxied.assert_round_trips("use_once", 1, store.use_once(key(1), expiry)).await;
    proxied
        .assert_round_trips("count", 1, store.count(key(1), vec![Counter { key: key(1), limit: 9 }], expiry))
        .await;
    proxied.assert_round_trips("lease", 1, store.lease(key(1), key(2), expiry)).await;
    proxied.assert_round_trips("release", 1, store.release(key(1), key(2))).await;
    proxied.assert_round_trips("ping", 1, store.ping()).await;
    // The index keys of a grant are in other hash slots, and the grant names them.
    proxied.assert_round_trips("rotate", 2, store.rotate(id(1), proxied.fixture.rotate(1))).await;
    let new = Sealed { sealed: vec![1], index_entries: proxied.fixture.record(1).index_entries };
    proxied
        .assert_round_trips(
            "replace_sealed",
            2,
            store.replace_sealed(id(1), &proxied.fixture.record(1).sealed, new),
        )
        .await;
    proxied.assert_round_trips("grants_of", 2, store.grants_of(user_entry(key(0)), 10)).await;
    proxied.assert_round_trips("revoke", 2, store.revoke(id(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_redis_is_awaited_until_the_timeout() {
    let proxied = ProxiedStore::start().await;
    let store = &proxied.fixture.store;
    store.create_grant(proxied.fixture.record(1)).await.unwrap();
    proxied.proxy.set_delay(Duration::from_millis(200));
    for _ in 0..2 {
        assert!(store.grant(id(1)).await.unwrap().is_some());
    }
    proxied.proxy.set_delay(Duration::from_secs(2));
    for _ in 0..20 {
        let started = Instant::now();
        assert!(store.grant(id(1)).await.is_err());
        assert!(started.elapsed() < CALL_TIMEOUT, "{:?}", started.elapsed());
    }
    proxied.proxy.set_delay(Duration::ZERO);
    assert!(becomes_available(store).await);
    assert!(store.grant(id(1)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_reads_many_grants_concurrently() {
    let proxied = ProxiedStore::start().await;
    let keys = Keys::new(vec![SecretBytes::new(vec![7; 32])]);
    let grants = Grants::new(
        Arc::clone(&proxied.fixture.store),
        &keys,
        proxied.fixture.clock.clone(),
        Entropy::seeded(1),
    );
    let leases: Vec<_> = (0..200).map(|fill| grants.streams.open(id(fill))).collect();
    proxied.proxy.set_delay(Duration::from_millis(100));
    let started = Instant::now();
    grants.close_ended_streams(|_| true).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(grants.streams.grants().is_empty(), "the store has none of {}", leases.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_leaves_no_response_for_another() {
    let proxied = ProxiedStore::start().await;
    let store = &proxied.fixture.store;
    for fill in 1..=50 {
        store.create_grant(proxied.fixture.record(fill)).await.unwrap();
    }
    proxied.proxy.set_delay(Duration::from_millis(20));
    let mut tasks = JoinSet::new();
    for fill in (1..=50).cycle().take(400) {
        let store = Arc::clone(store);
        // Some calls time out before they are connected, some while they wait for the response, some not at all.
        let timeout = Duration::from_millis(u64::from(fill) * 4);
        tasks.spawn(async move {
            let response = tokio::time::timeout(timeout, store.grant(id(fill))).await;
            if let Ok(Ok(grant)) = response {
                assert_eq!(grant.unwrap().id, id(fill));
            }
        });
    }
    tasks.join_all().await;
    proxied.proxy.set_delay(Duration::ZERO);
    for fill in 1..=50 {
        assert_eq!(store.grant(id(fill)).await.unwrap().unwrap().id, id(fill));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_connections_work_when_no_new_ones_are_accepted() {
    let fixture = StoreFixture::redis();
    fixture.store.create_grant(fixture.record(1)).await.unwrap();
    fixture.server().command(&["CONFIG", "SET", "maxclients", "1"]).unwrap();
    let grants = fifty_concurrent(|| {
        let store = Arc::clone(&fixture.store);
        async move { store.grant(id(1)).await.unwrap() }
    });
    assert!(grants.await.iter().all(Option::is_some));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_queue_limit_fail_fast_when_redis_hangs() {
    let fixture = StoreFixture::redis();
    fixture.store.ping().await.unwrap();
    fixture.server().freeze().unwrap();
    let (mut tasks, started) = (JoinSet::new(), Instant::now());
    for _ in 0..5000 {
        let store = Arc::clone(&fixture.store);
        tasks.spawn(async move { store.grant(id(1)).await.is_err() });
    }
    assert!(tasks.join_all().await.into_iter().all(|failed| failed));
    assert!(started.elapsed() < CALL_TIMEOUT, "{:?}", started.elapsed());
    fixture.server().thaw().unwrap();
    assert!(becomes_available(&fixture.store).await);
}
