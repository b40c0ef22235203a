//! Replicas whose clocks differ by up to two minutes behave as one gateway.

mod revocation;

use crate::harness::{Replica, StoreKind, World};
use gateway_standins::Time;
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Code, Login};
use gateway_standins::okta::OktaOptions;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use tokio::task::JoinSet;

const ECHO: &str = "/mcp/raw/echo";
/// Clock errors of the replicas, in seconds.
const SKEWS: [i64; 9] = [0, 5, -5, 60, -60, 90, -90, 119, -119];

/// Posts a form to a replica; returns status and body.
async fn post(replica: &Replica, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let response = replica.request(Method::POST, path).form(form).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

async fn refresh(replica: &Replica, client: &Client, token: &str) -> (u16, Value) {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", &client.id)];
    post(replica, "/auth/token", &form).await
}

async fn redeem(replica: &Replica, client: &Client, code: &Code) -> (u16, Value) {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code.code),
        ("code_verifier", &code.verifier),
        ("redirect_uri", &client.redirect_uri),
        ("client_id", &client.id),
    ];
    post(replica, "/auth/token", &form).await
}

async fn call(replica: &Replica, token: &str) -> u16 {
    let call = replica.request(Method::POST, ECHO).bearer_auth(token).json(&json!({}));
    call.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn login_calls_and_refreshes_work_across_replicas_with_skewed_clocks() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    let balancer = world.start_balancer_with_clock_skews(&SKEWS).await;
    // Each login takes eight requests, so that the next login reaches other replicas at each step.
    for _ in 0..5 {
        let (client, mut tokens) = world.sign_in(ECHO, "alice").await;
        for _ in 0..3 {
            for (seconds, replica) in SKEWS.into_iter().zip(balancer.replicas()) {
                assert_eq!(call(&replica, &tokens.access_token).await, 200, "{seconds} s");
            }
            tokens = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refreshes_on_replicas_with_skewed_clocks_get_one_successor() {
    let mut world = World::with(StoreKind::Redis, |site| site).await;
    let _balancer = world.start_balancer_with_clock_skews(&SKEWS).await;
    let (client, tokens) = world.sign_in(ECHO, "alice").await;
    let mut token = tokens.refresh_token.unwrap();
    for round in 0..3 {
        let mut processes = JoinSet::new();
        for _ in 0..2 * SKEWS.len() {
            let (client, token) = (client.clone(), token.clone());
            processes.spawn(async move { client.refresh(&token).await.unwrap().refresh_token.unwrap() });
        }
        let successors: HashSet<String> = processes.join_all().await.into_iter().collect();
        assert_eq!(successors.len(), 1, "round {round}");
        token = successors.into_iter().next().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_and_for_a_minute_across_replicas_with_skewed_clocks() {
    let mut world = World::with_manual_clock_on(StoreKind::Redis, |site| site).await;
    let balancer = world.start_balancer_with_clock_skews(&SKEWS).await;
    let client = world.client(ECHO).await;
    for (seconds, replica) in SKEWS.into_iter().zip(balancer.replicas()) {
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
        world.clock.advance(Duration::from_secs(59));
        let (status, tokens) = redeem(&replica, &client, &code).await;
        assert_eq!(status, 200, "{seconds} s: {tokens}");
        for other in balancer.replicas() {
            let (status, refused) = redeem(&other, &client, &code).await;
            assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_grant")), "{seconds} s");
        }
        let next = tokens["refresh_token"].as_str().unwrap();
        assert_eq!(refresh(&replica, &client, next).await.0, 400, "the second use revokes the grant");
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
        world.clock.advance(Duration::from_mins(1));
        assert_eq!(redeem(&replica, &client, &code).await.0, 400, "{seconds} s: it has expired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_refresh_gets_the_same_response_from_every_replica_for_a_minute() {
    let mut world = World::with_manual_clock_on(StoreKind::Redis, |site| site).await;
    let balancer = world.start_balancer_with_clock_skews(&SKEWS).await;
    let (client, tokens) = world.sign_in(ECHO, "alice").await;
    let mut token = tokens.refresh_token.unwrap();
    for (seconds, replica) in SKEWS.into_iter().zip(balancer.replicas()) {
        let lost = refresh(&replica, &client, &token).await.1["refresh_token"].clone();
        assert!(lost.is_string(), "{seconds} s");
        world.clock.advance(Duration::from_mins(1));
        for replica in balancer.replicas() {
            let again = refresh(&replica, &client, &token).await.1["refresh_token"].clone();
            assert_eq!(again, lost, "{seconds} s: the same successor");
        }
        world.clock.advance(Duration::from_secs(1));
        let late = refresh(&replica, &client, &token).await.1["refresh_token"].clone();
        assert!(late.is_string() && late != lost, "{seconds} s: {late}");
        late.as_str().unwrap().clone_into(&mut token);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn okta_is_called_once_a_minute_across_replicas() {
    let mut world = World::with_manual_clock_on(StoreKind::Redis, |site| site).await;
    let balancer = world.start_balancer_with_clock_skews(&SKEWS).await;
    let (client, tokens) = world.sign_in(ECHO, "alice").await;
    let mut token = tokens.refresh_token.unwrap();
    for minute in 0..3 {
        for (seconds, replica) in SKEWS.into_iter().zip(balancer.replicas()) {
            let (status, response) = refresh(&replica, &client, &token).await;
            assert_eq!(status, 200, "{seconds} s: {response}");
            response["refresh_token"].as_str().unwrap().clone_into(&mut token);
        }
        assert_eq!(crate::revalidation::okta_refresh_count(&world), minute);
        world.clock.advance(Duration::from_mins(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_skewed_clocks_count_in_the_same_minute() {
    let few = |site: crate::harness::SiteBuilder| site.set(|site| site.limits.registrations = 6);
    let mut world = World::with_manual_clock_on(StoreKind::Redis, few).await;
    let balancer = world.start_balancer_with_clock_skews(&[0, 50, -50]).await;
    world.clock.advance(Duration::from_mins(1));
    let mut statuses = Vec::new();
    for replica in balancer.replicas().into_iter().cycle().take(9) {
        let metadata =
            json!({ "redirect_uris": [crate::harness::CALLBACK], "token_endpoint_auth_method": "none" });
        let request = replica.request(Method::POST, "/auth/register").json(&metadata);
        statuses.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [201, 201, 201, 201, 201, 201, 429, 429, 429]);
}

#[tokio::test]
async fn id_tokens_are_accepted_with_two_minutes_of_clock_skew_and_no_more() {
    for (seconds, signs_in) in [(-119, true), (119, true), (600, false)] {
        let now = || gateway::base::clock::Clock::system().now().seconds();
        let time = Time::from_source(move || now().saturating_add_signed(seconds));
        let options = OktaOptions { time, ..OktaOptions::default() };
        let world = World::with_okta(options, StoreKind::Embedded, |site| site).await;
        let client = world.client(ECHO).await;
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await;
        assert_eq!(code.is_ok(), signs_in, "{seconds} s: {code:?}");
    }
}
