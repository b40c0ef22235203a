//! Redemption of a code: neither a wrong request nor an outage uses the code up.

use crate::harness::{StoreKind, World, http};
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Code, Login};
use gateway_standins::redis::Redis;
use gateway_standins::tcp_proxy::TcpProxy;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const ECHO: &str = "/mcp/raw/echo";

/// Redeems a code for a resource; returns status and body.
async fn redeem(client: &Client, code: &Code, resource: &str) -> (u16, Value) {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code.code),
        ("code_verifier", &code.verifier),
        ("redirect_uri", &client.redirect_uri),
        ("resource", resource),
    ];
    client.token(&form).await.unwrap()
}

async fn call(world: &World, token: &str) -> u16 {
    let request = http().post(world.url(ECHO)).bearer_auth(token).json(&json!({}));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_wrong_resource_does_not_use_a_code_up() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = World::with(store_kind, |site| site).await;
        let client = world.client(ECHO).await;
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
        for resource in [&*world.dice_url(), "https://other.example.com/mcp", "no URL"] {
            let (status, refused) = redeem(&client, &code, resource).await;
            assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_target")), "{resource}");
        }
        let (status, tokens) = redeem(&client, &code, &world.url(ECHO)).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(call(&world, tokens["access_token"].as_str().unwrap()).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_store_does_not_use_a_code_up() {
    // The keys that Redis lets the gateway use: no grant, no code, nothing.
    for keys in ["~mcp:[^g]*", "~mcp:[^c]*", "~none"] {
        let world = World::with(StoreKind::Redis, |site| site).await;
        let redis = world.redis.as_ref().unwrap();
        let client = world.client(ECHO).await;
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
        redis.command(&["ACL", "SETUSER", "default", "resetkeys", keys]).unwrap();
        let (status, refused) = redeem(&client, &code, &world.url(ECHO)).await;
        assert_eq!((status, refused["error"].as_str()), (503, Some("temporarily_unavailable")), "{keys}");
        redis.command(&["ACL", "SETUSER", "default", "allkeys"]).unwrap();
        let (status, tokens) = redeem(&client, &code, &world.url(ECHO)).await;
        assert_eq!(status, 200, "{keys}: {tokens}");
        assert_eq!(call(&world, tokens["access_token"].as_str().unwrap()).await, 200);
        let refresh_token = tokens["refresh_token"].as_str().unwrap();
        client.refresh(refresh_token).await.expect("the grant was created once");
        let (status, again) = redeem(&client, &code, &world.url(ECHO)).await;
        assert_eq!((status, again["error"].as_str()), (400, Some("invalid_grant")), "a code works once");
        assert_eq!(call(&world, tokens["access_token"].as_str().unwrap()).await, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_after_a_503_whose_use_took_effect() {
    let (redis, loss) = (Redis::start().unwrap(), Arc::<AtomicBool>::default());
    let use_code = "'used', ARGV[2])\nreturn 'first'";
    let proxy = TcpProxy::start_losing_script(&redis.address(), &loss, use_code).await.unwrap();
    let world = World::with(StoreKind::At(proxy.address()), |site| site).await;
    world.wait_until_ready().await;
    let client = world.client(ECHO).await;
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    let resource = world.url(ECHO);
    for _ in 0..2 {
        loss.store(true, Ordering::SeqCst);
        let (status, refused) = redeem(&client, &code, &resource).await;
        assert_eq!((status, refused["error"].as_str()), (503, Some("temporarily_unavailable")));
        assert!(!loss.load(Ordering::SeqCst), "the response of the store was lost");
    }
    let (status, tokens) = redeem(&client, &code, &resource).await;
    assert_eq!(status, 200, "{tokens}");
    let access_token = tokens["access_token"].as_str().unwrap();
    assert_eq!(call(&world, access_token).await, 200);
    let (status, again) = redeem(&client, &code, &resource).await;
    assert_eq!((status, again["error"].as_str()), (400, Some("invalid_grant")));
    assert_eq!(call(&world, access_token).await, 401, "a replay after the tokens were sent revokes them");
}
