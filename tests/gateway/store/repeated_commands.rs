//! Commands that the client library repeats after a broken connection: a repetition changes nothing and returns the
//! first result. Two stores with the same nonces stand for a command and its repetition.

use super::fixture::StoreFixture;
use super::{id, key, user_entry};
use gateway::base::entropy::Entropy;
use gateway::settings::RedisAddress;
use gateway::store::{CodeUse, Counter, Cursor, Format, Rotation, Sealed, Store, Unavailable};
use gateway_standins::redis::Cluster;
use gateway_standins::tcp_proxy::TcpProxy;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stores of a command and of its repetition.
struct Repeated {
    call: Store,
    repeat: Store,
}

impl Repeated {
    fn on(fixture: &StoreFixture, seed: u64) -> Self {
        let open = || {
            let address = RedisAddress::parse(&fixture.server().address(), None).unwrap();
            Store::redis(address, fixture.clock.clone(), Entropy::seeded(seed), Format::default()).unwrap()
        };
        Self { call: open(), repeat: open() }
    }

    /// Runs the command twice; both results must be equal.
    async fn twice<T: PartialEq + Debug>(
        &self,
        verb: &str,
        operation: impl AsyncFn(&Store) -> Result<T, Unavailable>,
    ) -> T {
        let first = operation(&self.call).await.unwrap();
        assert_eq!(operation(&self.repeat).await.unwrap(), first, "{verb}");
        first
    }
}

fn generation(rotation: &Rotation) -> Option<u32> {
    match rotation {
        Rotation::Fresh { record } | Rotation::Same { record } => Some(record.generation),
        _ => None,
    }
}

#[tokio::test]
async fn a_repeated_command_returns_its_first_result() {
    for fixture in [Some(StoreFixture::redis()), StoreFixture::valkey()].into_iter().flatten() {
        let (calls, expiry) = (Repeated::on(&fixture, 1), fixture.seconds(60));
        calls
            .twice("put_login", async |store| store.put_login(key(1), b"login".to_vec(), expiry).await)
            .await;
        let taken = calls.twice("take_login", async |store| store.take_login(key(1)).await).await;
        assert_eq!(taken.as_deref(), Some(&b"login"[..]));
        calls.twice("put_code", async |store| store.put_code(key(2), b"code".to_vec(), expiry).await).await;
        let used = calls.twice("use_code", async |store| store.use_code(key(2)).await).await;
        assert_eq!(used, Some(CodeUse::First));
        let made =
            calls.twice("create_grant", async |store| store.create_grant(fixture.record(1)).await).await;
        assert!(made);
        for presented in [1, 1, 2] {
            let rotate = fixture.rotate(presented);
            let rotation = calls.twice("rotate", async |store| store.rotate(id(1), rotate).await).await;
            assert_eq!(generation(&rotation), Some(presented + 1));
        }
        let new = Sealed { sealed: b"new".to_vec(), index_entries: fixture.record(1).index_entries };
        let old = fixture.record(1).sealed;
        let swap = async |store: &Store| store.replace_sealed(id(1), &old, new.clone()).await;
        assert!(calls.twice("replace_sealed", swap).await);
        let reused = calls.twice("rotate", async |store| store.rotate(id(1), fixture.rotate(1)).await).await;
        assert_eq!(reused, Rotation::Reused);
        assert!(calls.twice("create_grant", async |store| store.create_grant(fixture.record(2)).await).await);
        assert!(calls.twice("revoke", async |store| store.revoke(id(2)).await).await);
        assert!(calls.twice("use_once", async |store| store.use_once(key(3), expiry).await).await);
        let counters = || vec![Counter { key: key(4), limit: 20 }];
        for _ in 0..20 {
            let count = async |store: &Store| store.count(key(4), counters(), expiry).await;
            assert_eq!(calls.twice("count", count).await, None);
        }
        assert!(calls.twice("lease", async |store| store.lease(key(5), key(6), expiry).await).await);
        calls.twice("release", async |store| store.release(key(5), key(6)).await).await;
        // Another command is another use.
        let store = &fixture.store;
        assert_eq!(store.take_login(key(1)).await.unwrap(), None);
        assert_eq!(store.use_code(key(2)).await.unwrap(), Some(CodeUse::Again));
        assert!(!store.use_once(key(3), expiry).await.unwrap());
        assert_eq!(store.count(key(4), counters(), expiry).await.unwrap(), Some(0));
        assert!(!store.revoke(id(2)).await.unwrap());
        assert_eq!(store.rotate(id(1), fixture.rotate(3)).await.unwrap(), Rotation::Gone);
    }
}

