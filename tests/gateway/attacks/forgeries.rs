//! Access tokens with an invalid signature: a sender of many is rate limited, and other senders are not affected.

use super::TARGET;
use crate::harness::{World, http};
use crate::limits::LOOPBACK;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Response;
use serde_json::{Value, json};
use std::time::Duration;

/// Forged tokens per minute that are verified for one address, and for an IPv6 site.
const SUBSCRIBER_LIMIT: usize = 60;
const SITE_LIMIT: usize = 16 * SUBSCRIBER_LIMIT;
/// Client addresses: the attacker's network and another one.
const ADDRESS_A: &str = "203.0.113.1";
const ADDRESS_B: &str = "203.0.113.2";

/// World behind a trusted proxy, so that requests can have any client address.
struct ProxiedWorld {
    world: World,
    http: reqwest::Client,
}

impl ProxiedWorld {
    async fn new() -> Self {
        let world = World::with_manual_clock(|site| site.set(|site| site.trusted_proxies = LOOPBACK)).await;
        Self { world, http: http() }
    }

    async fn call(&self, address: &str, token: &str) -> Response {
        let request = self.http.get(self.world.url(TARGET)).bearer_auth(token);
        request.header("x-forwarded-for", address).send().await.unwrap()
    }

    async fn status(&self, address: &str, token: &str) -> u16 {
        self.call(address, token).await.status().as_u16()
    }
}

/// Token with the same header, changed claims and an invalid signature.
fn forged(token: &str, changes: &Value) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("{}.{claims}.{}", parts[0], URL_SAFE_NO_PAD.encode([7; 64]))
}

/// Forged tokens that pass every check except the signature: one with an invalid claims tag, one without a tag, as
/// older releases issued them.
fn forgeries(token: &str) -> [String; 2] {
    let untagged = URL_SAFE_NO_PAD.encode([7; 16]);
    [
        forged(token, &json!({ "sub": "mallory" })),
        forged(token, &json!({ "sub": "mallory", "jti": untagged })),
    ]
}

#[tokio::test]
async fn repeated_forged_tokens_get_429() {
    let env = ProxiedWorld::new().await;
    let (_, tokens) = env.world.sign_in(TARGET, "alice").await;
    for (forgery, address) in forgeries(&tokens.access_token).iter().zip([ADDRESS_A, ADDRESS_B]) {
        for _ in 0..SUBSCRIBER_LIMIT {
            assert_eq!(env.status(address, forgery).await, 401);
        }
        let refused = env.call(address, forgery).await;
        assert_eq!(refused.status(), 429);
        let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert!(!refused.headers().contains_key("www-authenticate"), "a client must not start a new login");
        let body: Value = refused.json().await.unwrap();
        assert_eq!((&body["jsonrpc"], &body["error"]["code"]), (&json!("2.0"), &json!(-32_000)));
        for _ in 0..20 {
            assert_eq!(env.status(address, forgery).await, 429);
        }
        assert_eq!(env.status("203.0.113.9", forgery).await, 401, "another network");
    }
    let seconds =
        env.call(ADDRESS_A, &forgeries(&tokens.access_token)[0]).await.headers()["retry-after"].clone();
    env.world.clock.advance(Duration::from_secs(seconds.to_str().unwrap().parse().unwrap()));
    assert_eq!(
        env.status(ADDRESS_A, &forgeries(&tokens.access_token)[0]).await,
        401,
        "Retry-After is sufficient"
    );
}

#[tokio::test]
async fn other_users_at_the_address_of_forged_tokens_sign_in_and_call() {
    let env = ProxiedWorld::new().await;
    let (client, known) = env.world.sign_in(TARGET, "alice").await;
    assert_eq!(env.status(ADDRESS_A, &known.access_token).await, 200);
    let (_, unseen) = env.world.sign_in(TARGET, "alice").await;
    for forgery in forgeries(&known.access_token) {
        for _ in 0..2 * SUBSCRIBER_LIMIT {
            assert!([401, 429].contains(&env.status(ADDRESS_A, &forgery).await));
        }
        assert_eq!(env.status(ADDRESS_A, &forgery).await, 429);
    }
    assert_eq!(env.status(ADDRESS_A, &known.access_token).await, 200, "verified before");
    assert_eq!(env.status(ADDRESS_A, &unseen.access_token).await, 200, "its claims have a valid tag");
    let refreshed = client.refresh(&known.refresh_token.unwrap()).await.unwrap();
    assert_eq!(env.status(ADDRESS_A, &refreshed.access_token).await, 200);
}

#[tokio::test]
async fn an_expired_token_gets_401_at_the_address_of_forged_tokens() {
    let env = ProxiedWorld::new().await;
    let (_, tokens) = env.world.sign_in(TARGET, "alice").await;
    let [forgery, _] = forgeries(&tokens.access_token);
    env.world.clock.advance(Duration::from_mins(9));
    for _ in 0..=SUBSCRIBER_LIMIT {
        env.status(ADDRESS_A, &forgery).await;
    }
    assert_eq!(env.status(ADDRESS_A, &forgery).await, 429);
    for nothing_to_verify in ["x", "a.b.c", &forged(&tokens.access_token, &json!({ "exp": 1 }))] {
        assert_eq!(env.status(ADDRESS_A, nothing_to_verify).await, 401, "{nothing_to_verify}");
    }
    env.world.clock.advance(Duration::from_mins(3));
    assert_eq!(env.status(ADDRESS_A, &tokens.access_token).await, 401);
}

#[tokio::test]
async fn copied_claims_get_no_more_signature_checks() {
    let env = ProxiedWorld::new().await;
    let (_, tokens) = env.world.sign_in(TARGET, "alice").await;
    let (_, others) = env.world.sign_in(TARGET, "alice").await;
    let copied = forged(&tokens.access_token, &json!({}));
    for number in 0..SUBSCRIBER_LIMIT {
        let from = format!("198.51.100.{number}");
        assert_eq!(env.status(&from, &copied).await, 401, "from any address");
    }
    assert_eq!(env.status("198.51.100.200", &copied).await, 429);
    assert_eq!(env.status("198.51.100.200", &others.access_token).await, 200, "another token");
}

#[tokio::test]
async fn forged_tokens_are_limited_per_ipv6_site() {
    let env = ProxiedWorld::new().await;
    let (_, tokens) = env.world.sign_in(TARGET, "alice").await;
    let [forgery, _] = forgeries(&tokens.access_token);
    let mut verified = 0;
    for number in 0..SITE_LIMIT + 100 {
        let address = format!("2001:db8:1:{:x}::1", number * 59);
        verified += usize::from(env.status(&address, &forgery).await == 401);
    }
    assert_eq!(verified, SITE_LIMIT);
    assert_eq!(env.status("2001:db8:2::1", &forgery).await, 401);
    assert_eq!(env.status("2001:db8:1::1", &tokens.access_token).await, 200);
}
