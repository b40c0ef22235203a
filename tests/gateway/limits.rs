//! How often who may ask: `limits:` and `trusted_proxies:`.

mod floods;

use crate::harness::{CALLBACK, Keep, SiteOf, World, http};
use gateway_routes::{Limits, Network};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use std::time::Duration;

/// The test's own requests come through a proxy that the site trusts, so that they can come from anywhere.
pub(crate) const LOOPBACK: &[Network] =
    &[Network::v4([127, 0, 0, 0], 8), Network::v6([0, 0, 0, 0, 0, 0, 0, 1], 128)];
const ANNA: &str = "203.0.113.1";
const BERT: &str = "203.0.113.2";

fn limited(change: impl Fn(&mut Limits)) -> impl FnOnce(SiteOf) -> SiteOf {
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
    let world = World::in_standing_time(limited(|limits| limits.registrations = 3)).await;
    for _ in 0..3 {
        assert_eq!(register(&world, ANNA).await.status(), 201);
    }
    let refused = register(&world, ANNA).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["access-control-allow-origin"], "*", "a script may read it");
    let seconds = retry_after(&refused);
    assert!((1..=60).contains(&seconds), "{seconds}");
    let answer: Value = refused.json().await.unwrap();
    assert_eq!(answer["error"], "temporarily_unavailable");
    assert_eq!(register(&world, BERT).await.status(), 201, "others go on");
    world.clock.advance(Duration::from_secs(seconds));
    assert_eq!(register(&world, ANNA).await.status(), 201, "Retry-After is kept");
}

#[tokio::test]
async fn an_ipv6_subnet_is_limited_like_one_address() {
    let world = World::in_standing_time(limited(|limits| limits.registrations = 1)).await;
    assert_eq!(register(&world, "2001:db8:1:2::1").await.status(), 201);
    assert_eq!(register(&world, "2001:db8:1:2:ffff::2").await.status(), 429);
    assert_eq!(register(&world, "2001:db8:1:3::1").await.status(), 201);
}

#[tokio::test]
async fn a_forged_x_forwarded_for_does_not_change_the_client_address() {
    let world = World::in_standing_time(|site| site.set(|site| site.limits.registrations = 1)).await;
    assert_eq!(register(&world, ANNA).await.status(), 201);
    assert_eq!(register(&world, BERT).await.status(), 429, "no proxy is trusted here");
    let behind = World::in_standing_time(limited(|limits| limits.registrations = 1)).await;
    assert_eq!(register(&behind, &format!("198.51.100.1, {ANNA}")).await.status(), 201);
    assert_eq!(register(&behind, &format!("198.51.100.2, {ANNA}")).await.status(), 429);
}

#[tokio::test]
async fn a_client_is_limited_before_its_address() {
    let few = limited(|limits| (limits.client_tokens, limits.tokens) = (2, 5));
    let world = World::in_standing_time(few).await;
    let wild = world.client("/mcp/raw/echo").await.id;
    let calm = world.client("/mcp/raw/echo").await.id;
    let answers = [refresh(&world, ANNA, &wild).await, refresh(&world, ANNA, &wild).await];
    assert_eq!(answers, [400, 400]);
    for _ in 0..20 {
        assert_eq!(refresh(&world, ANNA, &wild).await, 429);
    }
    assert_eq!(refresh(&world, ANNA, &calm).await, 400, "what was refused uses up nobody's share");
    assert_eq!(
        refresh(&world, BERT, &wild).await,
        400,
        "who knows an id cannot lock its owner out elsewhere"
    );
}

#[tokio::test]
async fn unknown_clients_and_invalid_forms_count_against_their_address() {
    let world = World::in_standing_time(limited(|limits| limits.tokens = 2)).await;
    assert_eq!(refresh(&world, ANNA, "nobody").await, 401);
    assert_eq!(refresh(&world, ANNA, "").await, 401);
    assert_eq!(refresh(&world, ANNA, "somebody").await, 429);
}