#[tokio::test]
async fn a_late_repeated_command_undoes_no_later_change() {
    let fixture = StoreFixture::redis();
    let (calls, store, expiry) = (Repeated::on(&fixture, 1), &fixture.store, fixture.seconds(60));
    calls.call.put_login(key(1), b"login".to_vec(), expiry).await.unwrap();
    assert!(store.take_login(key(1)).await.unwrap().is_some());
    calls.repeat.put_login(key(1), b"login".to_vec(), expiry).await.unwrap();
    assert_eq!(store.take_login(key(1)).await.unwrap(), None, "a login is returned once");
    calls.call.put_code(key(2), b"code".to_vec(), expiry).await.unwrap();
    assert_eq!(store.use_code(key(2)).await.unwrap(), Some(CodeUse::First));
    calls.repeat.put_code(key(2), b"code".to_vec(), expiry).await.unwrap();
    assert_eq!(store.use_code(key(2)).await.unwrap(), Some(CodeUse::Again), "a code works once");
    assert!(calls.call.create_grant(fixture.record(1)).await.unwrap());
    assert_eq!(generation(&store.rotate(id(1), fixture.rotate(1)).await.unwrap()), Some(2));
    assert!(calls.repeat.create_grant(fixture.record(1)).await.unwrap());
    assert_eq!(store.grant(id(1)).await.unwrap().unwrap().generation, 2, "a grant is created once");
    // The last token and the newest one, each repeated after it has become an older one.
    for presented in [1, 2] {
        let rotation = calls.call.rotate(id(1), fixture.rotate(presented)).await.unwrap();
        assert_eq!(generation(&rotation), Some(presented + 1));
    }
    store.rotate(id(1), fixture.rotate(3)).await.unwrap();
    for presented in [1, 2] {
        let late = calls.repeat.rotate(id(1), fixture.rotate(presented)).await.unwrap();
        assert_eq!(generation(&late), Some(4), "a repeated command is not reuse of an older token");
    }
    assert!(store.grant(id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_released_lease_is_not_taken_by_a_late_repeated_command() {
    let fixture = StoreFixture::redis();
    let (store, expiry) = (&fixture.store, fixture.seconds(60));
    assert!(store.lease(key(1), key(2), expiry).await.unwrap());
    store.release(key(1), key(2)).await.unwrap();
    store.lease(key(1), key(2), expiry).await.unwrap();
    assert!(store.lease(key(1), key(3), expiry).await.unwrap(), "the lease is free");
    assert!(!store.lease(key(1), key(4), expiry).await.unwrap());
}

/// Cluster whose nodes are reached through TCP proxies only.
struct ProxiedCluster {
    _cluster: Cluster,
    _detours: Vec<TcpProxy>,
    loss: Arc<AtomicBool>,
    fixture: StoreFixture,
}

impl ProxiedCluster {
    async fn start() -> Self {
        let cluster = Cluster::start().unwrap();
        let (loss, mut proxies) = (Arc::default(), Vec::new());
        for node in &cluster.nodes {
            proxies.push(TcpProxy::start_losing(&node.address(), &loss).await.unwrap());
        }
        let ports: Vec<u16> = proxies.iter().map(TcpProxy::port).collect();
        cluster.announce(&ports).unwrap();
        let hosts: Vec<String> = proxies.iter().map(TcpProxy::address).collect();
        let fixture = StoreFixture::with_redis_clock(&format!("redis-cluster://{}", hosts.join(",")));
        fixture.store.ping().await.unwrap();
        Self { _cluster: cluster, _detours: proxies, loss, fixture }
    }

    /// Result of a command whose first response is lost.
    async fn with_lost_response<T>(
        &self,
        verb: &str,
        operation: impl Future<Output = Result<T, Unavailable>>,
    ) -> T {
        self.loss.store(true, Ordering::SeqCst);
        let result = operation.await;
        assert!(!self.loss.load(Ordering::SeqCst), "{verb}: no response was lost");
        result.unwrap_or_else(|error| panic!("{verb}: {error}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_cluster_response_is_retried_without_another_result() {
    let proxied = ProxiedCluster::start().await;
    let (store, expiry) = (&proxied.fixture.store, proxied.fixture.seconds(60));
    for round in 1..=3 {
        let (login, code, jti, counter) = (key(round), key(round + 10), key(round + 20), key(round + 30));
        proxied.with_lost_response("put_login", store.put_login(login, b"login".to_vec(), expiry)).await;
        let taken = proxied.with_lost_response("take_login", store.take_login(login)).await;
        assert_eq!(taken.as_deref(), Some(&b"login"[..]));
        assert_eq!(store.take_login(login).await.unwrap(), None);
        proxied.with_lost_response("put_code", store.put_code(code, b"code".to_vec(), expiry)).await;
        assert_eq!(proxied.with_lost_response("use_code", store.use_code(code)).await, Some(CodeUse::First));
        assert_eq!(store.use_code(code).await.unwrap(), Some(CodeUse::Again));
        assert!(
            proxied
                .with_lost_response("create_grant", store.create_grant(proxied.fixture.record(round)))
                .await
        );
        for presented in [1, 2] {
            let rotation = proxied
                .with_lost_response("rotate", store.rotate(id(round), proxied.fixture.rotate(presented)))
                .await;
            assert_eq!(generation(&rotation), Some(presented + 1));
        }
        let new =
            Sealed { sealed: vec![round, 1], index_entries: proxied.fixture.record(round).index_entries };
        let old = proxied.fixture.record(round).sealed;
        let swap = store.replace_sealed(id(round), &old, new);
        assert!(proxied.with_lost_response("replace_sealed", swap).await);
        assert!(proxied.with_lost_response("use_once", store.use_once(jti, expiry)).await);
        assert!(!store.use_once(jti, expiry).await.unwrap());
        let counters = || vec![Counter { key: counter, limit: 2 }];
        assert_eq!(proxied.with_lost_response("count", store.count(counter, counters(), expiry)).await, None);
        assert_eq!(store.count(counter, counters(), expiry).await.unwrap(), None);
        assert_eq!(store.count(counter, counters(), expiry).await.unwrap(), Some(0));
        assert!(proxied.with_lost_response("lease", store.lease(key(40), key(round), expiry)).await);
        proxied.with_lost_response("release", store.release(key(40), key(round))).await;
        let reused =
            proxied.with_lost_response("rotate", store.rotate(id(round), proxied.fixture.rotate(1))).await;
        assert_eq!(reused, Rotation::Reused);
        assert!(store.create_grant(proxied.fixture.record(round + 100)).await.unwrap());
        assert!(proxied.with_lost_response("revoke", store.revoke(id(round + 100))).await);
        assert_eq!(store.grants_of(user_entry(key(0)), 10).await.unwrap(), []);
    }
    let revoked = store.revoked_since(Cursor(0)).await.unwrap().ids;
    assert_eq!(revoked, [1, 101, 2, 102, 3, 103].map(id), "each of them once");
}
