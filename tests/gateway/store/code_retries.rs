//! Uses of an authorization code that fail for the caller although they take effect: the code still works, once.

use super::fixture::StoreFixture;
use super::key;
use gateway::store::{CodeUse, Store, Unavailable};
use gateway_standins::redis::{Redis, Sentinels};
use gateway_standins::tcp_proxy::TcpProxy;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const OUTAGE: Duration = Duration::from_secs(20);
/// Part of the script that uses a code.
const USE_CODE: &str = "'used', ARGV[2])\nreturn 'first'";

/// Redis behind a proxy that can lose the response to the use of a code, with a second gateway that is not behind it.
struct Lossy {
    redis: Redis,
    _proxy: TcpProxy,
    loss: Arc<AtomicBool>,
    here: StoreFixture,
    there: StoreFixture,
}

impl Lossy {
    async fn start() -> Self {
        let (redis, loss) = (Redis::start().unwrap(), Arc::default());
        let proxy = TcpProxy::start_losing_script(&redis.address(), &loss, USE_CODE).await.unwrap();
        let here = StoreFixture::with_redis_clock(&proxy.address());
        let there = StoreFixture::with_redis_clock(&redis.address());
        here.store.put_code(key(1), b"code".to_vec(), here.seconds(60)).await.unwrap();
        Self { redis, _proxy: proxy, loss, here, there }
    }

    /// Uses the code; the response is lost.
    async fn use_with_lost_response(&self) {
        self.loss.store(true, Ordering::SeqCst);
        assert!(self.here.store.use_code(key(1)).await.is_err());
        assert!(!self.loss.load(Ordering::SeqCst), "the response was lost");
    }

    /// Waits until the use is undone in Redis.
    async fn wait_for_release(&self) {
        let deadline = Instant::now() + OUTAGE;
        let code = self.redis.command(&["KEYS", "mcp:code:*"]).unwrap();
        let code = code.lines().find(|line| line.starts_with("mcp:")).unwrap();
        while !self.redis.command(&["HEXISTS", code, "released"]).unwrap().contains('1') {
            assert!(Instant::now() < deadline, "the use is not undone");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Uses the code as a client that tries again while the store is unavailable.
async fn use_with_retries(store: &Store) -> Option<CodeUse> {
    let deadline = Instant::now() + OUTAGE;
    loop {
        match store.use_code(key(1)).await {
            Ok(used) => return used,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_whose_response_is_lost_does_not_count() {
    let lossy = Lossy::start().await;
    for _ in 0..3 {
        lossy.use_with_lost_response().await;
    }
    assert_eq!(use_with_retries(&lossy.here.store).await, Some(CodeUse::First));
    for store in [&lossy.here.store, &lossy.there.store] {
        assert_eq!(use_with_retries(store).await, Some(CodeUse::Again));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_whose_response_is_lost_does_not_count_at_another_gateway() {
    let lossy = Lossy::start().await;
    lossy.use_with_lost_response().await;
    lossy.wait_for_release().await;
    assert_eq!(use_with_retries(&lossy.there.store).await, Some(CodeUse::First));
    for store in [&lossy.here.store, &lossy.there.store] {
        assert_eq!(use_with_retries(store).await, Some(CodeUse::Again), "a code works once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_response_after_a_successful_use_does_not_free_the_code() {
    let lossy = Lossy::start().await;
    assert_eq!(lossy.here.store.use_code(key(1)).await.unwrap(), Some(CodeUse::First));
    lossy.use_with_lost_response().await;
    lossy.wait_for_release().await;
    for store in [&lossy.here.store, &lossy.there.store] {
        assert_eq!(use_with_retries(store).await, Some(CodeUse::Again));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_concurrent_retries_one_gets_the_code() {
    let lossy = Lossy::start().await;
    lossy.use_with_lost_response().await;
    let retries: Vec<_> = (0..50)
        .map(|number| {
            let store = if number % 2 == 0 { &lossy.here.store } else { &lossy.there.store };
            let store = Arc::clone(store);
            tokio::spawn(async move { use_with_retries(&store).await })
        })
        .collect();
    let mut first = 0;
    for retry in retries {
        first += usize::from(retry.await.unwrap() == Some(CodeUse::First));
    }
    assert_eq!(first, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_that_no_replica_has_does_not_count() {
    let servers = Sentinels::start().unwrap();
    let fixture = StoreFixture::at(&servers.address());
    let other = StoreFixture::at(&servers.address());
    fixture.store.put_code(key(1), b"code".to_vec(), fixture.seconds(60)).await.unwrap();
    assert!(other.store.code(key(1)).await.unwrap().is_some());
    servers.replica.freeze().unwrap();
    for _ in 0..2 {
        assert!(matches!(fixture.store.use_code(key(1)).await, Err(Unavailable::NotReplicated)));
    }
    servers.replica.thaw().unwrap();
    assert_eq!(use_with_retries(&other.store).await, Some(CodeUse::First));
    assert_eq!(use_with_retries(&fixture.store).await, Some(CodeUse::Again));
}
