//! A hanging or slow Redis does not delay calls with a grant that was valid within the last minute.

use super::{call, eventually_returns};
use crate::harness::{StoreKind, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Login, Tokens};
use gateway_standins::redis::Redis;
use gateway_standins::tcp_proxy::TcpProxy;
use reqwest::Response;
use std::time::{Duration, Instant};

/// Longer than a cached grant is used without the store.
const CALL_DURATION: Duration = Duration::from_secs(4);
/// A tenth of a second, plus the delays of a loaded machine, where a few calls may take longer.
const MAX_CALL_TIME: Duration = Duration::from_millis(500);
/// Replicas read the revocation feed every second.
const FEED_DELAY: Duration = Duration::from_millis(1500);
/// For a whole token request, each of whose Redis calls has its own timeout.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Signed-in user with an open stream, who has called before.
pub(super) struct SignedInUser {
    client: Client,
    tokens: Tokens,
    stream: Response,
}

impl SignedInUser {
    pub(super) async fn start(world: &World) -> Self {
        let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
        Self::with(world, client, tokens).await
    }

    pub(super) async fn with(world: &World, client: Client, tokens: Tokens) -> Self {
        assert_eq!(call(world, &tokens.access_token).await, 200);
        let stream = http().get(world.url("/mcp/raw/sse/silent")).bearer_auth(&tokens.access_token);
        let stream = stream.send().await.unwrap();
        Self { client, tokens, stream }
    }

    /// Calls repeatedly; each call must succeed in time.
    async fn assert_calls_succeed(&self, world: &World) {
        let (started, mut calls, mut late) = (Instant::now(), 0, 0);
        while started.elapsed() < CALL_DURATION {
            let call_started = Instant::now();
            assert_eq!(call(world, &self.tokens.access_token).await, 200);
            (calls, late) = (calls + 1, late + usize::from(call_started.elapsed() > MAX_CALL_TIME));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(late * 20 <= calls, "{late} of {calls} calls were late");
    }

    /// Status of a refresh, which must not hang either.
    async fn refresh(&self) -> u16 {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &**self.tokens.refresh_token.as_ref().unwrap()),
        ];
        let call_started = Instant::now();
        let (status, body) = self.client.token(&form).await.unwrap();
        assert!(call_started.elapsed() < CALL_TIMEOUT, "{:?}", call_started.elapsed());
        assert!(matches!(status, 200 | 503), "{status}: {body}");
        status
    }

    pub(super) async fn assert_stream_open(mut self, world: &World) {
        world.backend.release("still here").await;
        let received = async {
            let mut text = String::new();
            while !text.contains("still here") {
                let chunk = self.stream.chunk().await.unwrap().expect("the stream is still open");
                text += std::str::from_utf8(&chunk).unwrap();
            }
        };
        tokio::time::timeout(CALL_TIMEOUT, received).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_redis_delays_no_call_and_no_stream() {
    let world = World::with(StoreKind::Redis, |site| site).await;
    let user = SignedInUser::start(&world).await;
    let redis = world.redis.as_ref().unwrap();
    redis.freeze().unwrap();
    user.assert_calls_succeed(&world).await;
    assert_eq!(user.refresh().await, 503);
    redis.thaw().unwrap();
    assert!(eventually_returns(200, async || user.refresh().await).await);
    user.assert_stream_open(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_redis_delays_no_call_and_no_stream() {
    let redis = Redis::start().unwrap();
    let proxy = TcpProxy::start(&redis.address()).await.unwrap();
    let world = World::with(StoreKind::At(proxy.address()), |site| site).await;
    let user = SignedInUser::start(&world).await;
    proxy.set_delay(Duration::from_millis(150));
    user.assert_calls_succeed(&world).await;
    user.refresh().await;
    proxy.set_delay(Duration::from_secs(2));
    user.assert_calls_succeed(&world).await;
    assert_eq!(user.refresh().await, 503, "a round trip takes longer than the timeout of a call");
    proxy.set_delay(Duration::ZERO);
    assert!(eventually_returns(200, async || user.refresh().await).await);
    user.assert_stream_open(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_before_a_redis_outage_affects_no_other_grant() {
    let world = World::with(StoreKind::Redis, |site| site).await;
    let user = SignedInUser::start(&world).await;
    let other = SignedInUser::start(&world).await;
    let token = &other.tokens.access_token;
    let form = [("client_id", &*other.client.id), ("token", token)];
    assert_eq!(http().post(world.url("/auth/revoke")).form(&form).send().await.unwrap().status(), 200);
    // The first revocation in a gateway's feed may not be the first one ever.
    tokio::time::sleep(FEED_DELAY).await;
    world.redis.as_ref().unwrap().stop();
    assert_eq!(call(&world, &user.tokens.access_token).await, 200);
    assert_eq!(call(&world, token).await, 503, "the grant is revoked, and Redis is not available");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_lost_by_redis_costs_one_new_login() {
    let world = World::with(StoreKind::Redis, |site| site).await;
    let user = SignedInUser::start(&world).await;
    let newer = user.client.refresh(user.tokens.refresh_token.as_ref().unwrap()).await.unwrap();
    let redis = world.redis.as_ref().unwrap();
    let grant = redis.command(&["KEYS", "mcp:grant:*"]).unwrap();
    let grant = grant.lines().find(|line| line.starts_with("mcp:")).unwrap();
    // State of a replica that was promoted before it received the rotation.
    redis.command(&["HSET", grant, "generation", "1", "previous", ""]).unwrap();
    let refused = user.client.refresh(&newer.refresh_token.unwrap()).await.unwrap_err().to_string();
    assert!(refused.starts_with("invalid_grant"), "{refused}");
    assert_eq!(call(&world, &newer.access_token).await, 200);
    let code = user.client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    user.client.redeem(&code).await.unwrap();
}
