//! Compatibility with the Redis records of the previous release, in both directions.

use super::fixture::StoreFixture;
use super::{id, key};
use gateway::base::encoding::encode;
use gateway::store::{CodeUse, Rotation};

fn redis(fixture: &StoreFixture, words: &[&str]) -> String {
    fixture.server().command(words).unwrap()
}

#[tokio::test]
async fn records_of_the_previous_release_are_read() {
    let fixture = StoreFixture::redis();
    let store = &fixture.store;
    let expiry = fixture.seconds(60).millis().to_string();
    let named = |kind: &str, place: u8| format!("mcp:{kind}:{{{}}}", encode(key(place).0));
    for (kind, place) in [("login", 1), ("code", 2), ("code", 3)] {
        redis(&fixture, &["HSET", &named(kind, place), "until", &expiry, "value", "sealed"]);
    }
    redis(&fixture, &["HSET", &named("code", 3), "used", "1"]);
    redis(&fixture, &["SET", &named("once", 4), &expiry, "PX", "60000"]);
    redis(&fixture, &["HSET", &named("lease", 6), "until", &expiry, "holder", "other"]);
    redis(&fixture, &["SET", &format!("mcp:ended:{{{}}}", id(1)), &expiry, "PX", "60000"]);
    assert_eq!(store.take_login(key(1)).await.unwrap().as_deref(), Some(&b"sealed"[..]));
    assert_eq!(store.take_login(key(1)).await.unwrap(), None);
    assert_eq!(store.use_code(key(2)).await.unwrap(), Some(CodeUse::First));
    assert_eq!(store.use_code(key(3)).await.unwrap(), Some(CodeUse::Again));
    assert!(!store.use_once(key(4), fixture.seconds(60)).await.unwrap());
    assert!(!store.lease(key(6), key(7), fixture.seconds(60)).await.unwrap());
    assert!(!store.create_grant(fixture.record(1)).await.unwrap());
    assert!(store.create_grant(fixture.record(2)).await.unwrap());
    redis(&fixture, &["HDEL", &format!("mcp:grant:{{{}}}", id(2)), "calls"]);
    for _ in 0..2 {
        let rotated = store.rotate(id(2), fixture.rotate(1)).await.unwrap();
        let (Rotation::Fresh { record } | Rotation::Same { record }) = rotated else { panic!("{rotated:?}") };
        assert_eq!(record.generation, 2);
    }
}

/// The scripts of the previous release only read these members.
#[tokio::test]
async fn records_are_readable_by_the_previous_release() {
    let fixture = StoreFixture::redis();
    let (store, expiry) = (&fixture.store, fixture.seconds(60));
    let named = |kind: &str, place: u8| format!("mcp:{kind}:{{{}}}", encode(key(place).0));
    store.put_login(key(1), b"login".to_vec(), expiry).await.unwrap();
    store.take_login(key(1)).await.unwrap();
    let value = redis(&fixture, &["HGET", &named("login", 1), "value"]);
    assert_eq!(value, "$-1\r\n", "a used login has no value");
    store.put_code(key(2), b"code".to_vec(), expiry).await.unwrap();
    store.use_code(key(2)).await.unwrap();
    assert_eq!(redis(&fixture, &["HEXISTS", &named("code", 2), "used"]), ":1\r\n");
    store.use_once(key(3), expiry).await.unwrap();
    store.create_grant(fixture.record(1)).await.unwrap();
    store.revoke(id(1)).await.unwrap();
    let compare = "return tonumber(redis.call('GET', KEYS[1])) - tonumber(ARGV[1])";
    for (name, until) in
        [(named("once", 3), expiry), (format!("mcp:ended:{{{}}}", id(1)), fixture.seconds(3600))]
    {
        let difference = redis(&fixture, &["EVAL", compare, "1", &name, &until.millis().to_string()]);
        assert!([":0\r\n", ":1\r\n"].contains(&&*difference), "{name}: {difference}");
    }
    store.lease(key(4), key(5), expiry).await.unwrap();
    store.release(key(4), key(5)).await.unwrap();
    let until = redis(&fixture, &["HGET", &named("lease", 4), "until"]);
    assert_eq!(until, "$1\r\n0\r\n", "a released lease has expired");
}
