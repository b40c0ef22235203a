//! Rate limits: `limits:` and `trusted_proxies:`.

mod floods;
mod grants;
mod office;

use crate::harness::{CALLBACK, SiteBuilder, StoreKind, World, http};
use gateway_routes::{Limits, Network};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use std::time::Duration;

/// The test's requests come from a trusted proxy, so that they can have any client address.
pub(crate) const LOOPBACK: &[Network] =
    &[Network::v4([127, 0, 0, 0], 8), Network::v6([0, 0, 0, 0, 0, 0, 0, 1], 128)];
const ADDRESS_A: &str = "203.0.113.1";
const ADDRESS_B: &str = "203.0.113.2";

fn with_limits(change: impl Fn(&mut Limits)) -> impl FnOnce(SiteBuilder) -> SiteBuilder {
    move |site| {
        site.set(|site| {
            site.trusted_proxies = LOOPBACK;
            change(&mut site.limits);
        })
    }
}

fn registration(request: RequestBuilder, address: &str) -> RequestBuilder {
    let metadata = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" });
    request.header("x-forwarded-for", address).json(&metadata)
}

async fn register(world: &World, address: &str) -> Response {
    registration(http().post(world.url("/auth/register")), address).send().await.unwrap()
}

async fn refresh(world: &World, address: &str, client_id: &str) -> u16 {
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", client_id)];
    let request = http().post(world.url("/auth/token")).header("x-forwarded-for", address).form(&form);
    request.send().await.unwrap().status().as_u16()
}

fn retry_after(response: &Response) -> u64 {
    response.headers()["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn registrations_are_limited_per_address_and_minute() {
    let world = World::with_manual_clock(with_limits(|limits| limits.registrations = 3)).await;
    for _ in 0..3 {
        assert_eq!(register(&world, ADDRESS_A).await.status(), 201);
    }
    let refused = register(&world, ADDRESS_A).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["access-control-allow-origin"], "*", "scripts may read it");
    let seconds = retry_after(&refused);
    assert!((1..=60).contains(&seconds), "{seconds}");
    let response: Value = refused.json().await.unwrap();
    assert_eq!(response["error"], "temporarily_unavailable");
    assert_eq!(register(&world, ADDRESS_B).await.status(), 201, "other addresses are served");
    world.clock.advance(Duration::from_secs(seconds));
    assert_eq!(register(&world, ADDRESS_A).await.status(), 201, "Retry-After is sufficient");
}

#[tokio::test]
async fn an_ipv6_subnet_is_limited_like_one_address() {
    let world = World::with_manual_clock(with_limits(|limits| limits.registrations = 1)).await;
    assert_eq!(register(&world, "2001:db8:1:2::1").await.status(), 201);
    assert_eq!(register(&world, "2001:db8:1:2:ffff::2").await.status(), 429);
    assert_eq!(register(&world, "2001:db8:1:3::1").await.status(), 201);
}

#[tokio::test]
async fn a_forged_x_forwarded_for_does_not_change_the_client_address() {
    let world = World::with_manual_clock(|site| site.set(|site| site.limits.registrations = 1)).await;
    assert_eq!(register(&world, ADDRESS_A).await.status(), 201);
    assert_eq!(register(&world, ADDRESS_B).await.status(), 429, "no proxy is trusted here");
    let behind = World::with_manual_clock(with_limits(|limits| limits.registrations = 1)).await;
    assert_eq!(register(&behind, &format!("198.51.100.1, {ADDRESS_A}")).await.status(), 201);
    assert_eq!(register(&behind, &format!("198.51.100.2, {ADDRESS_A}")).await.status(), 429);
}

#[tokio::test]
async fn a_client_is_limited_before_its_address() {
    let few = with_limits(|limits| (limits.client_tokens, limits.tokens) = (2, 5));
    let world = World::with_manual_clock(few).await;
    let busy = world.client("/mcp/raw/echo").await.id;
    let other = world.client("/mcp/raw/echo").await.id;
    let responses = [refresh(&world, ADDRESS_A, &busy).await, refresh(&world, ADDRESS_A, &busy).await];
    assert_eq!(responses, [400, 400]);
    for _ in 0..20 {
        assert_eq!(refresh(&world, ADDRESS_A, &busy).await, 429);
    }
    assert_eq!(refresh(&world, ADDRESS_A, &other).await, 400, "rejected requests are not counted");
    assert_eq!(
        refresh(&world, ADDRESS_B, &busy).await,
        400,
        "requests from one address do not lock the client out at another"
    );
}

#[tokio::test]
async fn unknown_clients_and_invalid_forms_count_against_their_address() {
    let world = World::with_manual_clock(with_limits(|limits| limits.tokens = 2)).await;
    assert_eq!(refresh(&world, ADDRESS_A, "nobody").await, 401);
    assert_eq!(refresh(&world, ADDRESS_A, "").await, 400);
    assert_eq!(refresh(&world, ADDRESS_A, "somebody").await, 429);
}

