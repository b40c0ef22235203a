//! Floods from one address or one IPv6 site: the number of counters is bounded, and other clients are not affected.

use super::{ADDRESS_A, ADDRESS_B, register, with_limits};
use crate::harness::{StoreKind, World, http};
use gateway::app::rate_limit::{Kind, Limits};
use gateway::base::clock::{Clock, Timestamp};
use gateway::base::entropy::Entropy;
use gateway::base::secret::SecretBytes;
use gateway::crypto::seal::Keys;
use gateway::settings::RedisAddress;
use gateway::store::{Format, Store};
use gateway_routes::Limits as Most;
use gateway_standins::redis::Redis;
use std::net::IpAddr;
use std::sync::Arc;
use tempfile::TempDir;

/// Requests of a flood: far more than the local table has counters.
const FLOOD_REQUESTS: u32 = 20_000;
const LIMITS: Most = Most {
    authorizations: 40,
    client_authorizations: 30,
    tokens: 50,
    client_tokens: 40,
    client_metadata_fetches: 1,
    metadata_fetches: 1,
    ..Most::DEFAULT
};
/// Counters of a request from an IPv6 address: three subnets and a client.
const COUNTERS_PER_REQUEST: u32 = 4;
/// Limit of an IPv6 site, as a multiple of one address.
const SITE_SHARES: u32 = 16;

/// Rate limiter with its store.
struct Limiter {
    limits: Limits,
    redis: Option<Redis>,
    _folder: TempDir,
}

impl Limiter {
    fn new(redis: Option<Redis>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let limits = match redis.as_ref().map(Redis::address) {
            Some(address) => limits_on(&address),
            None => limits(|clock| {
                Store::embedded(folder.path(), clock, &Entropy::system(), Format::default()).unwrap()
            }),
        };
        Self { limits, redis, _folder: folder }
    }

    fn both() -> [Self; 2] {
        [Self::new(None), Self::new(Some(Redis::start().unwrap()))]
    }

    async fn is_allowed(&self, kind: Kind, address: &str, client_id: &str) -> bool {
        self.limits.count(kind, address.parse().unwrap(), Some(client_id)).await.is_ok()
    }

    /// Number of counters in Redis.
    fn counters(&self) -> u32 {
        let Some(redis) = &self.redis else { return 0 };
        let keys = redis.command(&["KEYS", "mcp:count:*"]).unwrap();
        u32::try_from(keys.lines().filter(|line| line.contains("mcp:count:")).count()).unwrap()
    }

    #[expect(clippy::print_stdout, reason = "a measurement, not an assertion")]
    fn print_usage(&self, when: &str) {
        let of_redis = self.redis.as_ref().map(|redis| redis.command(&["INFO", "memory"]).unwrap());
        let of_redis = of_redis.unwrap_or_default();
        let memory = of_redis.lines().find(|line| line.starts_with("used_memory:")).unwrap_or("no Redis");
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let ticks: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').skip(12).take(2).collect();
        println!("{when}: {} counters, {memory}, {resident}, CPU ticks {ticks:?}", self.counters());
    }

    /// Checks that no request of other clients is rejected.
    async fn assert_others_allowed(&self) {
        for number in 0..500_u32 {
            let address = IpAddr::V4(number.into()).to_string();
            for kind in [Kind::Token, Kind::Authorization, Kind::Metadata] {
                assert!(self.is_allowed(kind, &address, "https://client.example.com/id").await, "{address}");
            }
        }
        assert!(self.is_allowed(Kind::Metadata, "2001:db8:2::1", "https://client.example.com/id").await);
    }
}

/// Rate limits on this store, at the start of a minute.
fn limits(store: impl FnOnce(Clock) -> Store) -> Limits {
    let clock = Clock::manual(Timestamp::from_seconds(Clock::system().now().seconds() / 60 * 60));
    let keys = Keys::new(vec![SecretBytes::new(vec![7; 32])]);
    Limits::new(LIMITS, &keys, Arc::new(store(clock)))
}

