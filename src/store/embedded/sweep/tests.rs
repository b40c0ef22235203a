//! The file does not grow for ever, what has ended is gone, and nobody waits for that.

use super::{BITE, has_ended};
use crate::base::clock::{Clock, Timestamp};
use crate::store::embedded::Embedded;
use crate::store::embedded::disk::Disk;
use crate::store::embedded::tables::{EXPIRY, FEED, OWNED, RECORDS, Tables};
use crate::store::{Format, GrantId, GrantRecord, IndexKey, Key};
use redb::{Builder, Database, ReadableDatabase as _, ReadableTableMetadata as _};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_seconds(1_784_000_000);
const GENERATIONS: u128 = 12;
/// Logins, codes and grants of one generation.
const OF_EACH: u128 = 150;
const LIVES: Duration = Duration::from_mins(10);

fn key(number: u128) -> Key {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&number.to_be_bytes());
    Key(key)
}

fn record(number: u128, now: Timestamp) -> GrantRecord {
    GrantRecord {
        id: GrantId(number.to_be_bytes()),
        sealed: vec![7; 900],
        generation: 1,
        previous: None,
        rotated_at: now,
        created_at: now,
        expires_at: now.after(LIVES),
        owners: IndexKey::ALL.into_iter().map(|owner| (owner, key(number % 7))).collect(),
    }
}

/// One generation, at the same time, so that they share commits.
async fn write(store: &Arc<Embedded>, generation: u128, now: Timestamp) {
    let mut all = JoinSet::new();
    for number in generation * OF_EACH..(generation + 1) * OF_EACH {
        all.spawn(write_one(Arc::clone(store), number, now));
    }
    all.join_all().await;
}

/// What one login leaves; a third of the grants is revoked.
async fn write_one(store: Arc<Embedded>, number: u128, now: Timestamp) {
    let ends = now.after(LIVES);
    store.put_login(key(number), vec![1; 500], ends).await.unwrap();
    store.put_code(key(number), vec![2; 900], ends).await.unwrap();
    store.use_once(key(number), ends).await.unwrap();
    store.create_grant(record(number, now)).await.unwrap();
    if number.is_multiple_of(3) {
        store.revoke(GrantId(number.to_be_bytes())).await.unwrap();
    }
}

/// Waits until nothing is left that has ended, for ten seconds at most.
async fn is_swept(store: &Embedded, now: Timestamp) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while store.slot.with(|database| has_ended(database, now)).unwrap() {
        assert!(Instant::now() < deadline, "it does not come to an end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How many records, ends, owners and entries of the feed there are.
fn counts(database: &Database) -> Result<[u64; 4], redb::Error> {
    let file = database.begin_read()?;
    let of = |table| -> Result<u64, redb::Error> { Ok(file.open_table::<&[u8], ()>(table)?.len()?) };
    Ok([file.open_table(RECORDS)?.len()?, of(EXPIRY)?, of(OWNED)?, file.open_table(FEED)?.len()?])
}

#[tokio::test]
async fn generations_that_come_and_go_leave_nothing_behind_and_the_file_as_it_was() {
    let (disk, clock) = (Disk::default(), Clock::manual(NOW));
    let store = Arc::new(Embedded::on(disk.slot(), clock.clone(), Format::default()).unwrap());
    let mut longest = 0;
    for generation in 0..GENERATIONS {
        write(&store, generation, clock.now()).await;
        // Longer than what was revoked is remembered.
        clock.advance(Duration::from_hours(2));
        is_swept(&store, clock.now()).await;
        if generation == 2 {
            longest = disk.length();
        }
    }
    assert!(disk.length() <= longest, "it grew from {longest} to {}", disk.length());
    let [records, ends, owners, feed] = store.slot.with(counts).unwrap();
    assert_eq!((records, ends, owners), (0, 0, 0));
    assert!(feed <= 1, "the newest stays, for its number: {feed}");
}

#[test]
fn one_bite_is_bounded_whatever_has_ended() {
    let database = Builder::new().create_with_backend(Disk::default()).unwrap();
    let at = |now: Timestamp, work: &dyn Fn(&mut Tables<'_>) -> Result<(), redb::Error>| {
        let transaction = database.begin_write().unwrap();
        work(&mut Tables::open(&transaction, (now, Format::default())).unwrap()).unwrap();
        transaction.commit().unwrap();
    };
    let many = u64::try_from(BITE).unwrap() * 2 + 50;
    at(NOW, &|tables| {
        for number in 0..many {
            tables.put_grant(&record(number.into(), NOW))?;
            tables.append_to_feed(GrantId(u128::from(number).to_be_bytes()))?;
        }
        Ok(())
    });
    let later = NOW.after(Duration::from_hours(2));
    for bites in 1..=3 {
        at(later, &|tables| tables.sweep(BITE));
        let left = many.saturating_sub(bites * u64::try_from(BITE).unwrap());
        assert_eq!(counts(&database).unwrap(), [left, left, left * 4, left.max(1)]);
    }
    assert!(!has_ended(&database, later).unwrap());
}

#[tokio::test]
async fn the_file_of_a_flood_that_has_ended_is_short_again_after_the_next_start() {
    let (disk, clock) = (Disk::default(), Clock::manual(NOW));
    let store = Arc::new(Embedded::on(disk.slot(), clock.clone(), Format::default()).unwrap());
    for generation in 0..15 {
        write(&store, generation, clock.now()).await;
    }
    clock.advance(LIVES / 2);
    let kept = record(u128::MAX, clock.now());
    store.create_grant(kept.clone()).await.unwrap();
    clock.advance(LIVES / 2);
    is_swept(&store, clock.now()).await;
    let flooded = disk.length();
    assert!(flooded > 8 << 20, "{flooded}");
    drop(store);
    let store = Embedded::on(disk.slot(), clock.clone(), Format::default()).unwrap();
    assert!(disk.length() < flooded / 8, "{} of {flooded}", disk.length());
    assert_eq!(store.grant(kept.id).await.unwrap(), Some(kept));
}
