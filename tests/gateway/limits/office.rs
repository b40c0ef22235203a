//! A day in an office: many users behind one address, each with a grant for every server, all refreshing in every
//! lifetime of an access token.
//!
//! `OFFICE_USERS` sets the number of users; `make soak` runs 3000, who have 90 000 grants. The limits of the address
//! are scaled to the number of users, as the defaults are for 3000.

use super::with_limits;
use crate::harness::{GrantAccess, SiteBuilder, StoreKind, World, http};
use gateway::base::secret::Secret;
use gateway::credential::RefreshToken;
use gateway::store::GrantId;
use gateway_standins::browser::Browser;
use gateway_standins::client::{Client, Login};
use gateway_standins::okta::{OktaOptions, User, default_users};
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const DEFAULT_USERS: usize = 25;
const SERVERS: usize = 30;
/// Lifetime of access tokens, and period of the checks at Okta.
const PERIOD: Duration = Duration::from_mins(10);
const PERIODS: usize = 3;
/// Sign-ins in a minute, which are limited by address.
const SIGN_INS_PER_MINUTE: usize = 100;
const MAX_CONCURRENT_REFRESHES: usize = 24;
const GRANT_TTL: Duration = Duration::from_hours(24);

fn users(default: usize) -> usize {
    std::env::var("OFFICE_USERS").ok().map_or(default, |users| users.parse().unwrap())
}

fn directory(users: usize) -> Vec<User> {
    let alice = default_users().remove(0);
    let user = |number| User {
        username: format!("user{number}"),
        sub: format!("00u{number}"),
        name: format!("User {number}"),
        email: format!("user{number}@example.com"),
        ..alice.clone()
    };
    (0..users).map(user).collect()
}

/// The office, with its gateway.
struct Office {
    world: World,
    client: Client,
    /// Newest refresh token of each grant.
    tokens: Vec<String>,
}

impl Office {
    /// Signs each user in once, and copies the user's grant for the other servers while the gateway is stopped.
    async fn open(store_kind: StoreKind, users: usize) -> Self {
        let limits = with_limits(move |limits| {
            let scaled = |limit: u32| u32::try_from(users).unwrap() * limit / 3000;
            (limits.tokens, limits.client_tokens) = (scaled(limits.tokens), scaled(limits.client_tokens));
        });
        let site = |site: SiteBuilder| limits(site).set(|site| site.okta_recheck = PERIOD);
        let options = OktaOptions { users: directory(users), ..OktaOptions::default() };
        let world = World::with_manual_clock_and_okta(options, store_kind, site).await;
        let client = world.client("/mcp/raw/echo").await;
        let mut office = Self { world, client, tokens: Vec::new() };
        for number in 0..users {
            if number % SIGN_INS_PER_MINUTE == 0 {
                office.world.clock.advance(Duration::from_mins(1));
            }
            let user = format!("user{number}");
            let code = office.client.authorize(&mut Browser::new(), &Login::of(&user)).await.unwrap();
            office.tokens.push(office.client.redeem(&code).await.unwrap().refresh_token.unwrap());
        }
        office.world.stop_gateway().await;
        office.copy_grants().await;
        office.world.start_gateway();
        office
    }

    async fn copy_grants(&mut self) {
        let GrantAccess { grants, credentials } = &GrantAccess::open(&self.world);
        for token in self.tokens.clone() {
            let first = credentials.open_refresh_token(&Secret::new(token)).unwrap();
            let grant = grants.read(first.grant).await.unwrap().unwrap();
            for _ in 1..SERVERS {
                let copy = RefreshToken { grant: GrantId(credentials.random()), generation: 1 };
                assert!(grants.create(copy.grant, &grant, GRANT_TTL).await.unwrap());
                self.tokens.push(credentials.refresh_token(copy).expose().to_owned());
            }
        }
    }

    /// Refreshes all grants; returns the number of responses by status.
    async fn refresh_all(&mut self) -> HashMap<StatusCode, usize> {
        let (http, url) = (http(), self.world.url("/auth/token"));
        let work = Arc::new((std::mem::take(&mut self.tokens), AtomicUsize::new(0)));
        let mut workers = JoinSet::new();
        for _ in 0..MAX_CONCURRENT_REFRESHES {
            let (http, url, client_id) = (http.clone(), url.clone(), self.client.id.clone());
            let work = Arc::clone(&work);
            workers.spawn(async move {
                let (mut refreshed, mut statuses) = (Vec::new(), HashMap::new());
                while let Some(token) = work.0.get(work.1.fetch_add(1, Ordering::Relaxed)) {
                    let form = [
                        ("grant_type", "refresh_token"),
                        ("refresh_token", token),
                        ("client_id", &client_id),
                    ];
                    let response = http.post(&url).form(&form).send().await.unwrap();
                    *statuses.entry(response.status()).or_insert(0) += 1;
                    let body: Value = response.json().await.unwrap();
                    refreshed.push(body["refresh_token"].as_str().unwrap_or(token).to_owned());
                }
                (refreshed, statuses)
            });
        }
        let mut statuses = HashMap::new();
        for (refreshed, counts) in workers.join_all().await {
            self.tokens.extend(refreshed);
            for (status, count) in counts {
                *statuses.entry(status).or_insert(0) += count;
            }
        }
        statuses
    }

    /// Number of queries of Okta by the token of their user.
    fn queries(&self) -> HashMap<String, usize> {
        let mut queries = HashMap::new();
        for request in self.world.okta.requests() {
            if let Some(token) = request.field("refresh_token") {
                *queries.entry(token.to_owned()).or_insert(0) += 1;
            }
        }
        queries
    }

    async fn work_a_day(&mut self, users: usize) {
        let grants = users * SERVERS;
        for _ in 0..PERIODS {
            self.world.clock.advance(PERIOD);
            self.world.okta.clear_requests();
            assert_eq!(self.refresh_all().await, HashMap::from([(StatusCode::OK, grants)]));
            let queries = self.queries();
            assert_eq!((queries.len(), queries.values().sum()), (users, users), "one for each user");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_in_a_large_office_is_rate_limited_and_okta_is_asked_once_per_user_and_period() {
    let users = users(DEFAULT_USERS);
    Office::open(StoreKind::Embedded, users).await.work_a_day(users).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_on_redis_ask_okta_once_per_user_and_period() {
    let users = users(DEFAULT_USERS) / 5;
    let mut office = Office::open(StoreKind::Redis, users).await;
    let _balancer = office.world.start_balancer(2).await;
    office.work_a_day(users).await;
}
