//! Outages of the store: an event for each call that fails, a warning of the first one, and one warning at the beginning
//! and one at the end, also at the start and for what needs no call.

use super::Decided;
use crate::harness::binary::{Process, binary};
use crate::harness::events::Events;
use crate::harness::go_program::GoProgram;
use crate::harness::{CALLBACK, SECRET, StoreKind, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::{self, Login};
use gateway_standins::okta::{Okta, OktaOptions};
use gateway_standins::redis::Redis;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

async fn sign_in(process: &Process) -> String {
    let endpoint = format!("{}/mcp/dice/mcp", process.base_url);
    let client =
        client::discover(&endpoint).await.unwrap().register("Caller", "none", CALLBACK).await.unwrap();
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    client.redeem(&code).await.unwrap().access_token
}

/// Status and request id of a call.
async fn call(process: &Process, token: &str) -> (u16, String) {
    let request = http().post(format!("{}/mcp/dice/mcp", process.base_url)).bearer_auth(token);
    let response = request.json(&json!({})).send().await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    (response.status().as_u16(), id)
}

/// The log lines, once there are so many that `wanted` accepts.
async fn lines(process: &Process, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + SOON;
    loop {
        let log = process.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found: Vec<Value> = lines.filter(|line| wanted(line)).collect();
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < deadline, "{count} lines are not there:\n{log}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_outage_leaves_one_warning_at_each_end_one_of_its_first_call_and_an_event_for_each() {
    let (go_program, redis) = (GoProgram::shared().await, Redis::start().unwrap());
    let okta = Okta::start(OktaOptions::default()).await.unwrap();
    let address = redis.address();
    let settings = [("KVS_ADDR", &*address), ("GATEWAY_SECRET", SECRET)];
    let process = Process::with_okta(&go_program.binary, &okta, &settings).await;
    // Its grant has not been read from the store yet.
    let token = sign_in(&process).await;
    assert_eq!(lines(&process, 0, is_warning).await.len(), 0, "{}", process.log());
    redis.stop();
    for call_number in 0..5 {
        let (status, id) = call(&process, &token).await;
        assert_eq!(status, 503);
        let is_event = |line: &Value| line["request_id"] == id && line["target"] == "audit";
        let events = lines(&process, 1, is_event).await;
        let warnings = lines(&process, 0, |line| line["request_id"] == id && is_warning(line)).await;
        assert_eq!(warnings.len(), usize::from(call_number == 0), "{warnings:?}");
        for warning in warnings {
            assert_eq!(warning["route"], "/mcp/dice/", "{warning}");
            assert_eq!(warning["cause"], events[0]["reason"], "{warning}");
        }
        assert_eq!((events.len(), &events[0]["decision"]), (1, &json!("failed")), "{events:?}");
        let reason = events[0]["reason"].as_str().unwrap();
        assert!(
            reason.contains("the grant cannot be checked: caused by the store is unavailable"),
            "{reason}"
        );
        assert_ne!((&events[0]["user"], &events[0]["client_id"]), (&json!(""), &json!("")), "{events:?}");
    }
    let warnings = lines(&process, 2, is_warning).await;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0]["message"].as_str().unwrap().contains("the store is unavailable"), "{warnings:?}");
    redis.resume().unwrap();
    let deadline = Instant::now() + SOON;
    while call(&process, &token).await.0 == 503 {
        assert!(Instant::now() < deadline, "{}", process.log());
    }
    let warnings = lines(&process, 3, is_warning).await;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[2]["message"].as_str().unwrap().contains("available again"), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_error_that_is_no_outage_leaves_one_warning_of_its_first_call() {
    Events::record();
    let world = World::with(StoreKind::Redis, |site| site).await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let redis = world.redis.as_ref().unwrap();
    redis.command(&["ACL", "SETUSER", "default", "-eval", "-hget", "-hmget", "-hgetall", "-get"]).unwrap();
    let call =
        async || Decided::by(http().get(world.url("/mcp/raw/echo")).bearer_auth(&tokens.access_token)).await;
    let first = call().await;
    first.is(503, "failed", "no permissions");
    let again = call().await;
    again.is(503, "failed", "no permissions");
    assert_eq!((first.warnings, again.warnings), (1, 0));
}

/// Returns `true` if a line is a warning or an error.
fn is_warning(line: &Value) -> bool {
    line["level"] == "WARN" || line["level"] == "ERROR"
}

/// Asserts that there are these warnings and no others.
async fn assert_warnings(process: &Process, expected: &[&str]) {
    let warnings = lines(process, expected.len(), is_warning).await;
    assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning["message"].as_str().unwrap().contains(expected), "{warnings:?}");
    }
}

