//! Refused credentials and rights: the error names the server, the code and the remedy. Credentials of Sentinels.

use super::access::{create_user, documented_rights};
use super::fixture::{StoreFixture, use_every_operation};
use super::outage::CALL_TIMEOUT;
use gateway::base::secret::Secret;
use gateway::settings::{RedisAddress, SentinelLogin};
use gateway_standins::redis::{Cluster, Redis, Sentinels};
use std::time::Instant;

/// Right that the gateway needs at Sentinels, as documented.
const RIGHT: &str = "+sentinel|get-master-addr-by-name";
const SENTINELS: &str = "check KVS_SENTINEL_USER and KVS_SENTINEL_PASSWORD";
const REDIS: &str = "check KVS_PASSWORD and the user in KVS_ADDR";

fn login(user: Option<&str>, password: &str) -> SentinelLogin {
    SentinelLogin { user: user.map(str::to_owned), password: Secret::new(password) }
}

fn fixture(address: &str, sentinel_login: Option<SentinelLogin>) -> StoreFixture {
    StoreFixture::of(RedisAddress { sentinel_login, ..RedisAddress::parse(address, None).unwrap() })
}

/// Error of a ping, which comes in time and has no password in it.
async fn error(fixture: &StoreFixture) -> String {
    let started = Instant::now();
    let error = fixture.store.ping().await.unwrap_err().to_string();
    assert!(started.elapsed() < CALL_TIMEOUT, "{error}");
    assert!(!error.contains("hunter2") && !error.contains("sesame"), "{error}");
    error
}

fn assert_contains(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{part} is missing in {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_with_credentials_of_their_own_are_used_and_an_error_names_who_refused() {
    let servers = Sentinels::start().unwrap();
    let [needed, beside, _] = documented_rights();
    create_user(&servers.primary, &[needed, beside].concat());
    let kvs = format!("redis-sentinel://mcp:secret@{}", servers.hosts());
    servers.command(&["ACL", "SETUSER", "gateway", "reset", "on", ">sesame", "-@all", RIGHT]).unwrap();
    servers.command(&["ACL", "SETUSER", "idle", "reset", "on", ">sesame", "-@all"]).unwrap();
    servers.command(&["ACL", "SETUSER", "default", "resetpass", ">sesame"]).unwrap();
    for user in [None, Some("gateway")] {
        servers.primary.command(&["FLUSHALL"]).unwrap();
        use_every_operation(&fixture(&kvs, Some(login(user, "sesame")))).await.unwrap();
    }
    for (login, code, remedy) in [
        (None, "NOAUTH ", SENTINELS),
        (Some(login(None, "hunter2")), "WRONGPASS ", SENTINELS),
        (Some(login(Some("gateway"), "hunter2")), "WRONGPASS ", SENTINELS),
        (Some(login(Some("idle"), "sesame")), "NOPERM ", RIGHT),
    ] {
        let error = error(&fixture(&kvs, login)).await;
        assert_contains(&error, &["the Sentinel 127.0.0.1:", code, remedy]);
    }
    let primary = format!("the server {}: ", servers.primary.address());
    for (kvs, code) in [("mcp:hunter2@", "WRONGPASS "), ("mcp:secret@", "NOPERM ")] {
        let kvs = format!("redis-sentinel://{kvs}{}", servers.hosts());
        if code == "NOPERM " {
            servers.primary.command(&["ACL", "SETUSER", "mcp", "-role"]).unwrap();
        }
        let error = error(&fixture(&kvs, Some(login(None, "sesame")))).await;
        assert_contains(&error, &[&primary, code]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_know_no_primary_or_hang_are_named() {
    let servers = Sentinels::start().unwrap();
    let kvs = servers.address();
    let other = kvs.rsplit_once('/').unwrap().0.to_owned() + "/other";
    assert_contains(
        &error(&fixture(&other, None)).await,
        &["the Sentinel 127.0.0.1:", "it knows no primary of the name in KVS_ADDR"],
    );
    servers.freeze().unwrap();
    assert_contains(&error(&fixture(&kvs, None)).await, &["127.0.0.1:", "timed out"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_single_server_or_a_cluster_names_it() {
    let redis = Redis::start().unwrap();
    let (kvs, server) = (redis.address(), format!("the server {}: ", redis.address()));
    let not_needed = error(&fixture(&format!("redis://:hunter2@{kvs}"), None)).await;
    assert_contains(&not_needed, &[&server, "without any password configured", REDIS]);
    create_user(&redis, &["~mcp:*", "-@all"]);
    let no_right = error(&fixture(&format!("redis://mcp:secret@{kvs}"), None)).await;
    assert_contains(&no_right, &[&server, "NOPERM ", "give the user in KVS_ADDR the rights"]);
    let no_select = error(&fixture(&format!("redis://mcp:secret@{kvs}/2"), None)).await;
    assert_contains(&no_select, &[&server, "NOPERM ", "select"]);
    redis.command(&["CONFIG", "SET", "requirepass", "sesame"]).unwrap();
    assert_contains(&error(&fixture(&kvs, None)).await, &[&server, "NOAUTH ", REDIS]);
    let wrong = error(&fixture(&format!("redis://:hunter2@{kvs}"), None)).await;
    assert_contains(&wrong, &[&server, "WRONGPASS ", REDIS]);
    redis.stop();
    assert_contains(&error(&fixture(&kvs, None)).await, &[&server, "refused"]);

    let cluster = Cluster::start().unwrap();
    let kvs = format!("redis-cluster://mcp:hunter2@{}", cluster.hosts());
    assert_contains(&error(&fixture(&kvs, None)).await, &["the Cluster at 127.0.0.1:", REDIS]);
}
