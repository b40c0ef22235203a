//! A check of one grant counts for all grants of its user, for `okta_recheck`.

use super::{MINUTE, call, okta_refresh_count, single_use_refresh_tokens};
use crate::harness::{SiteBuilder, StoreKind, World};
use gateway_standins::client::{Client, Tokens};
use gateway_standins::okta::{OktaOptions, Outage};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const ROUTE: &str = "/mcp/raw/echo";
pub(super) const PERIOD: Duration = Duration::from_mins(10);

/// Refusal that is about the user, and not about a token.
const POLICY_REFUSAL: &str =
    r#"{"error":"access_denied","error_description":"Policy evaluation failed for this request."}"#;

/// A grant with its newest tokens.
pub(super) struct SignedIn {
    client: Arc<Client>,
    access_token: String,
    pub(super) refresh_token: String,
}

impl SignedIn {
    fn new(client: Client, tokens: Tokens) -> Self {
        let refresh_token = tokens.refresh_token.unwrap();
        Self { client: Arc::new(client), access_token: tokens.access_token, refresh_token }
    }

    pub(super) async fn refresh(&mut self) -> Result<(), String> {
        let tokens = self.client.refresh(&self.refresh_token).await.map_err(|error| error.to_string())?;
        (self.access_token, self.refresh_token) = (tokens.access_token, tokens.refresh_token.unwrap());
        Ok(())
    }

    /// Checks that the client is told to sign in again.
    async fn assert_refused(&mut self) {
        let refused = self.refresh().await.unwrap_err();
        assert!(refused.starts_with("invalid_grant"), "{refused}");
        assert!(refused.contains("sign in again"), "{refused}");
    }
}

fn period(site: SiteBuilder) -> SiteBuilder {
    site.set(|site| site.okta_recheck = PERIOD)
}

pub(super) async fn world_on(store_kind: StoreKind) -> World {
    World::with_manual_clock_and_okta(single_use_refresh_tokens(), store_kind, period).await
}

/// Grants of one user.
pub(super) async fn grants(world: &World, username: &str, count: usize) -> Vec<SignedIn> {
    let mut grants = Vec::new();
    for _ in 0..count {
        let (client, tokens) = world.sign_in(ROUTE, username).await;
        grants.push(SignedIn::new(client, tokens));
    }
    grants
}

/// Refreshes all grants concurrently.
async fn refresh_all(grants: Vec<SignedIn>) -> Vec<SignedIn> {
    let mut refreshes = JoinSet::new();
    for mut grant in grants {
        refreshes.spawn(async move {
            grant.refresh().await.unwrap();
            grant
        });
    }
    refreshes.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_check_in_a_period_counts_for_all_grants_of_the_user() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let mut world = world_on(store_kind).await;
        let _balancer = if world.redis.is_some() { Some(world.start_balancer(2).await) } else { None };
        let mut grants = grants(&world, "alice", 6).await;
        world.okta.outage_at("/v1/token", Outage::Late(Duration::from_millis(200)));
        for round in 1..=3 {
            world.clock.advance(PERIOD);
            grants = refresh_all(grants).await;
            grants = refresh_all(grants).await;
            assert_eq!(okta_refresh_count(&world), round);
        }
    }
}

#[tokio::test]
async fn a_login_is_a_check_for_the_other_grants_of_the_user() {
    let world = world_on(StoreKind::Embedded).await;
    let mut of_alice = grants(&world, "alice", 1).await;
    let mut of_bob = grants(&world, "bob", 1).await;
    world.clock.advance(PERIOD);
    grants(&world, "alice", 1).await;
    of_alice[0].refresh().await.unwrap();
    assert_eq!(okta_refresh_count(&world), 0);
    of_bob[0].refresh().await.unwrap();
    assert_eq!(okta_refresh_count(&world), 1, "another user");
}

#[tokio::test]
async fn groups_and_email_reach_all_grants_of_the_user() {
    let world = world_on(StoreKind::Embedded).await;
    let mut grants = grants(&world, "alice", 3).await;
    world.okta.set_groups("alice", &["Night Shift"]);
    world.okta.set_email("alice", "new@example.com", true);
    world.clock.advance(PERIOD);
    for grant in &mut grants {
        grant.refresh().await.unwrap();
        assert_eq!(call(&world, &grant.access_token).await, 200);
        let forwarded = world.backend.last().unwrap();
        assert_eq!(forwarded.header("x-forwarded-groups"), Some("Night Shift"));
        assert_eq!(forwarded.header("x-forwarded-email"), Some("new@example.com"));
    }
    assert_eq!(okta_refresh_count(&world), 1);
}

#[tokio::test]
async fn a_refused_user_loses_all_grants_within_the_period_and_no_other_user_does() {
    for store_kind in [StoreKind::Embedded, StoreKind::Redis] {
        let world = world_on(store_kind).await;
        let mut grants_of_alice = grants(&world, "alice", 4).await;
        let mut grants_of_bob = grants(&world, "bob", 1).await;
        world.okta.outage_at("/v1/token", Outage::Respond(400, POLICY_REFUSAL));
        world.clock.advance(PERIOD);
        for grant in &mut grants_of_alice {
            grant.assert_refused().await;
            assert_eq!(call(&world, &grant.access_token).await, 401);
        }
        assert_eq!(okta_refresh_count(&world), 1);
        world.okta.outage_at("/v1/token", Outage::None);
        grants_of_bob[0].refresh().await.unwrap();
    }
}

