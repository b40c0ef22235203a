//! Token requests of one address: those with a valid code or refresh token count against their grant, all others against
//! the address.

use super::{ADDRESS_A, with_limits};
use crate::harness::{SiteBuilder, StoreKind, World, http};
use gateway_routes::{Limits, RefreshReuse};
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Login};
use reqwest::Method;
use std::time::Duration;

const ROUTE: &str = "/mcp/raw/echo";
const MINUTE: Duration = Duration::from_mins(1);

/// Limits of an address that are far below those of its grants together.
fn few(limits: &mut Limits) {
    (limits.tokens, limits.client_tokens, limits.grant_tokens) = (3, 2, 10);
}

async fn world(kind: StoreKind) -> World {
    World::with_manual_clock_on(kind, with_limits(few)).await
}

fn refresh_form(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

async fn refresh(client: &Client, token: &str) -> u16 {
    client.token(&refresh_form(token)).await.unwrap().0
}

/// Refreshes and returns the new token.
async fn next(client: &Client, token: &str) -> String {
    client.refresh(token).await.unwrap().refresh_token.unwrap()
}

/// Sends forged tokens and codes until the address is over its limit.
async fn use_up_the_address(world: &World, client: &Client) {
    let forged_code = "A".repeat(86);
    let forged = [
        vec![("grant_type", "refresh_token"), ("refresh_token", "x")],
        vec![("grant_type", "authorization_code"), ("code", &*forged_code), ("code_verifier", "x")],
        vec![("client_id", "nobody")],
    ];
    for (form, wanted) in forged.iter().zip([401, 401, 400]) {
        let form = [form.as_slice(), &[("client_id", "somebody")][..usize::from(form.len() > 1)]].concat();
        let response = http().post(world.url("/auth/token")).form(&form).send().await.unwrap();
        assert_eq!(response.status(), wanted);
    }
    assert_eq!(refresh(client, "x").await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_grants_behind_one_address_refresh_beyond_the_limit_of_the_address() {
    for kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = world(kind).await;
        let client = world.client(ROUTE).await;
        for _ in 0..6 {
            // One client, as with a metadata document: its limit at the address does not count either.
            let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
            let tokens = client.redeem(&code).await.unwrap();
            next(&client, &tokens.refresh_token.unwrap()).await;
        }
        assert_eq!(refresh(&client, "x").await, 400, "nothing was counted against the address");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_over_its_limit_is_served_with_valid_credentials_only() {
    let world = world(StoreKind::Embedded).await;
    let (client, tokens) = world.sign_in(ROUTE, "alice").await;
    let code = client.authorize(&mut Browser::new(), &Login::of("bob")).await.unwrap();
    use_up_the_address(&world, &client).await;
    let token = next(&client, &tokens.refresh_token.unwrap()).await;
    let redeemed = client.redeem(&code).await.unwrap();
    assert_eq!(refresh(&client, "x").await, 429);
    let altered = format!("{}A", &token[..token.len() - 1]);
    assert!(refresh(&client, &altered).await == 429 || altered == token);
    next(&client, &redeemed.refresh_token.unwrap()).await;
    next(&client, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_valid_refresh_token_is_limited_across_replicas_and_addresses() {
    let world = world(StoreKind::Redis).await;
    let (client, tokens) = world.sign_in(ROUTE, "alice").await;
    let (other, others) = world.sign_in(ROUTE, "bob").await;
    let replica = world.replica();
    let token = tokens.refresh_token.unwrap();
    let form = [&refresh_form(&token)[..], &[("client_id", &*client.id)]].concat();
    let mut served = 0;
    for number in 0..30 {
        let request = match number % 2 {
            0 => http().post(world.url("/auth/token")),
            _ => replica.request(Method::POST, "/auth/token"),
        };
        let request = request.header("x-forwarded-for", format!("203.0.113.{number}")).form(&form);
        let status = request.send().await.unwrap().status().as_u16();
        assert!(status == 200 || status == 429, "{status}");
        served += u32::from(status == 200);
    }
    assert_eq!(served, 9, "ten in a minute with the redemption of the code");
    next(&other, &others.refresh_token.unwrap()).await;
    world.clock.advance(MINUTE);
    assert_eq!(refresh(&client, &token).await, 200, "in the next minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn used_and_revoked_credentials_count_against_the_address() {
    let refuse = |site: SiteBuilder| {
        with_limits(few)(site).set(|site| {
            site.refresh_reuse = RefreshReuse::Refuse;
            site.limits.client_tokens = 3;
        })
    };
    let world = World::with_manual_clock(refuse).await;
    let (client, tokens) = world.sign_in(ROUTE, "alice").await;
    let older = tokens.refresh_token.unwrap();
    let newest = next(&client, &next(&client, &older).await).await;
    let (revoked_client, tokens) = world.sign_in(ROUTE, "bob").await;
    let revoked = tokens.refresh_token.unwrap();
    let form = [("token", &*revoked), ("client_id", &revoked_client.id)];
    http().post(world.url("/auth/revoke")).form(&form).send().await.unwrap();
    let counts = [
        refresh(&client, &older).await,
        refresh(&revoked_client, &revoked).await,
        refresh(&client, &older).await,
        refresh(&revoked_client, &revoked).await,
        refresh(&client, &older).await,
        refresh(&client, "x").await,
    ];
    assert_eq!(counts, [400, 400, 400, 429, 429, 429]);
    next(&client, &newest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_of_another_client_or_without_its_secret_counts_against_the_address() {
    let world = world(StoreKind::Embedded).await;
    let (_, tokens) = world.sign_in(ROUTE, "alice").await;
    let token = tokens.refresh_token.unwrap();
    let thieves = [world.client(ROUTE).await, world.client(ROUTE).await];
    let mut statuses = Vec::new();
    for thief in [&thieves[0], &thieves[0], &thieves[0], &thieves[1], &thieves[1]] {
        statuses.push(refresh(thief, &token).await);
    }
    assert_eq!(statuses, [400, 400, 429, 400, 429], "two for each client, three for the address");
    world.clock.advance(MINUTE);
    let form = [&refresh_form(&token)[..], &[("client_id", "nobody")]].concat();
    for wanted in [401, 401, 429] {
        let response = http().post(world.url("/auth/token")).form(&form).send().await.unwrap();
        assert_eq!(response.status(), wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_refresh_token_does_not_use_up_the_limit_of_its_grant() {
    let refuse =
        |site: SiteBuilder| with_limits(few)(site).set(|site| site.refresh_reuse = RefreshReuse::Refuse);
    let world = World::with_manual_clock(refuse).await;
    let (client, tokens) = world.sign_in(ROUTE, "alice").await;
    let older = tokens.refresh_token.unwrap();
    let newest = next(&client, &next(&client, &older).await).await;
    let form = [&refresh_form(&older)[..], &[("client_id", &*client.id)]].concat();
    for number in 0..40 {
        let request =
            http().post(world.url("/auth/token")).header("x-forwarded-for", format!("198.51.100.{number}"));
        let status = request.form(&form).send().await.unwrap().status().as_u16();
        assert_eq!(status, if number < 9 { 400 } else { 429 }, "{number}");
    }
    next(&client, &newest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_request_writes_nothing_to_the_store() {
    let world = world(StoreKind::Redis).await;
    let (client, tokens) = world.sign_in(ROUTE, "alice").await;
    let older = tokens.refresh_token.unwrap();
    let newest = next(&client, &next(&client, &older).await).await;
    use_up_the_address(&world, &client).await;
    let scripts = || {
        let stats = world.redis.as_ref().unwrap().command(&["INFO", "commandstats"]).unwrap();
        stats.lines().find(|line| line.starts_with("cmdstat_eval:")).map(str::to_owned).unwrap_or_default()
    };
    let calls = |line: String| line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap();
    let before = calls(scripts());
    for _ in 0..20 {
        assert_eq!(refresh(&client, &older).await, 429);
        assert_eq!(refresh(&client, "x").await, 429);
    }
    // The poll of revocations and the ping run meanwhile.
    assert!(calls(scripts()) - before < 20, "a refused request runs no script");
    assert_eq!(refresh(&client, &newest).await, 200, "the older token has not revoked the grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_refresh_token_is_revoked_at_an_address_over_its_limit() {
    let world = world(StoreKind::Embedded).await;
    let (client, tokens) = world.sign_in(ROUTE, "alice").await;
    let revoke = async |token: &str| {
        let form = [("token", token), ("client_id", &client.id)];
        http().post(world.url("/auth/revoke")).form(&form).send().await.unwrap().status().as_u16()
    };
    for wanted in [200, 200, 429] {
        assert_eq!(revoke("x").await, wanted);
    }
    let token = tokens.refresh_token.unwrap();
    assert_eq!(revoke(&token).await, 200);
    assert_eq!(refresh(&client, &token).await, 400, "revoked");
    assert_eq!(revoke(&token).await, 429, "of no use any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guessed_code_counts_against_the_address_before_the_store_is_read() {
    let world = world(StoreKind::Redis).await;
    let (client, _) = world.sign_in(ROUTE, "alice").await;
    world.redis.as_ref().unwrap().stop();
    let code = "A".repeat(86);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("code_verifier", "x"),
        ("client_id", &client.id),
    ];
    for wanted in [503, 503, 429] {
        let request = http().post(world.url("/auth/token")).header("x-forwarded-for", ADDRESS_A).form(&form);
        assert_eq!(request.send().await.unwrap().status(), wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_okta_ends_does_not_count_against_the_address() {
    let world = world(StoreKind::Embedded).await;
    let mut grants = Vec::new();
    for _ in 0..6 {
        grants.push(world.sign_in(ROUTE, "alice").await);
    }
    world.okta.suspend("alice");
    world.clock.advance(MINUTE);
    for (client, tokens) in &grants[..5] {
        assert_eq!(refresh(client, tokens.refresh_token.as_ref().unwrap()).await, 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_code_counts_against_the_address() {
    let world = world(StoreKind::Embedded).await;
    let client = world.client(ROUTE).await;
    let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
    client.redeem(&code).await.unwrap();
    let mut refusals = Vec::new();
    for _ in 0..2 {
        refusals.push(client.redeem(&code).await.unwrap_err().to_string());
    }
    assert!(refusals.iter().all(|refusal| refusal.starts_with("invalid_grant")), "{refusals:?}");
    assert_eq!(refresh(&client, "x").await, 429, "two for the client");
}
