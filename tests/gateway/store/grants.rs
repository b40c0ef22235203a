//! Grants: creation, lookup, rotation and end.

use super::fixture::{StoreFixture, fifty_concurrent, on_each_backend};
use super::{id, key, user_entry};
use gateway::store::{Cursor, GrantRecord, Reuse, Rotate, Rotation, Sealed};
use std::sync::Arc;
use std::time::Duration;

/// Generation and whether it is new, or the kind of rejection.
fn outcome(rotation: Rotation) -> Result<(u32, bool), &'static str> {
    match rotation {
        Rotation::Fresh { record } => Ok((record.generation, true)),
        Rotation::Same { record } => Ok((record.generation, false)),
        Rotation::Unknown => Err("unknown"),
        Rotation::Reused => Err("reused"),
        Rotation::Gone => Err("ended"),
    }
}

#[tokio::test]
async fn a_grant_is_read_back_unchanged_after_a_restart() {
    for fixture in [StoreFixture::embedded(), StoreFixture::redis()] {
        let record = GrantRecord { generation: u32::MAX, previous: Some(7), ..fixture.record(1) };
        assert!(fixture.store.create_grant(record.clone()).await.unwrap());
        assert_eq!(fixture.store.grant(id(1)).await.unwrap(), Some(record.clone()));
        let fixture = fixture.reopened();
        assert_eq!(fixture.store.grant(id(1)).await.unwrap(), Some(record));
        assert_eq!(fixture.store.grant(id(2)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_grant_expires() {
    on_each_backend(async |fixture| {
        fixture.store.create_grant(fixture.record(1)).await.unwrap();
        fixture.clock.advance(Duration::from_hours(1));
        assert_eq!(fixture.store.grant(id(1)).await.unwrap(), None);
        assert_eq!(fixture.store.rotate(id(1), fixture.rotate(1)).await.unwrap(), Rotation::Gone);
        let new = Sealed { sealed: vec![1], index_entries: Vec::new() };
        assert!(!fixture.store.replace_sealed(id(1), &fixture.record(1).sealed, new).await.unwrap());
        assert!(fixture.store.grants_of(user_entry(key(0)), 10).await.unwrap().is_empty());
        assert!(!fixture.store.revoke(id(1)).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_rotation_and_its_repetition_give_the_same_successor() {
    on_each_backend(async |fixture| {
        fixture.store.create_grant(fixture.record(1)).await.unwrap();
        let rotate =
            async |presented| outcome(fixture.store.rotate(id(1), fixture.rotate(presented)).await.unwrap());
        assert_eq!(rotate(2).await, Err("unknown"));
        assert_eq!(rotate(1).await, Ok((2, true)));
        fixture.clock.advance(Duration::from_mins(1));
        assert_eq!(rotate(1).await, Ok((2, false)));
        let record = fixture.store.grant(id(1)).await.unwrap().unwrap();
        assert_eq!((record.generation, record.previous), (2, Some(1)));
        assert_eq!(record.expires_at, fixture.seconds(7200 - 60), "a rotation extends the grant");
    })
    .await;
}

#[tokio::test]
async fn a_late_repetition_gives_a_new_token_and_invalidates_the_skipped_one() {
    on_each_backend(async |fixture| {
        fixture.store.create_grant(fixture.record(1)).await.unwrap();
        let rotate =
            async |presented| outcome(fixture.store.rotate(id(1), fixture.rotate(presented)).await.unwrap());
        assert_eq!(rotate(1).await, Ok((2, true)));
        fixture.clock.advance(Duration::from_millis(60_001));
        assert_eq!(rotate(1).await, Ok((3, true)));
        assert_eq!(rotate(2).await, Err("reused"));
        assert_eq!(rotate(3).await, Err("ended"), "the skipped token revoked the grant");
    })
    .await;
}

#[tokio::test]
async fn an_older_token_revokes_the_grant_or_is_only_rejected() {
    on_each_backend(async |fixture| {
        for (fill, on_reuse) in [(1, Reuse::Refuse), (2, Reuse::Revoke)] {
            fixture.store.create_grant(fixture.record(fill)).await.unwrap();
            let rotate = async |presented| {
                let rotate = Rotate { on_reuse, ..fixture.rotate(presented) };
                outcome(fixture.store.rotate(id(fill), rotate).await.unwrap())
            };
            assert_eq!(rotate(1).await, Ok((2, true)));
            assert_eq!(rotate(2).await, Ok((3, true)));
            assert_eq!(rotate(1).await, Err("reused"));
            let expected = if on_reuse == Reuse::Refuse { Ok((4, true)) } else { Err("ended") };
            assert_eq!(rotate(3).await, expected);
        }
        let feed = fixture.store.revoked_since(Cursor(0)).await.unwrap();
        assert_eq!(feed.ids, [id(2)], "only the ended grant is in the feed");
    })
    .await;
}

#[tokio::test]
async fn rotation_stops_before_the_generation_overflows() {
    on_each_backend(async |fixture| {
        let last = GrantRecord { generation: u32::MAX, previous: Some(u32::MAX - 1), ..fixture.record(1) };
        fixture.store.create_grant(last.clone()).await.unwrap();
        assert_eq!(fixture.store.rotate(id(1), fixture.rotate(u32::MAX)).await.unwrap(), Rotation::Unknown);
        assert_eq!(fixture.store.grant(id(1)).await.unwrap(), Some(last));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_concurrent_rotations_give_one_successor() {
    on_each_backend(async |fixture| {
        fixture.store.create_grant(fixture.record(1)).await.unwrap();
        let rotate = fixture.rotate(1);
        let outcomes = fifty_concurrent(|| {
            let store = Arc::clone(&fixture.store);
            async move { outcome(store.rotate(id(1), rotate).await.unwrap()).unwrap() }
        });
        let outcomes = outcomes.await;
        assert!(outcomes.iter().all(|(generation, _)| *generation == 2));
        assert_eq!(outcomes.iter().filter(|(_, fresh)| *fresh).count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_revoked_grant_is_removed_and_cannot_be_created_again() {
    on_each_backend(async |fixture| {
        fixture.store.create_grant(fixture.record(1)).await.unwrap();
        assert!(fixture.store.revoke(id(1)).await.unwrap());
        assert!(!fixture.store.revoke(id(1)).await.unwrap());
        assert_eq!(fixture.store.grant(id(1)).await.unwrap(), None);
        assert_eq!(fixture.store.rotate(id(1), fixture.rotate(1)).await.unwrap(), Rotation::Gone);
        assert!(!fixture.store.create_grant(fixture.record(1)).await.unwrap());
        assert!(!fixture.store.revoke(id(2)).await.unwrap(), "it never existed");
        assert!(!fixture.store.create_grant(fixture.record(2)).await.unwrap(), "and cannot be created");
    })
    .await;
}

#[tokio::test]
async fn sealed_data_is_replaced_by_compare_and_swap() {
    on_each_backend(async |fixture| {
        let record = fixture.record(1);
        fixture.store.create_grant(record.clone()).await.unwrap();
        let new = Sealed { sealed: b"new".to_vec(), index_entries: vec![user_entry(key(9))] };
        assert!(!fixture.store.replace_sealed(id(1), b"other", new.clone()).await.unwrap());
        assert!(fixture.store.replace_sealed(id(1), &record.sealed, new.clone()).await.unwrap());
        let expected = GrantRecord { sealed: new.sealed, index_entries: new.index_entries, ..record };
        assert_eq!(fixture.store.grant(id(1)).await.unwrap(), Some(expected));
        assert_eq!(fixture.store.grants_of(user_entry(key(9)), 10).await.unwrap(), [id(1)]);
    })
    .await;
}

#[tokio::test]
async fn the_feed_has_each_revocation_once_and_in_order() {
    on_each_backend(async |fixture| {
        let start = fixture.store.revoked_since(Cursor(0)).await.unwrap();
        assert!(start.ids.is_empty() && !start.reset);
        for fill in 1..=3 {
            fixture.store.create_grant(fixture.record(fill)).await.unwrap();
            fixture.store.revoke(id(fill)).await.unwrap();
        }
        let feed = fixture.store.revoked_since(start.cursor).await.unwrap();
        assert_eq!(feed.ids, [id(1), id(2), id(3)]);
        let again = fixture.store.revoked_since(feed.cursor).await.unwrap();
        assert_eq!((again.ids.len(), again.cursor, again.reset), (0, feed.cursor, false));
        fixture.store.revoke(id(4)).await.unwrap();
        let next = fixture.store.revoked_since(feed.cursor).await.unwrap();
        assert_eq!((next.ids, next.reset), (vec![id(4)], false));
    })
    .await;
}

#[tokio::test]
async fn active_grants_are_listed_by_owner() {
    on_each_backend(async |fixture| {
        for fill in 1..=4 {
            fixture.store.create_grant(fixture.record(fill)).await.unwrap();
        }
        fixture.store.revoke(id(2)).await.unwrap();
        for entry in fixture.record(1).index_entries {
            let mut found = fixture.store.grants_of(entry, 10).await.unwrap();
            found.sort_unstable();
            assert_eq!(found, [id(1), id(3), id(4)], "{entry:?}");
        }
        assert_eq!(fixture.store.grants_of(user_entry(key(0)), 2).await.unwrap().len(), 2);
        assert!(fixture.store.grants_of(user_entry(key(9)), 10).await.unwrap().is_empty());
        fixture.clock.advance(Duration::from_mins(59));
        fixture.store.rotate(id(3), fixture.rotate(1)).await.unwrap();
        fixture.clock.advance(Duration::from_mins(2));
        let found = fixture.store.grants_of(user_entry(key(0)), 10).await.unwrap();
        assert_eq!(found, [id(3)], "a rotated grant is listed until it expires");
    })
    .await;
}
