//! Stores under test with a manual clock.

use gateway::base::clock::{Clock, Timestamp};
use gateway::base::entropy::Entropy;
use gateway::settings::RedisAddress;
use gateway::store::{
    Counter, Cursor, Format, GrantRecord, IndexEntry, IndexKind, Key, Reuse, Rotate, Rotation, Sealed, Store,
    Unavailable,
};
use gateway_standins::redis::Redis;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Store with its backend.
pub(super) struct StoreFixture {
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    pub(super) redis: Option<Redis>,
    folder: TempDir,
}

impl StoreFixture {
    fn new(redis: Option<Redis>) -> Self {
        let clock = Clock::manual(Clock::system().now());
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(open(redis.as_ref(), &folder, &clock));
        Self { store, clock, redis, folder }
    }

    pub(super) fn embedded() -> Self {
        Self::new(None)
    }

    pub(super) fn redis() -> Self {
        Self::new(Some(Redis::start().unwrap()))
    }

    /// On Valkey, if it is installed.
    pub(super) fn valkey() -> Option<Self> {
        Some(Self::new(Some(Redis::start_valkey()?.unwrap())))
    }

    /// On the Redis at this address.
    pub(super) fn at(address: &str) -> Self {
        Self::of(RedisAddress::parse(address, None).unwrap())
    }

    pub(super) fn of(address: RedisAddress) -> Self {
        Self::by(Clock::manual(Clock::system().now()), address)
    }

    /// Store with the clock of Redis, as in production.
    pub(super) fn with_redis_clock(address: &str) -> Self {
        Self::by(Clock::system(), RedisAddress::parse(address, None).unwrap())
    }

    fn by(clock: Clock, address: RedisAddress) -> Self {
        let store = Arc::new(in_redis(address, &clock));
        Self { store, clock, redis: None, folder: tempfile::tempdir().unwrap() }
    }

    /// Another replica on the same Redis, whose clock differs by these seconds.
    pub(super) fn skewed(&self, seconds: i64) -> Store {
        let address = RedisAddress::parse(&self.server().address(), None).unwrap();
        in_redis(address, &self.clock.skewed(seconds * 1000))
    }

    /// Opens the same state again.
    pub(super) fn reopened(self) -> Self {
        let Self { store, clock, redis, folder } = self;
        drop(store);
        let store = Arc::new(open(redis.as_ref(), &folder, &clock));
        Self { store, clock, redis, folder }
    }

    /// Passes the embedded store's file to `read` while the store is closed, and opens the store again.
    pub(super) fn with_closed_file<T>(&mut self, read: impl FnOnce(&std::path::Path) -> T) -> T {
        let elsewhere = tempfile::tempdir().unwrap();
        self.store = Arc::new(open(None, &elsewhere, &self.clock));
        let seen = read(&self.folder.path().join("gateway.redb"));
        self.store = Arc::new(open(None, &self.folder, &self.clock));
        seen
    }

    pub(super) fn server(&self) -> &Redis {
        self.redis.as_ref().unwrap()
    }

    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(super) fn name(&self) -> &'static str {
        if self.redis.is_some() { "redis" } else { "embedded" }
    }

    /// Time in `seconds` from now.
    pub(super) fn seconds(&self, seconds: u64) -> Timestamp {
        self.clock.now().after(Duration::from_secs(seconds))
    }

    /// Grant of one hour.
    pub(super) fn record(&self, fill: u8) -> GrantRecord {
        GrantRecord {
            id: super::id(fill),
            sealed: vec![0, fill, 0xff, b'\n'],
            generation: 1,
            previous: None,
            rotated_at: self.clock.now(),
            created_at: self.clock.now(),
            expires_at: self.seconds(3600),
            index_entries: IndexKind::ALL
                .into_iter()
                .zip(0..)
                .map(|(kind, number)| IndexEntry { kind, key: Key([number; 32]) })
                .collect(),
        }
    }

    /// Use of the refresh token of this generation, which extends the grant to two hours.
    pub(super) fn rotate(&self, presented: u32) -> Rotate {
        Rotate {
            presented,
            grace: Duration::from_mins(1),
            expires_at: self.seconds(7200),
            on_reuse: Reuse::Revoke,
        }
    }
}

fn open(redis: Option<&Redis>, folder: &TempDir, clock: &Clock) -> Store {
    match redis {
        None => Store::embedded(folder.path(), clock.clone(), &Entropy::system(), Format::default()).unwrap(),
        Some(redis) => {
            let address = RedisAddress::parse(&redis.address(), None).unwrap();
            in_redis(address, clock)
        }
    }
}

fn in_redis(address: RedisAddress, clock: &Clock) -> Store {
    Store::redis(address, clock.clone(), Entropy::system(), Format::default()).unwrap()
}

/// Runs a check on both backends, and on Valkey if it is installed.
#[expect(clippy::print_stdout, reason = "the output of a failed test shows the backend")]
pub(super) async fn on_each_backend(check: impl AsyncFn(&StoreFixture)) {
    for fixture in [StoreFixture::embedded(), StoreFixture::redis()].into_iter().chain(StoreFixture::valkey())
    {
        println!("on {}", fixture.name());
        check(&fixture).await;
    }
}

/// Results of fifty concurrent tasks.
pub(super) async fn fifty_concurrent<T: Send + 'static, F>(operation: impl Fn() -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..50).map(|_| tokio::spawn(operation())).collect();
    let mut responses = Vec::new();
    for task in tasks {
        responses.push(task.await.unwrap());
    }
    responses
}

/// Uses every operation of an empty store.
pub(super) async fn use_every_operation(fixture: &StoreFixture) -> Result<(), Unavailable> {
    let (store, expiry) = (&fixture.store, fixture.seconds(60));
    let (key, id) = (super::key, super::id);
    store.put_login(key(1), b"login".to_vec(), expiry).await?;
    assert_eq!(store.take_login(key(1)).await?.as_deref(), Some(&b"login"[..]));
    store.put_code(key(2), b"code".to_vec(), expiry).await?;
    assert!(store.code(key(2)).await?.is_some());
    store.use_code(key(2)).await?;
    for fill in [1, 2, 2] {
        assert!(store.create_grant(fixture.record(fill)).await?);
    }
    let new = Sealed { sealed: vec![1], index_entries: fixture.record(1).index_entries };
    assert!(store.replace_sealed(id(1), &fixture.record(1).sealed, new).await?);
    for _ in 0..2 {
        assert_eq!(generation(store.rotate(id(1), fixture.rotate(1)).await?), 2);
    }
    assert!(store.revoke(id(2)).await?);
    store.revoked_since(Cursor(0)).await?;
    assert_eq!(store.grants_of(super::user_entry(key(0)), 10).await?, [id(1)]);
    assert_eq!(store.grant(id(2)).await?, None);
    assert!(store.use_once(key(3), expiry).await?);
    let counters = vec![Counter { key: key(4), limit: 1 }, Counter { key: key(5), limit: 2 }];
    assert_eq!(store.count(key(4), counters.clone(), expiry).await?, None);
    assert_eq!(store.count(key(4), counters, expiry).await?, Some(0));
    assert!(store.lease(key(5), key(6), expiry).await?);
    store.release(key(5), key(6)).await?;
    store.ping().await
}

fn generation(rotation: Rotation) -> u32 {
    match rotation {
        Rotation::Fresh { record } | Rotation::Same { record } => record.generation,
        other => panic!("{other:?}"),
    }
}