#[tokio::test]
async fn a_deactivated_user_costs_two_queries_whatever_the_number_of_grants() {
    for first in [0, 4] {
        let world = world_on(StoreKind::Embedded).await;
        let mut grants = grants(&world, "alice", 5).await;
        world.okta.suspend("alice");
        world.clock.advance(PERIOD);
        grants.swap(0, first);
        for grant in &mut grants {
            grant.assert_refused().await;
        }
        assert_eq!(
            okta_refresh_count(&world),
            2,
            "Okta says that the token is invalid: a second one proves it"
        );
    }
}

#[tokio::test]
async fn a_new_login_removes_the_refusal() {
    let world = world_on(StoreKind::Embedded).await;
    let mut before = grants(&world, "alice", 2).await;
    world.okta.outage_at("/v1/token", Outage::Respond(400, POLICY_REFUSAL));
    world.clock.advance(PERIOD);
    before[0].assert_refused().await;
    world.okta.outage_at("/v1/token", Outage::None);
    let mut after = grants(&world, "alice", 1).await;
    after[0].refresh().await.unwrap();
    world.clock.advance(PERIOD);
    after[0].refresh().await.unwrap();
    before[1].refresh().await.unwrap();
}

#[tokio::test]
async fn a_refusal_applies_for_one_period() {
    let world = world_on(StoreKind::Embedded).await;
    let mut grants = grants(&world, "alice", 2).await;
    world.okta.outage_at("/v1/token", Outage::Respond(400, POLICY_REFUSAL));
    world.clock.advance(PERIOD);
    grants[0].assert_refused().await;
    world.okta.outage_at("/v1/token", Outage::None);
    world.clock.advance(PERIOD);
    grants[1].refresh().await.unwrap();
    assert_eq!(okta_refresh_count(&world), 2);
}

#[tokio::test]
async fn a_lost_token_of_one_grant_ends_no_other_grant() {
    let world = world_on(StoreKind::Embedded).await;
    let mut grants = grants(&world, "alice", 3).await;
    for lost in [2, 0] {
        world.clock.advance(PERIOD);
        world.okta.outage_at("/v1/token", Outage::Lost);
        grants[lost].refresh().await.unwrap();
        world.okta.outage_at("/v1/token", Outage::None);
        world.clock.advance(MINUTE);
        grants[lost].assert_refused().await;
        grants.remove(lost);
        for grant in &mut grants {
            grant.refresh().await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_outage_is_queried_once_a_minute_for_all_grants_of_a_user() {
    let world = world_on(StoreKind::Embedded).await;
    let mut grants = grants(&world, "alice", 3).await;
    world.okta.outage(Outage::Refuse503);
    world.clock.advance(PERIOD);
    for queries in 1..=3 {
        for grant in &mut grants {
            grant.refresh().await.unwrap();
        }
        assert_eq!(okta_refresh_count(&world), queries);
        world.clock.advance(MINUTE);
    }
    world.clock.advance(Duration::from_hours(1));
    for grant in &mut grants {
        assert!(
            grant.refresh().await.unwrap_err().starts_with("temporarily_unavailable"),
            "after okta_grace"
        );
    }
    world.okta.outage(Outage::None);
    world.clock.advance(MINUTE);
    grants[0].refresh().await.unwrap();
    grants[1].refresh().await.unwrap();
    assert_eq!(okta_refresh_count(&world), 5);
}

/// Okta's tokens have no successors here, so that each is recognized.
#[tokio::test(flavor = "multi_thread")]
async fn no_refresh_token_of_okta_stays_unused_for_two_days() {
    let hourly = |site: SiteBuilder| site.set(|site| site.okta_recheck = Duration::from_hours(1));
    let world = World::with_manual_clock_and_okta(OktaOptions::default(), StoreKind::Embedded, hourly).await;
    let mut grants = grants(&world, "alice", 4).await;
    for _day in 0..2 {
        world.okta.clear_requests();
        for _hour in 0..48 {
            world.clock.advance(Duration::from_hours(1));
            // The same client is always the first one after the period.
            for grant in &mut grants {
                grant.refresh().await.unwrap();
            }
        }
        let requests = world.okta.requests();
        let used: HashSet<&str> =
            requests.iter().filter_map(|request| request.field("refresh_token")).collect();
        assert_eq!(used.len(), 4, "the tokens of all grants");
        assert!(okta_refresh_count(&world) <= 48, "{}", okta_refresh_count(&world));
    }
}

#[tokio::test]
async fn without_the_shared_result_each_grant_is_checked_on_its_own() {
    let world = world_on(StoreKind::Redis).await;
    let mut grants = grants(&world, "alice", 2).await;
    world.clock.advance(PERIOD);
    for (grant, queries) in grants.iter_mut().zip(1..) {
        grant.refresh().await.unwrap();
        assert_eq!(okta_refresh_count(&world), queries);
        let redis = world.redis.as_ref().unwrap();
        let keys = redis.command(&["KEYS", "mcp:user-check:*"]).unwrap();
        let key = keys.lines().find(|line| line.contains("user-check")).unwrap();
        redis.command(&["DEL", key]).unwrap();
    }
}
