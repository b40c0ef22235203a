use super::*;
use crate::base::clock::{Clock, Timestamp};
use crate::grants::{Subject, User};

const ID: GrantId = GrantId([7; 16]);
const LIFETIME: Duration = Duration::from_hours(1);

fn active_grant() -> Arc<ActiveGrant> {
    ActiveGrant::new(Arc::new(Grant {
        subject: Subject::User(User { sub: "00u1".into(), email: None, groups: Vec::new() }),
        client_id: "client".into(),
        client_name: "Client".into(),
        route: "/mcp/dice/".into(),
        resource: None,
        scopes: Vec::new(),
        okta_refresh_token: None,
        checked_at: Timestamp::from_seconds(0),
        asked_at: Timestamp::from_seconds(0),
    }))
}

/// Cache with one grant that was just read, and its clock.
fn cached() -> (GrantCache, Clock) {
    let (cache, clock) = (GrantCache::new(), Clock::manual(Timestamp::from_seconds(1_800_000_000)));
    add(&cache, cache.begin_read(ID, clock.monotonic()));
    (cache, clock)
}

fn add(cache: &GrantCache, read: ReadStart) {
    cache.insert(ID, CachedGrant::new(active_grant(), read, LIFETIME));
}

fn is_usable(cache: &GrantCache, clock: &Clock) -> bool {
    cache.usable(ID, clock.monotonic()).is_some()
}

fn is_stale(cache: &GrantCache, clock: &Clock) -> bool {
    cache.stale(ID, clock.monotonic()).is_some()
}

#[test]
fn a_full_cache_keeps_the_grants_in_use_and_evicts_the_others_one_by_one() {
    let (cache, now) = (GrantCache::new(), Monotonic::default());
    let id = |number: usize| GrantId((number as u128).to_be_bytes());
    let entry = CachedGrant::new(active_grant(), cache.read_start(now), LIFETIME);
    let is_cached = |number| cache.usable(id(number), now).is_some();
    for number in 0..MAX_CACHED_GRANTS * 5 / 2 {
        cache.insert(id(number), entry.clone());
        assert!(is_cached(number), "a new grant is cached");
        if number % 1000 == 999 {
            assert!((0..1000).all(is_cached), "after {number} grants");
        }
    }
    let bound = MAX_CACHED_GRANTS..=MAX_CACHED_GRANTS + 64;
    assert!(bound.contains(&cache.entries.len()), "{}", cache.entries.len());
}

#[test]
fn an_entry_is_fresh_for_three_seconds_and_stale_for_a_minute() {
    let (cache, clock) = cached();
    clock.advance(FRESH_TIME.saturating_sub(Duration::from_millis(1)));
    assert!(is_usable(&cache, &clock));
    clock.advance(Duration::from_millis(1));
    assert!(!is_usable(&cache, &clock) && is_stale(&cache, &clock));
    clock.advance(STALE_TIME.saturating_sub(FRESH_TIME));
    assert!(!is_stale(&cache, &clock));
}

#[test]
fn a_stale_entry_is_used_while_the_store_is_being_read() {
    let (cache, clock) = cached();
    clock.advance(FRESH_TIME);
    cache.begin_read(ID, clock.monotonic());
    assert!(is_usable(&cache, &clock), "one request reads the store, the others do not wait");
    cache.end_read(ID);
    assert!(!is_usable(&cache, &clock), "the read failed: the next request reads");
    let read = cache.begin_read(ID, clock.monotonic());
    clock.advance(READ_TIMEOUT);
    assert!(!is_usable(&cache, &clock), "the read takes too long: another request reads");
    add(&cache, read);
    assert!(is_usable(&cache, &clock));
    clock.advance(FRESH_TIME.saturating_sub(READ_TIMEOUT));
    assert!(!is_usable(&cache, &clock), "the age counts from the start of the read");
}

#[test]
fn an_entry_is_not_used_after_the_grant_has_expired() {
    let (cache, clock) = (GrantCache::new(), Clock::manual(Timestamp::from_seconds(1_800_000_000)));
    let read = cache.begin_read(ID, clock.monotonic());
    cache.insert(ID, CachedGrant::new(active_grant(), read, Duration::from_secs(1)));
    assert!(is_usable(&cache, &clock));
    clock.advance(Duration::from_secs(1));
    assert!(!is_usable(&cache, &clock) && !is_stale(&cache, &clock));
}

#[test]
fn an_invalidation_requires_a_read_that_began_after_it() {
    let (cache, clock) = cached();
    let before = cache.begin_read(ID, clock.monotonic());
    cache.invalidate_all();
    assert!(is_usable(&cache, &clock), "while the store is being read");
    add(&cache, before);
    assert!(!is_usable(&cache, &clock), "that read may have missed a revocation");
    assert!(is_stale(&cache, &clock), "if the store is unavailable");
    add(&cache, cache.begin_read(ID, clock.monotonic()));
    assert!(is_usable(&cache, &clock));
}

#[test]
fn a_removed_entry_is_not_found() {
    let (cache, clock) = cached();
    cache.remove(ID);
    cache.begin_read(ID, clock.monotonic());
    assert!(!is_usable(&cache, &clock) && !is_stale(&cache, &clock));
    assert!(cache.entries.is_empty());
}
