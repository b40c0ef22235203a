//! Replicas with clock skew on one Redis, whose clock decides.

use super::fixture::StoreFixture;
use super::{id, key};
use gateway::base::clock::{MAX_CLOCK_SKEW, Timestamp};
use gateway::base::entropy::Entropy;
use gateway::base::secret::SecretBytes;
use gateway::crypto::seal::Keys;
use gateway::grants::Grants;
use gateway::store::{CodeUse, Counter, Cursor, Rotation, Store};
use gateway_standins::redis::Redis;
use gateway_standins::tcp_proxy::TcpProxy;
use std::sync::Arc;
use std::time::Duration;

/// Clock errors, in seconds.
const SKEWS: [i64; 8] = [-119, -90, -60, -5, 5, 60, 90, 119];

/// Stores that have measured their clock skew, and stores that have not.
async fn skewed(fixture: &StoreFixture) -> Vec<(String, Store)> {
    let mut stores = Vec::new();
    for seconds in SKEWS {
        stores.push((format!("{seconds} s, not measured"), fixture.skewed(seconds)));
        let store = fixture.skewed(seconds);
        store.ping().await.unwrap();
        stores.push((format!("{seconds} s, compared"), store));
    }
    stores
}

/// Time in `seconds` from now by the store's clock.
fn seconds(store: &Store, seconds: u64) -> Timestamp {
    store.clock().now().after(Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_stored_minute_is_a_minute_on_every_replica() {
    let fixture = StoreFixture::redis();
    for (place, (who, store)) in (1..).zip(skewed(&fixture).await) {
        let (code, login, jti, counter) = (key(place), key(place + 50), key(place + 100), key(place + 150));
        store.put_code(code, b"code".to_vec(), seconds(&store, 60)).await.unwrap();
        store.put_login(login, b"login".to_vec(), seconds(&store, 60)).await.unwrap();
        assert!(store.use_once(jti, seconds(&store, 60)).await.unwrap());
        let count = async |store: &Store| {
            store.count(counter, vec![Counter { key: counter, limit: 1 }], seconds(store, 60)).await
        };
        assert_eq!(count(&store).await.unwrap(), None);
        let (other, there) = (fixture.skewed(-119), fixture.skewed(119));
        fixture.clock.advance(Duration::from_millis(59_999));
        assert!(other.code(code).await.unwrap().is_some(), "{who}");
        assert_eq!(there.use_code(code).await.unwrap(), Some(CodeUse::First), "{who}");
        assert_eq!(other.use_code(code).await.unwrap(), Some(CodeUse::Again), "{who}");
        assert_eq!(there.take_login(login).await.unwrap().as_deref(), Some(&b"login"[..]), "{who}");
        assert!(!there.use_once(jti, seconds(&there, 60)).await.unwrap(), "{who}");
        assert_eq!(count(&there).await.unwrap(), Some(0), "{who}");
        fixture.clock.advance(Duration::from_millis(1));
        assert_eq!(other.code(code).await.unwrap(), None, "{who}");
        assert_eq!(other.use_code(code).await.unwrap(), None, "{who}");
        assert!(other.use_once(jti, seconds(&other, 60)).await.unwrap(), "{who}");
    }
}

#[tokio::test]
async fn the_refresh_grace_period_is_a_minute_across_replicas() {
    let fixture = StoreFixture::redis();
    let generation = |rotation: Rotation| match rotation {
        Rotation::Fresh { record } | Rotation::Same { record } => record.generation,
        other => panic!("{other:?}"),
    };
    for (fill, (who, store)) in (1..).zip(skewed(&fixture).await) {
        let (behind, ahead) = (fixture.skewed(-119), fixture.skewed(119));
        assert!(store.create_grant(fixture.record(fill)).await.unwrap(), "{who}");
        assert_eq!(generation(store.rotate(id(fill), fixture.rotate(1)).await.unwrap()), 2, "{who}");
        for replica in [&behind, &ahead] {
            let again = replica.rotate(id(fill), fixture.rotate(1)).await.unwrap();
            assert_eq!(generation(again), 2, "{who}");
        }
        fixture.clock.advance(Duration::from_mins(1));
        assert_eq!(generation(ahead.rotate(id(fill), fixture.rotate(1)).await.unwrap()), 2, "{who}");
        fixture.clock.advance(Duration::from_millis(1));
        assert_eq!(generation(behind.rotate(id(fill), fixture.rotate(1)).await.unwrap()), 3, "{who}");
    }
}

#[tokio::test]
async fn the_feed_delivers_a_revocation_after_events_of_skewed_clocks() {
    let fixture = StoreFixture::redis();
    let mut cursor = Cursor(0);
    let mut order = SKEWS;
    order.reverse();
    for (fill, seconds) in (1..).zip(SKEWS.into_iter().chain(order)) {
        let store = fixture.skewed(seconds);
        store.create_grant(fixture.record(fill)).await.unwrap();
        assert!(store.revoke(id(fill)).await.unwrap());
        let feed = fixture.skewed(-seconds).revoked_since(cursor).await.unwrap();
        assert!(feed.ids.contains(&id(fill)), "{seconds} s: {feed:?}");
        assert!(!store.create_grant(fixture.record(fill)).await.unwrap(), "{seconds} s");
        cursor = feed.cursor;
        if fill == 8 {
            // Sequence numbers of a flushed feed are never used again, whatever clock they come from.
            fixture.server().command(&["FLUSHALL"]).unwrap();
            fixture.clock.advance(Duration::from_secs(1));
        }
    }
}

#[tokio::test]
async fn a_replica_measures_its_clock_skew_and_uses_the_time_of_redis() {
    let fixture = StoreFixture::redis();
    for seconds in SKEWS {
        let store = fixture.skewed(seconds);
        assert_eq!(store.clock_skew_millis(), None);
        store.ping().await.unwrap();
        assert_eq!(store.clock_skew_millis(), Some(seconds * 1000));
        assert_eq!(store.clock().now(), fixture.clock.now());
    }
    let real = StoreFixture::with_redis_clock(&fixture.server().address());
    real.store.ping().await.unwrap();
    assert!(real.store.clock_skew_millis().unwrap().abs() < 1000, "both clocks are on one machine");
}

#[tokio::test]
async fn a_lease_lasts_its_full_duration_under_clock_skew() {
    let fixture = StoreFixture::redis();
    for (place, (who, store)) in (1..).zip(skewed(&fixture).await) {
        let (behind, ahead) = (fixture.skewed(-119), fixture.skewed(119));
        assert!(store.lease(key(place), key(200), seconds(&store, 60)).await.unwrap(), "{who}");
        fixture.clock.advance(Duration::from_millis(59_999));
        for replica in [&behind, &ahead] {
            let taken = replica.lease(key(place), key(201), seconds(replica, 60)).await.unwrap();
            assert!(!taken, "{who}");
        }
        fixture.clock.advance(Duration::from_millis(1));
        assert!(behind.lease(key(place), key(201), seconds(&behind, 60)).await.unwrap(), "{who}");
    }
}

#[tokio::test]
async fn single_use_ids_are_stored_as_long_as_any_replica_accepts_them() {
    let fixture = StoreFixture::redis();
    let keys = Keys::new(vec![SecretBytes::new(vec![7; 32])]);
    let replica = |seconds: i64| {
        let (store, clock) = (Arc::new(fixture.skewed(seconds)), fixture.clock.skewed(seconds * 1000));
        (Grants::new(store, &keys, clock.clone(), Entropy::seeded(1)), clock)
    };
    for seconds in SKEWS {
        // Expires in a minute, and is accepted for the tolerated clock skew longer.
        let expiry = fixture.seconds(60).after(MAX_CLOCK_SKEW);
        let words = ["assertion", &format!("{seconds}")];
        assert!(replica(seconds).0.first_use(&words, expiry).await.unwrap());
        let (behind, clock) = replica(-120);
        while clock.now() < expiry {
            assert!(!behind.first_use(&words, expiry).await.unwrap(), "{seconds} s");
            fixture.clock.advance(Duration::from_secs(20));
        }
    }
}

#[tokio::test]
async fn a_slow_clock_measurement_is_ignored() {
    let redis = Redis::start().unwrap();
    let proxy = TcpProxy::start(&redis.address()).await.unwrap();
    let fixture = StoreFixture::at(&proxy.address());
    fixture.store.ping().await.unwrap();
    proxy.set_delay(Duration::from_millis(150));
    let advance_clock = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        fixture.clock.advance(Duration::from_mins(1));
    };
    let (compared, ()) = tokio::join!(fixture.store.ping(), advance_clock);
    compared.unwrap();
    assert_eq!(fixture.store.clock_skew_millis(), Some(0));
    assert_eq!(fixture.store.clock().now(), fixture.clock.now());
}
