//! Logins, codes, single-use ids, counters and leases.

use super::fixture::{fifty_concurrent, on_each_backend};
use super::key;
use gateway::store::{CodeUse, Counter};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifty_concurrent_takes_gets_the_login() {
    on_each_backend(async |fixture| {
        fixture.store.put_login(key(1), b"login".to_vec(), fixture.seconds(60)).await.unwrap();
        let taken = fifty_concurrent(|| {
            let store = Arc::clone(&fixture.store);
            async move { store.take_login(key(1)).await.unwrap() }
        });
        let taken: Vec<_> = taken.await.into_iter().flatten().collect();
        assert_eq!(taken, [b"login"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifty_concurrent_puts_stores_its_login_and_the_others_get_it() {
    on_each_backend(async |fixture| {
        let expiry = fixture.seconds(60);
        let put = fifty_concurrent(|| {
            let store = Arc::clone(&fixture.store);
            async move { store.put_login(key(1), b"login".to_vec(), expiry).await.unwrap() }
        });
        let put = put.await;
        assert_eq!(put.iter().filter(|fixture| fixture.is_none()).count(), 1);
        assert_eq!(put.iter().filter(|fixture| fixture.as_deref() == Some(b"login")).count(), 49);
    })
    .await;
}

#[tokio::test]
async fn a_login_replaces_no_other_before_that_expired() {
    on_each_backend(async |fixture| {
        let store = &fixture.store;
        let put =
            async |value: &[u8]| store.put_login(key(1), value.to_vec(), fixture.seconds(60)).await.unwrap();
        assert_eq!(store.take_login(key(1)).await.unwrap(), None);
        assert_eq!(put(b"first").await, None, "a failed lookup stores nothing");
        assert_eq!(put(b"second").await.as_deref(), Some(&b"first"[..]));
        assert_eq!(store.take_login(key(1)).await.unwrap().as_deref(), Some(&b"first"[..]));
        for _ in 0..2 {
            assert_eq!(put(b"third").await.as_deref(), Some(&b""[..]), "it was taken");
            assert_eq!(store.take_login(key(1)).await.unwrap(), None);
        }
        fixture.clock.advance(Duration::from_mins(1));
        assert_eq!(put(b"third").await, None);
        assert_eq!(store.take_login(key(1)).await.unwrap().as_deref(), Some(&b"third"[..]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifty_concurrent_uses_of_a_code_is_the_first() {
    on_each_backend(async |fixture| {
        fixture.store.put_code(key(1), b"code".to_vec(), fixture.seconds(60)).await.unwrap();
        let uses = fifty_concurrent(|| {
            let store = Arc::clone(&fixture.store);
            async move { store.use_code(key(1)).await.unwrap().unwrap() }
        });
        let uses = uses.await;
        assert_eq!(uses.iter().filter(|used| **used == CodeUse::First).count(), 1);
        assert_eq!(uses.iter().filter(|used| **used == CodeUse::Again).count(), 49);
    })
    .await;
}

#[tokio::test]
async fn a_code_can_be_read_before_and_after_its_use() {
    on_each_backend(async |fixture| {
        let store = &fixture.store;
        assert_eq!(store.code(key(1)).await.unwrap(), None);
        assert_eq!(store.use_code(key(1)).await.unwrap(), None);
        store.put_code(key(1), b"co\0de".to_vec(), fixture.seconds(60)).await.unwrap();
        for used in [CodeUse::First, CodeUse::Again, CodeUse::Again] {
            assert_eq!(store.code(key(1)).await.unwrap().as_deref(), Some(&b"co\0de"[..]));
            assert_eq!(store.use_code(key(1)).await.unwrap(), Some(used));
        }
    })
    .await;
}

#[tokio::test]
async fn logins_and_codes_expire() {
    on_each_backend(async |fixture| {
        let store = &fixture.store;
        store.put_login(key(1), b"login".to_vec(), fixture.seconds(60)).await.unwrap();
        store.put_code(key(2), b"code".to_vec(), fixture.seconds(60)).await.unwrap();
        fixture.clock.advance(Duration::from_millis(59_999));
        assert!(store.code(key(2)).await.unwrap().is_some());
        fixture.clock.advance(Duration::from_millis(1));
        assert_eq!(store.take_login(key(1)).await.unwrap(), None);
        assert_eq!(store.code(key(2)).await.unwrap(), None);
        assert_eq!(store.use_code(key(2)).await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_use_id_is_accepted_once_until_it_expires() {
    on_each_backend(async |fixture| {
        let expiry = fixture.seconds(60);
        let firsts = fifty_concurrent(|| {
            let store = Arc::clone(&fixture.store);
            async move { store.use_once(key(1), expiry).await.unwrap() }
        });
        assert_eq!(firsts.await.into_iter().filter(|first| *first).count(), 1);
        assert!(fixture.store.use_once(key(2), expiry).await.unwrap(), "another id is independent");
        fixture.clock.advance(Duration::from_mins(1));
        assert!(fixture.store.use_once(key(1), fixture.seconds(60)).await.unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_counting_stops_at_the_limit() {
    on_each_backend(async |fixture| {
        let expiry = fixture.seconds(60);
        let counted = fifty_concurrent(|| {
            let store = Arc::clone(&fixture.store);
            async move { store.count(key(1), vec![Counter { key: key(1), limit: 30 }], expiry).await.unwrap() }
        });
        let counted = counted.await;
        assert_eq!(counted.iter().filter(|full| full.is_none()).count(), 30);
        assert_eq!(counted.iter().filter(|full| **full == Some(0)).count(), 20);
    })
    .await;
}

#[tokio::test]
async fn a_request_counts_in_all_of_its_counters_or_in_none() {
    on_each_backend(async |fixture| {
        let expiry = fixture.seconds(60);
        let count = async |other: u8, limit: u32| {
            let counters = vec![Counter { key: key(1), limit: 3 }, Counter { key: key(other), limit }];
            fixture.store.count(key(9), counters, expiry).await.unwrap()
        };
        assert_eq!((count(2, 1).await, count(2, 1).await, count(2, 1).await), (None, Some(1), Some(1)));
        assert_eq!((count(3, 5).await, count(3, 5).await), (None, None), "rejected requests are not counted");
        for other in 10..60 {
            assert_eq!(count(other, 5).await, Some(0));
        }
        if let Some(redis) = &fixture.redis {
            let keys = redis.command(&["KEYS", "mcp:count:*"]).unwrap();
            assert_eq!(keys.lines().filter(|line| line.contains("mcp:")).count(), 3, "{keys}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_is_released_or_expires() {
    on_each_backend(async |fixture| {
        let store = &fixture.store;
        assert!(store.lease(key(1), key(10), fixture.seconds(60)).await.unwrap());
        assert!(!store.lease(key(1), key(11), fixture.seconds(60)).await.unwrap());
        fixture.clock.advance(Duration::from_secs(59));
        assert!(store.lease(key(1), key(10), fixture.seconds(60)).await.unwrap(), "the holder extends it");
        fixture.clock.advance(Duration::from_secs(59));
        store.release(key(1), key(11)).await.unwrap();
        assert!(
            !store.lease(key(1), key(11), fixture.seconds(60)).await.unwrap(),
            "only the holder releases it"
        );
        store.release(key(1), key(10)).await.unwrap();
        assert!(store.lease(key(1), key(11), fixture.seconds(60)).await.unwrap());
        fixture.clock.advance(Duration::from_mins(1));
        assert!(store.lease(key(1), key(10), fixture.seconds(60)).await.unwrap(), "it has expired");
    })
    .await;
}
