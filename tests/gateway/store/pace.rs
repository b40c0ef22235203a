//! How often Redis is asked, and what becomes of calls when it is slow, takes no more connections, or is asked by
//! more than it can answer.

use super::kept::{Kept, by_fifty};
use super::outage::{NEVER_A_HANG, recovers};
use super::{id, key};
use gateway::base::entropy::Entropy;
use gateway::base::secret::SecretBytes;
use gateway::crypto::seal::Keys;
use gateway::grants::Grants;
use gateway::store::{Cursor, IndexKey, Sealed, Unavailable};
use gateway_standins::detour::Detour;
use gateway_standins::redis::Redis;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A store that reaches its Redis by a detour.
struct Far {
    kept: Kept,
    detour: Detour,
    _redis: Redis,
}

impl Far {
    async fn start() -> Self {
        let redis = Redis::start().unwrap();
        let detour = Detour::to(&redis.address()).await.unwrap();
        let kept = Kept::at(&detour.address());
        kept.store.ping().await.unwrap();
        Self { kept, detour, _redis: redis }
    }

    async fn costs<T>(&self, verb: &str, most: u64, ask: impl Future<Output = Result<T, Unavailable>>) -> T {
        let before = self.detour.round_trips();
        let answer = ask.await.unwrap();
        assert_eq!(self.detour.round_trips() - before, most, "{verb}");
        answer
    }
}

#[tokio::test]
async fn a_store_operation_takes_one_round_trip_unless_its_next_key_is_stored() {
    let far = Far::start().await;
    let (store, ends) = (&far.kept.store, far.kept.seconds(60));
    far.costs("put_login", 1, store.put_login(key(1), vec![1], ends)).await;
    far.costs("take_login", 1, store.take_login(key(1))).await;
    far.costs("put_code", 1, store.put_code(key(1), vec![1], ends)).await;
    far.costs("code", 1, store.code(key(1))).await;
    far.costs("use_code", 1, store.use_code(key(1))).await;
    far.costs("create_grant", 1, store.create_grant(far.kept.record(1))).await;
    far.costs("grant", 1, store.grant(id(1))).await;
    far.costs("revoked_since", 1, store.revoked_since(Cursor(0))).await;
    far.costs("use_once", 1, store.use_once(key(1), ends)).await;
    far.costs("count", 1, store.count(key(1), vec![(key(1), 9)], ends)).await;
    far.costs("lease", 1, store.lease(key(1), key(2), ends)).await;
    far.costs("release", 1, store.release(key(1), key(2))).await;
    far.costs("ping", 1, store.ping()).await;
    // The index of a grant lies in slots of its own, and the grant says which.
    far.costs("rotate", 2, store.rotate(id(1), far.kept.rotate(1))).await;
    let new = Sealed { sealed: vec![1], owners: far.kept.record(1).owners };
    far.costs("replace_sealed", 2, store.replace_sealed(id(1), &far.kept.record(1).sealed, new)).await;
    far.costs("grants_of", 2, store.grants_of(IndexKey::User, key(0), 10)).await;
    far.costs("revoke", 2, store.revoke(id(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_redis_is_awaited_until_the_timeout() {
    let far = Far::start().await;
    let store = &far.kept.store;
    store.create_grant(far.kept.record(1)).await.unwrap();
    far.detour.takes(Duration::from_millis(200));
    for _ in 0..2 {
        assert!(store.grant(id(1)).await.unwrap().is_some());
    }
    far.detour.takes(Duration::from_secs(2));
    for _ in 0..20 {
        let started = Instant::now();
        assert!(store.grant(id(1)).await.is_err());
        assert!(started.elapsed() < NEVER_A_HANG, "{:?}", started.elapsed());
    }
    far.detour.takes(Duration::ZERO);
    assert!(recovers(store).await);
    assert!(store.grant(id(1)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_reads_many_grants_concurrently() {
    let far = Far::start().await;
    let keys = Keys::new(vec![SecretBytes::new(vec![7; 32])]);
    let grants = Grants::new(Arc::clone(&far.kept.store), &keys, far.kept.clock.clone(), Entropy::seeded(1));
    let leases: Vec<_> = (0..200).map(|fill| grants.streams.open(id(fill))).collect();
    far.detour.takes(Duration::from_millis(100));
    let started = Instant::now();
    grants.close_ended_streams(|_| true).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(grants.streams.grants().is_empty(), "the store knows none of {}", leases.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_leaves_no_response_for_another() {
    let far = Far::start().await;
    let store = &far.kept.store;
    for fill in 1..=50 {
        store.create_grant(far.kept.record(fill)).await.unwrap();
    }
    far.detour.takes(Duration::from_millis(20));
    let mut asking = JoinSet::new();
    for fill in (1..=50).cycle().take(400) {
        let store = Arc::clone(store);
        // Some give up before they are connected, some while they wait for the answer, some not at all.
        let patience = Duration::from_millis(u64::from(fill) * 4);
        asking.spawn(async move {
            let answer = tokio::time::timeout(patience, store.grant(id(fill))).await;
            if let Ok(Ok(grant)) = answer {
                assert_eq!(grant.unwrap().id, id(fill));
            }
        });
    }
    asking.join_all().await;
    far.detour.takes(Duration::ZERO);
    for fill in 1..=50 {
        assert_eq!(store.grant(id(fill)).await.unwrap().unwrap().id, id(fill));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_connections_work_when_no_new_ones_are_accepted() {
    let kept = Kept::redis();
    kept.store.create_grant(kept.record(1)).await.unwrap();
    kept.server().command(&["CONFIG", "SET", "maxclients", "1"]).unwrap();
    let grants = by_fifty(|| {
        let store = Arc::clone(&kept.store);
        async move { store.grant(id(1)).await.unwrap() }
    });
    assert!(grants.await.iter().all(Option::is_some));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_queue_limit_fail_fast_when_redis_hangs() {
    let kept = Kept::redis();
    kept.store.ping().await.unwrap();
    kept.server().freeze().unwrap();
    let (mut asking, started) = (JoinSet::new(), Instant::now());
    for _ in 0..5000 {
        let store = Arc::clone(&kept.store);
        asking.spawn(async move { store.grant(id(1)).await.is_err() });
    }
    assert!(asking.join_all().await.into_iter().all(|failed| failed));
    assert!(started.elapsed() < NEVER_A_HANG, "{:?}", started.elapsed());
    kept.server().thaw().unwrap();
    assert!(recovers(&kept.store).await);
}
