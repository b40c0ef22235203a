//! Redis credentials: a password, and a user with minimal rights.

use super::fixture::{StoreFixture, use_every_operation};
use super::outage::CALL_TIMEOUT;
use gateway::base::clock::Clock;
use gateway::base::entropy::Entropy;
use gateway::base::secret::Secret;
use gateway::settings::RedisAddress;
use gateway::store::{Format, Store};
use gateway_standins::redis::Redis;
use std::time::Instant;

fn open(address: &str, password: Option<&str>) -> Store {
    let address = RedisAddress::parse(address, password.map(Secret::new)).unwrap();
    Store::redis(address, Clock::system(), Entropy::system(), Format::default()).unwrap()
}

#[tokio::test]
async fn a_redis_password_is_required_and_not_logged() {
    let redis = Redis::start().unwrap();
    redis.command(&["CONFIG", "SET", "requirepass", "open sesame"]).unwrap();
    open(&redis.address(), Some("open sesame")).ping().await.unwrap();
    open(&format!("redis://:open%20sesame@{}/2", redis.address()), None).ping().await.unwrap();
    for wrong in [open(&redis.address(), Some("hunter2")), open(&redis.address(), None)] {
        let started = Instant::now();
        let why = wrong.ping().await.unwrap_err().to_string();
        assert!(started.elapsed() < CALL_TIMEOUT);
        assert!(!why.contains("hunter2"), "{why}");
    }
}

/// Rights documented in docs/operations.md: for every user, and in addition for Sentinel and for a Cluster.
pub(super) fn documented_rights() -> [Vec<&'static str>; 3] {
    let page = include_str!("../../../docs/operations.md");
    let (_, documented_rights) = page.split_once("For an ACL user:").unwrap();
    let mut documented_rights =
        documented_rights.split('`').skip(1).step_by(2).map(|words| words.split_whitespace().collect());
    [(); 3].map(|()| documented_rights.next().unwrap())
}

/// Creates the user `mcp` with these rights and the password `secret`.
pub(super) fn create_user(redis: &Redis, documented_rights: &[&str]) {
    let user = ["ACL", "SETUSER", "mcp", "reset", "on", ">secret"];
    redis.command(&[&user, documented_rights].concat()).unwrap();
}

#[tokio::test]
async fn a_redis_user_needs_exactly_the_documented_rights() {
    let redis = Redis::start().unwrap();
    let [needed, ..] = documented_rights();
    create_user(&redis, &needed);
    let fixture = StoreFixture::with_redis_clock(&format!("redis://mcp:secret@{}", redis.address()));
    use_every_operation(&fixture).await.unwrap();
    for right in needed.iter().filter_map(|word| word.strip_prefix('+')) {
        redis.command(&["FLUSHALL"]).unwrap();
        // Long enough that the next revocation trims it.
        let fill = "for number = 1, 10001 do redis.call('ZADD', KEYS[1], number, number) end";
        redis.command(&["EVAL", fill, "1", "mcp:{feed}:entries"]).unwrap();
        redis.command(&["ACL", "SETUSER", "mcp", &format!("-{right}")]).unwrap();
        assert!(use_every_operation(&fixture).await.is_err(), "{right} is not needed");
        redis.command(&["ACL", "SETUSER", "mcp", &format!("+{right}")]).unwrap();
    }
}