fn limits_on(redis: &str) -> Limits {
    let address = RedisAddress::parse(redis, None).unwrap();
    limits(|clock| Store::redis(address, clock, Entropy::system(), Format::default()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn invented_client_ids_create_no_more_counters_than_requests() {
    for limiter in Limiter::both() {
        limiter.print_usage("before");
        for kind in [Kind::Token, Kind::Authorization, Kind::Metadata] {
            let most = match kind {
                Kind::Token => LIMITS.tokens,
                Kind::Authorization => LIMITS.authorizations,
                _ => LIMITS.metadata_fetches,
            };
            let before = limiter.counters();
            let mut allowed = 0;
            for number in 0..FLOOD_REQUESTS {
                allowed += u32::from(limiter.is_allowed(kind, ADDRESS_A, &format!("client {number}")).await);
            }
            assert_eq!(allowed, most);
            assert!(limiter.counters() - before <= 1 + most, "{}", limiter.counters());
        }
        limiter.print_usage("after");
        limiter.assert_others_allowed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_site_has_sixteen_shares_over_all_subnets() {
    for limiter in Limiter::both() {
        limiter.print_usage("before");
        let mut allowed = 0;
        for number in 0..FLOOD_REQUESTS {
            let address = format!("2001:db8:1:{:x}::{number:x}", number.wrapping_mul(31) & 0xffff);
            allowed +=
                u32::from(limiter.is_allowed(Kind::Token, &address, &format!("client {number}")).await);
        }
        assert_eq!(allowed, SITE_SHARES * LIMITS.tokens);
        assert!(limiter.counters() <= COUNTERS_PER_REQUEST * allowed, "{}", limiter.counters());
        limiter.print_usage("after");
        limiter.assert_others_allowed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_reached_across_replicas_is_rejected_without_a_store_call() {
    let limiter = Limiter::new(Some(Redis::start().unwrap()));
    let replica = limits_on(&limiter.redis.as_ref().unwrap().address());
    let (address, busy) = (ADDRESS_A.parse().unwrap(), Some("wild"));
    for _ in 0..LIMITS.client_tokens / 2 {
        assert!(limiter.is_allowed(Kind::Token, ADDRESS_A, "wild").await);
        assert!(replica.count(Kind::Token, address, busy).await.is_ok());
    }
    let calls = || {
        let stats = limiter.redis.as_ref().unwrap().command(&["INFO", "commandstats"]).unwrap();
        stats.lines().find(|line| line.starts_with("cmdstat_eval:")).unwrap_or_default().to_owned()
    };
    assert!(!limiter.is_allowed(Kind::Token, ADDRESS_A, "wild").await);
    let calls_before = calls();
    for _ in 0..100 {
        assert!(!limiter.is_allowed(Kind::Token, ADDRESS_A, "wild").await);
    }
    assert_eq!(calls(), calls_before, "a rejection needs no store call");
    for _ in 0..LIMITS.tokens - LIMITS.client_tokens {
        assert!(
            limiter.is_allowed(Kind::Token, ADDRESS_A, "calm").await,
            "rejected requests are not counted"
        );
    }
    assert!(!limiter.is_allowed(Kind::Token, ADDRESS_A, "calm").await);
}

#[tokio::test]
async fn registrations_are_limited_per_ipv6_site() {
    let world = World::with_manual_clock(with_limits(|limits| limits.registrations = 1)).await;
    let mut of_half_a_56 = 0;
    for subnet in 0..8 {
        let status = register(&world, &format!("2001:db8:1:10{subnet:x}::1")).await.status();
        of_half_a_56 += u32::from(status == 201);
    }
    assert_eq!(of_half_a_56, 4);
    let mut of_site = of_half_a_56;
    for subnet in (0x200..0x2_000).step_by(0x100) {
        let status = register(&world, &format!("2001:db8:1:{subnet:x}::1")).await.status();
        of_site += u32::from(status == 201);
    }
    assert_eq!(of_site, SITE_SHARES);
    assert_eq!(register(&world, "2001:db8:2::1").await.status(), 201, "another site");
    assert_eq!(register(&world, ADDRESS_B).await.status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_requests_create_no_keys_in_redis() {
    let few = with_limits(|limits| (limits.tokens, limits.authorizations) = (10, 10));
    let world = World::with_manual_clock_on(StoreKind::Redis, few).await;
    let http = http();
    let send = async |address: &str, number: u32| {
        let id = format!("https://client.example.com/{number}");
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", &*id)];
        let token = http.post(world.url("/auth/token")).form(&form);
        let revoke = http.post(world.url("/auth/revoke")).form(&form);
        let authorize = http.get(world.url(&format!("/auth/authorize?client_id=x{number}")));
        let mut refused = 0;
        for request in [token, revoke, authorize] {
            let response = request.header("x-forwarded-for", address).send().await.unwrap();
            refused += u32::from(response.status() == 429);
        }
        refused
    };
    let mut refused = 0;
    for number in 0..300 {
        refused += send(ADDRESS_A, number).await;
    }
    assert!(refused >= 3 * 290, "{refused}");
    let keys = world.redis.as_ref().unwrap().command(&["KEYS", "*"]).unwrap();
    let keys = keys.lines().filter(|line| line.contains("mcp:count:")).count();
    assert!(keys <= 3 * 11 + 21, "an address and its clients for each, and fetches: {keys}");
    assert_eq!(send(ADDRESS_B, 1).await, 0);
}