#[tokio::test]
async fn a_rate_limited_authorization_request_gets_a_page_or_json() {
    let world = World::in_standing_time(limited(|limits| limits.authorizations = 1)).await;
    let authorize = |accept| {
        let request = http().get(world.url("/auth/authorize?client_id=x")).header("accept", accept);
        request.header("x-forwarded-for", ANNA).send()
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
    let few = limited(|limits| (limits.logins, limits.consents, limits.tokens) = (1, 1, 1));
    let world = World::in_standing_time(few).await;
    for (method, path) in [
        (Method::GET, "/auth/callback?state=x&code=y"),
        (Method::POST, "/auth/authorize"),
        (Method::POST, "/auth/revoke"),
    ] {
        let ask = async || {
            let request = http().request(method.clone(), world.url(path)).header("x-forwarded-for", ANNA);
            request.send().await.unwrap().status().as_u16()
        };
        assert_ne!(ask().await, 429, "{path}");
        assert_eq!(ask().await, 429, "{path}");
    }
}

#[tokio::test]
async fn consents_and_authorization_requests_are_counted_separately() {
    let few = limited(|limits| (limits.authorizations, limits.consents) = (2, 1));
    let world = World::in_standing_time(few).await;
    let ask = async |method: Method| {
        let request = http().request(method, world.url("/auth/authorize")).header("x-forwarded-for", ANNA);
        request.header("accept", "text/html").send().await.unwrap()
    };
    assert_eq!(ask(Method::POST).await.status(), 400);
    let refused = ask(Method::POST).await;
    assert_eq!((refused.status().as_u16(), retry_after(&refused) > 0), (429, true));
    assert!(refused.text().await.unwrap().contains("Begin once more in your app"), "a reload would not help");
    for wanted in [400, 400, 429] {
        assert_eq!(ask(Method::GET).await.status(), wanted);
    }
}

#[tokio::test]
async fn replicas_on_redis_share_their_counters() {
    let world = World::in_standing_time_on(Keep::Redis, limited(|limits| limits.registrations = 3)).await;
    let replica = world.replica();
    let there = async || {
        let request = registration(replica.request(Method::POST, "/auth/register"), ANNA);
        request.send().await.unwrap().status().as_u16()
    };
    let answers = [there().await, register(&world, ANNA).await.status().as_u16(), there().await];
    assert_eq!(answers, [201, 201, 201]);
    assert_eq!(register(&world, ANNA).await.status(), 429, "its first but one here, the fourth of all");
    assert_eq!(there().await, 429);
}

#[tokio::test]
async fn rate_limits_are_local_while_the_store_is_down() {
    let world = World::in_standing_time_on(Keep::Redis, limited(|limits| limits.registrations = 2)).await;
    world.redis.as_ref().unwrap().stop();
    for wanted in [201, 201, 429] {
        assert_eq!(register(&world, ANNA).await.status(), wanted);
    }
}

async fn register_a_thousand(world: &World) {
    let http = http();
    for _ in 0..1_000 {
        let request = registration(http.post(world.url("/auth/register")), ANNA);
        assert_eq!(request.send().await.unwrap().status(), 201);
    }
}

#[tokio::test]
async fn registrations_write_nothing_to_the_store() {
    let many = || limited(|limits| limits.registrations = 10_000);
    let world = World::with(Keep::Embedded, many()).await;
    let before = world.stored();
    register_a_thousand(&world).await;
    assert_eq!(world.stored(), before, "the store's file has not grown by a byte");
    let world = World::with(Keep::Redis, many()).await;
    register_a_thousand(&world).await;
    let keys = world.redis.as_ref().unwrap().command(&["KEYS", "*"]).unwrap();
    let left: Vec<&str> = keys.lines().filter(|line| line.contains(':') && *line != "mcp:format").collect();
    assert!(left.len() <= 3, "the counters of the minutes that passed, which end by themselves: {left:?}");
    assert!(left.iter().all(|key| key.contains("count")), "{left:?}");
}

#[tokio::test]
async fn forwarded_headers_to_the_server_are_built_by_the_gateway() {
    let world = World::with(Keep::Embedded, limited(|_| {})).await;
    let (_, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let call = http().post(world.url("/mcp/raw/echo")).bearer_auth(&tokens.access_token).json(&json!({}));
    let call = call
        .header("x-forwarded-for", format!("198.51.100.9, {ANNA}"))
        .header("x-forwarded-proto", "gopher")
        .header("x-forwarded-host", "evil.example.com");
    assert_eq!(call.send().await.unwrap().status(), 200);
    let seen = world.backend.last().unwrap();
    let header = |name| seen.header(name).map(str::to_owned);
    assert_eq!(header("x-forwarded-for").as_deref(), Some(ANNA));
    assert_eq!(header("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(header("x-forwarded-host").as_deref(), world.base_url.strip_prefix("http://"));
}
