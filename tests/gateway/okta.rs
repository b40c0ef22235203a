//! Settings of Okta that differ from one org to the next: groups, scopes, metadata and keys.

use crate::harness::binary::Process;
use crate::harness::events::Events;
use crate::harness::go_program::GoProgram;
use crate::harness::{SiteBuilder, StoreKind, World, http};
use gateway_routes::{AuthorizationServer, Route};
use gateway_standins::browser::Browser;
use gateway_standins::client::Login;
use gateway_standins::okta::{ClaimsIn, Okta, OktaOptions, Outage};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_mins(1);

fn members(site: SiteBuilder) -> SiteBuilder {
    site.change("/mcp/raw/", |route| Route { groups: &["Engineering"], ..route })
}

fn at_custom_server(site: SiteBuilder) -> SiteBuilder {
    site.set(|site| site.okta.authorization_server = AuthorizationServer::Custom("default"))
}

/// Groups with long names, of which the 550th is needed.
fn six_hundred_groups() -> Vec<String> {
    let name = |n: usize| if n == 550 { "Engineering".to_owned() } else { format!("{n:0>255}") };
    (0..600).map(name).collect()
}

async fn call(world: &World, token: &str) -> u16 {
    http().get(world.url("/mcp/raw/echo")).bearer_auth(token).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_in_six_hundred_groups_may_use_the_route_that_names_the_550th() {
    let groups = six_hundred_groups();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    for claims_in in [ClaimsIn::IdToken, ClaimsIn::UserInfo] {
        let options = OktaOptions { claims_in, ..OktaOptions::default() };
        let world = World::with_manual_clock_and_okta(options, StoreKind::Redis, members).await;
        world.okta.set_groups("alice", &groups);
        let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
        assert_eq!(call(&world, &tokens.access_token).await, 200, "{claims_in:?}");
        let forwarded = world.backend.last().unwrap();
        let header = forwarded.header("x-forwarded-groups").unwrap();
        assert!(header.split(',').any(|group| group == "Engineering"), "{header}");
        assert!(header.len() <= 8 * 1024, "{} bytes", header.len());
        world.clock.advance(MINUTE);
        let tokens = client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
        assert_eq!(call(&world, &tokens.access_token).await, 200, "{claims_in:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_groups_at_a_login_is_one_warning_with_the_numbers() {
    let events = Events::record();
    let world = World::with(StoreKind::Embedded, members).await;
    let groups: Vec<String> = (0..6789).map(|n| format!("{n:0>20}")).chain(["Engineering".into()]).collect();
    world.okta.set_groups("bob", &groups.iter().map(String::as_str).collect::<Vec<_>>());
    for _ in 0..3 {
        let (_, tokens) = world.sign_in("/mcp/raw/echo", "bob").await;
        assert_eq!(call(&world, &tokens.access_token).await, 200);
    }
    let line = events.only(|line| line["groups"] == 6790).await;
    assert_eq!(line["level"], "WARN", "{line}");
    assert!(line["kept"].as_u64().is_some_and(|kept| (100..=501).contains(&kept)), "{line}");
    assert!(line["message"].as_str().unwrap().contains("give the groups claim at Okta a filter"), "{line}");
}

#[tokio::test]
async fn a_groups_claim_that_matches_too_many_groups_costs_no_user_the_grant() {
    let options = OktaOptions { max_groups: Some(100), ..OktaOptions::default() };
    let world = World::with_manual_clock_and_okta(options, StoreKind::Embedded, |site| site).await;
    let (client, tokens) = world.sign_in("/mcp/raw/echo", "alice").await;
    let groups = six_hundred_groups();
    world.okta.set_groups("alice", &groups.iter().map(String::as_str).collect::<Vec<_>>());
    world.clock.advance(MINUTE);
    client.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    let refused = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap_err().to_string();
    assert!(refused.contains("temporarily_unavailable"), "{refused}");
}

#[tokio::test]
async fn the_scope_groups_is_requested_from_a_custom_server_that_lists_it() {
    let options = OktaOptions { custom_scopes: vec!["groups".to_owned()], ..OktaOptions::default() };
    let world = World::with_okta(options, StoreKind::Embedded, at_custom_server).await;
    world.sign_in("/mcp/raw/echo", "alice").await;
    let request = world.okta.wait_for_request("/oauth2/default/v1/authorize").await.unwrap();
    assert!(request.field("scope").unwrap().split(' ').any(|scope| scope == "groups"));
}

#[tokio::test]
async fn the_metadata_is_requested_with_the_client_id() {
    for (change, path) in [
        (
            at_custom_server as fn(SiteBuilder) -> SiteBuilder,
            "/oauth2/default/.well-known/openid-configuration",
        ),
        (|site| site, "/.well-known/openid-configuration"),
    ] {
        let world = World::with(StoreKind::Embedded, change).await;
        world.sign_in("/mcp/raw/echo", "alice").await;
        let request = world.okta.wait_for_request(path).await.unwrap();
        let client_id = request.query.iter().find(|(name, _)| name == "client_id").map(|(_, value)| value);
        assert_eq!(client_id, Some(&OktaOptions::default().client_id));
    }
}

#[tokio::test]
async fn a_login_works_at_the_next_try_once_the_jwks_has_the_new_key() {
    let world = World::with_manual_clock(|site| site).await;
    let (client, _) = world.sign_in("/mcp/raw/echo", "alice").await;
    for _ in 0..2 {
        world.okta.rotate_keys();
        world.okta.withhold_key(true);
        for _ in 0..2 {
            let early = client.authorize(&mut Browser::new(), &Login::of("alice")).await;
            let early = early.unwrap_err().to_string();
            assert!(early.contains("temporarily_unavailable"), "{early}");
        }
        world.okta.withhold_key(false);
        let code = client.authorize(&mut Browser::new(), &Login::of("alice")).await.unwrap();
        client.redeem(&code).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_of_okta_leave_one_warning_with_the_remedy_at_the_start() {
    let program = GoProgram::shared().await;
    let okta = Okta::start(OktaOptions::default()).await.unwrap();
    let nowhere = format!("{}/oauth2/no-such-server", okta.url());
    for (setting, value, remedy) in [
        ("OKTA_CLIENT_SECRET", "another", "check OKTA_CLIENT_SECRET"),
        ("OKTA_URL", &*nowhere, "check OKTA_URL, okta.authorization_server"),
    ] {
        let process = Process::with_okta(&program.binary, &okta, &[(setting, value)]).await;
        let deadline = Instant::now() + Duration::from_secs(30);
        while !process.log().contains("WARN") {
            assert!(Instant::now() < deadline, "{}", process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = process.log();
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("\"WARN\"")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains(remedy), "{warnings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_okta_that_accepts_and_does_not_respond_leaves_one_warning_at_the_start() {
    let program = GoProgram::shared().await;
    let okta = Okta::start(OktaOptions::default()).await.unwrap();
    let introspection = "/v1/introspect";
    for (path, words) in
        [(None, "Okta can be reached from here"), (Some(introspection), "could not be checked")]
    {
        match path {
            None => okta.outage(Outage::Hang),
            Some(path) => {
                okta.outage(Outage::None);
                okta.outage_at(path, Outage::Hang);
            }
        }
        let process = Process::with_okta(&program.binary, &okta, &[]).await;
        let deadline = Instant::now() + Duration::from_secs(30);
        while !process.log().contains("WARN") {
            assert!(Instant::now() < deadline, "{}", process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let log = process.log();
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("\"WARN\"")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains(words), "{warnings:?}");
    }
}