#[tokio::test]
async fn a_rate_limited_authorization_request_gets_a_page_or_json() {
    let world = World::with_manual_clock(with_limits(|limits| limits.authorizations = 1)).await;
    let authorize = |accept| {
        let request = http().get(world.url("/auth/authorize?client_id=x")).header("accept", accept);
        request.header("x-forwarded-for", ADDRESS_A).send()
    };
    assert_eq!(authorize("text/html").await.unwrap().status(), 400);
    let page = authorize("text/html,*/*").await.unwrap();
    assert_eq!((page.status().as_u16(), retry_after(&page) > 0), (429, true));
    assert!(page.text().await.unwrap().contains("Please wait a moment"));
    let json: Value = authorize("application/json").await.unwrap().json().await.unwrap();
    assert_eq!(json["error"], "temporarily_unavailable");
}

#[tokio::test]
async fn callbacks_consents_and_revocations_are_rate_limited() {
    let few = with_limits(|limits| (limits.logins, limits.consents, limits.tokens) = (1, 1, 1));
    let world = World::with_manual_clock(few).await;
    for (method, path) in [
        (Method::GET, "/auth/callback?state=x&code=y"),
        (Method::POST, "/auth/authorize"),
        (Method::POST, "/auth/revoke"),
    ] {
        let send = async || {
            let request =
                http().request(method.clone(), world.url(path)).header("x-forwarded-for", ADDRESS_A);
            request.send().await.unwrap().status().as_u16()
        };
        assert_ne!(send().await, 429, "{path}");
        assert_eq!(send().await, 429, "{path}");
    }
}

#[tokio::test]
async fn consents_and_authorization_requests_are_counted_separately() {
    let few = with_limits(|limits| (limits.authorizations, limits.consents) = (2, 1));
    let world = World::with_manual_clock(few).await;
    let send = async |method: Method| {
        let request =
            http().request(method, world.url("/auth/authorize")).header("x-forwarded-for", ADDRESS_A);
        request.header("accept", "text/html").send().await.unwrap()
    };
    assert_eq!(send(Method::POST).await.status(), 400);
    let refused = send(Method::POST).await;
    assert_eq!((refused.status().as_u16(), retry_after(&refused) > 0), (429, true));
    assert!(refused.text().await.unwrap().contains("Begin once more in your app"), "a reload would not help");
    for wanted in [400, 400, 429] {
        assert_eq!(send(Method::GET).await.status(), wanted);
    }
}

#[tokio::test]
async fn replicas_on_redis_share_their_counters() {
    let world =
        World::with_manual_clock_on(StoreKind::Redis, with_limits(|limits| limits.registrations = 3)).await;
    let replica = world.replica();
    let there = async || {
        let request = registration(replica.request(Method::POST, "/auth/register"), ADDRESS_A);
        request.send().await.unwrap().status().as_u16()
    };
    let responses = [there().await, register(&world, ADDRESS_A).await.status().as_u16(), there().await];
    assert_eq!(responses, [201, 201, 201]);
    assert_eq!(register(&world, ADDRESS_A).await.status(), 429, "the second one here, the fourth in total");
    assert_eq!(there().await, 429);
}

#[tokio::test]
async fn rate_limits_are_local_while_the_store_is_down() {
    let world =
        World::with_manual_clock_on(StoreKind::Redis, with_limits(|limits| limits.registrations = 2)).await;
    world.redis.as_ref().unwrap().stop();
    for wanted in [201, 201, 429] {
        assert_eq!(register(&world, ADDRESS_A).await.status(), wanted);
    }
}

async fn register_a_thousand(world: &World) {
    let http = http();
    for _ in 0..1_000 {
        let request = registration(http.post(world.url("/auth/register")), ADDRESS_A);
        assert_eq!(request.send().await.unwrap().status(), 201);
    }
}

#[tokio::test]
async fn registrations_write_nothing_to_the_store() {
    let many = || with_limits(|limits| limits.registrations = 10_000);
    let world = World::with(StoreKind::Embedded, many()).await;
    let before = world.store_file_bytes();
    register_a_thousand(&world).await;
    assert_eq!(world.store_file_bytes(), before, "the store's file has the same length");
    let world = World::with(StoreKind::Redis, many()).await;
    register_a_thousand(&world).await;
    let keys = world.redis.as_ref().unwrap().command(&["KEYS", "*"]).unwrap();
    let left: Vec<&str> = keys.lines().filter(|line| line.contains(':') && *line != "mcp:format").collect();
    assert!(left.len() <= 3, "the counters of the minutes that passed, which end by themselves: {left:?}");
    assert!(left.iter().all(|key| key.contains("count")), "{left:?}");
}

#[tokio::test]
async fn forwarded_headers_to_the_server_are_built_by_the_gateway() {
    let world = World::with(StoreKind::Embedded, with_limits(|_| {})).await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let call = http().post(world.url("/mcp/raw/echo")).bearer_auth(&tokens.access_token).json(&json!({}));
    let call = call
        .header("x-forwarded-for", format!("198.51.100.9, {ADDRESS_A}"))
        .header("x-forwarded-proto", "gopher")
        .header("x-forwarded-host", "evil.example.com");
    assert_eq!(call.send().await.unwrap().status(), 200);
    let seen = world.backend.last().unwrap();
    let header = |name| seen.header(name).map(str::to_owned);
    assert_eq!(header("x-forwarded-for").as_deref(), Some(ADDRESS_A));
    assert_eq!(header("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(header("x-forwarded-host").as_deref(), world.base_url.strip_prefix("http://"));
}
