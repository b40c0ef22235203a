//! Replicas of an earlier release on the same Redis, which check each grant on its own, under a lease of the grant.

use super::okta_refresh_count;
use super::sharing::{PERIOD, grants, world_on};
use crate::harness::{GrantAccess, StoreKind};
use gateway::grants::Lease;
use gateway::store::Key;

const EARLIER_RELEASE: Key = Key([1; 32]);

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_of_an_earlier_release_is_respected() {
    let world = world_on(StoreKind::Redis).await;
    let mut grants = grants(&world, "alice", 1).await;
    let access = GrantAccess::open(&world);
    let lease = Lease::Grant(access.open_token(&grants[0].refresh_token).grant);
    world.clock.advance(PERIOD);
    assert!(access.grants.begin_check(lease, EARLIER_RELEASE).await.unwrap());
    grants[0].refresh().await.unwrap();
    assert_eq!(okta_refresh_count(&world), 0, "after three seconds the refresh continues, as in an outage");
    access.grants.end_check(lease, EARLIER_RELEASE).await.unwrap();
    grants[0].refresh().await.unwrap();
    assert_eq!(okta_refresh_count(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_by_an_earlier_release_counts_for_its_grant() {
    let world = world_on(StoreKind::Redis).await;
    let mut grants = grants(&world, "alice", 2).await;
    let access = GrantAccess::open(&world);
    let id = access.open_token(&grants[0].refresh_token).grant;
    world.clock.advance(PERIOD);
    let now = world.clock.now();
    access.grants.update(id, |grant| (grant.checked_at, grant.asked_at) = (now, now)).await.unwrap();
    grants[0].refresh().await.unwrap();
    assert_eq!(okta_refresh_count(&world), 0);
    grants[1].refresh().await.unwrap();
    assert_eq!(okta_refresh_count(&world), 1);
}