/// Process on this Redis, and the Okta that it asks at its start.
async fn process_on(redis: &Redis) -> (Process, Okta) {
    let okta = Okta::start(OktaOptions::default()).await.unwrap();
    let address = redis.address();
    let settings = [("KVS_ADDR", &*address), ("GATEWAY_SECRET", SECRET)];
    (Process::with_okta(binary(), &okta, &settings).await, okta)
}

#[tokio::test(flavor = "multi_thread")]
async fn revocations_that_cannot_be_read_leave_one_warning_at_each_end() {
    let redis = Redis::start().unwrap();
    let (process, _okta) = process_on(&redis).await;
    lines(&process, 1, |line| line["message"] == "ready: the store responds").await;
    assert_warnings(&process, &[]).await;
    // Redis responds with an error to this one command.
    redis.command(&["SET", "mcp:{feed}:ends", "not a hash"]).unwrap();
    let failed = "reading the revocations of other replicas from the store failed";
    assert_warnings(&process, &[failed]).await;
    assert!(process.log().contains("WRONGTYPE"), "{}", process.log());
    redis.command(&["DEL", "mcp:{feed}:ends"]).unwrap();
    assert_warnings(&process, &[failed, "the revocations of other replicas are available again"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_rate_limits_that_cannot_be_counted_leave_one_warning_at_each_end() {
    let redis = Redis::start().unwrap();
    let (process, _okta) = process_on(&redis).await;
    let register = async || {
        let url = format!("{}/auth/register", process.base_url);
        let registered = http().post(url).json(&json!({ "redirect_uris": [CALLBACK] })).send().await.unwrap();
        assert_eq!(registered.status(), 201);
    };
    register().await;
    // The script of the counters needs this command.
    redis.command(&["ACL", "SETUSER", "default", "-hincrby"]).unwrap();
    for _ in 0..6 {
        register().await;
    }
    let unavailable = "shared rate limits are unavailable";
    assert_warnings(&process, &[unavailable]).await;
    redis.command(&["ACL", "SETUSER", "default", "+hincrby"]).unwrap();
    register().await;
    assert_warnings(&process, &[unavailable, "shared rate limits are available again"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_at_the_start_leaves_one_warning_and_a_line_when_it_is_ready() {
    let redis = Redis::start().unwrap();
    redis.stop();
    let (process, _okta) = process_on(&redis).await;
    assert_warnings(&process, &["the store is unavailable"]).await;
    // Long enough for more pings.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    redis.resume().unwrap();
    let ready = lines(&process, 1, |line| line["message"] == "ready: the store responds").await;
    assert_eq!(ready.len(), 1, "{ready:?}");
    assert_warnings(&process, &["the store is unavailable", "the store is available again"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_an_unknown_format_leaves_one_warning_at_the_start_that_says_what_to_do() {
    let redis = Redis::start().unwrap();
    redis.command(&["SET", "mcp:format", "9"]).unwrap();
    let (process, _okta) = process_on(&redis).await;
    let rejected = "the gateway is not ready";
    assert_warnings(&process, &[rejected]).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    redis.command(&["DEL", "mcp:format"]).unwrap();
    lines(&process, 1, |line| line["message"] == "ready: the store responds").await;
    let warnings = lines(&process, 2, is_warning).await;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0]["cause"].as_str().unwrap().contains("(STORE_FORMAT=9)"), "{warnings:?}");
}
