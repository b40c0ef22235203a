//! Expired records are removed in bounded transactions, and the file does not grow without limit.

use super::{MAX_SWEPT_RECORDS, has_expired};
use crate::base::clock::{Clock, Timestamp};
use crate::store::embedded::Embedded;
use crate::store::embedded::disk::Disk;
use crate::store::embedded::tables::{EXPIRY, FEED, INDEX, RECORDS, Tables};
use crate::store::{Format, GrantId, GrantRecord, IndexEntry, IndexKind, Key};
use redb::{Builder, Database, ReadableDatabase as _, ReadableTableMetadata as _};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_seconds(1_784_000_000);
const GENERATIONS: u128 = 12;
/// Number of logins, codes and grants in one generation.
const RECORDS_PER_GENERATION: u128 = 150;
const LIFETIME: Duration = Duration::from_mins(10);

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
        expires_at: now.after(LIFETIME),
        index_entries: IndexKind::ALL.map(|kind| IndexEntry { kind, key: key(number % 7) }).to_vec(),
    }
}

/// Writes one generation concurrently, so that the writes share commits.
async fn write(store: &Arc<Embedded>, generation: u128, now: Timestamp) {
    let mut all = JoinSet::new();
    for number in generation * RECORDS_PER_GENERATION..(generation + 1) * RECORDS_PER_GENERATION {
        all.spawn(write_one(Arc::clone(store), number, now));
    }
    all.join_all().await;
}

/// Writes the records of one login; every third grant is revoked.
async fn write_one(store: Arc<Embedded>, number: u128, now: Timestamp) {
    let ends = now.after(LIFETIME);
    store.put_login(key(number), vec![1; 500], ends).await.unwrap();
    store.put_code(key(number), vec![2; 900], ends).await.unwrap();
    store.use_once(key(number), ends).await.unwrap();
    store.create_grant(record(number, now)).await.unwrap();
    if number.is_multiple_of(3) {
        store.revoke(GrantId(number.to_be_bytes())).await.unwrap();
    }
}

/// Waits until all expired records are removed, for ten seconds at most.
async fn wait_until_swept(store: &Embedded, now: Timestamp) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while store.database.with(|database| has_expired(database, now)).unwrap() {
        assert!(Instant::now() < deadline, "expired records are left");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Number of records, expiries, index entries and feed entries.
fn counts(database: &Database) -> Result<[u64; 4], redb::Error> {
    let file = database.begin_read()?;
    let of = |table| -> Result<u64, redb::Error> { Ok(file.open_table::<&[u8], ()>(table)?.len()?) };
    Ok([file.open_table(RECORDS)?.len()?, of(EXPIRY)?, of(INDEX)?, file.open_table(FEED)?.len()?])
}

#[tokio::test]
async fn expired_records_leave_nothing_behind_and_the_file_does_not_grow() {
    let (disk, clock) = (Disk::default(), Clock::manual(NOW));
    let store = Arc::new(Embedded::on(disk.database(), clock.clone(), Format::default()).unwrap());
    let mut longest = 0;
    for generation in 0..GENERATIONS {
        write(&store, generation, clock.now()).await;
        // Longer than the lifetime of a tombstone.
        clock.advance(Duration::from_hours(2));
        wait_until_swept(&store, clock.now()).await;
        if generation == 2 {
            longest = disk.length();
        }
    }
    assert!(disk.length() <= longest, "it grew from {longest} to {}", disk.length());
    let [records, ends, index, feed] = store.database.with(counts).unwrap();
    assert_eq!((records, ends, index), (0, 0, 0));
    assert!(feed <= 1, "the newest stays, for its number: {feed}");
}

#[test]
fn one_sweep_removes_a_bounded_number_of_records() {
    let database = Builder::new().create_with_backend(Disk::default()).unwrap();
    let at = |now: Timestamp, work: &dyn Fn(&mut Tables<'_>) -> Result<(), redb::Error>| {
        let transaction = database.begin_write().unwrap();
        work(&mut Tables::open(&transaction, now, Format::default()).unwrap()).unwrap();
        transaction.commit().unwrap();
    };
    let many = u64::try_from(MAX_SWEPT_RECORDS).unwrap() * 2 + 50;
    at(NOW, &|tables| {
        for number in 0..many {
            tables.put_grant(&record(number.into(), NOW))?;
            tables.append_to_feed(GrantId(u128::from(number).to_be_bytes()))?;
        }
        Ok(())
    });
    let later = NOW.after(Duration::from_hours(2));
    for sweeps in 1..=3 {
        at(later, &|tables| tables.sweep(MAX_SWEPT_RECORDS));
        let left = many.saturating_sub(sweeps * u64::try_from(MAX_SWEPT_RECORDS).unwrap());
        assert_eq!(counts(&database).unwrap(), [left, left, left * 4, left.max(1)]);
    }
    assert!(!has_expired(&database, later).unwrap());
}

#[tokio::test]
async fn the_file_is_compacted_at_the_start_after_a_flood() {
    let (disk, clock) = (Disk::default(), Clock::manual(NOW));
    let store = Arc::new(Embedded::on(disk.database(), clock.clone(), Format::default()).unwrap());
    for generation in 0..15 {
        write(&store, generation, clock.now()).await;
    }
    clock.advance(LIFETIME / 2);
    let kept = record(u128::MAX, clock.now());
    store.create_grant(kept.clone()).await.unwrap();
    clock.advance(LIFETIME / 2);
    wait_until_swept(&store, clock.now()).await;
    let flooded = disk.length();
    assert!(flooded > 8 << 20, "{flooded}");
    drop(store);
    let store = Embedded::on(disk.database(), clock.clone(), Format::default()).unwrap();
    assert!(disk.length() < flooded / 8, "{} of {flooded}", disk.length());
    assert_eq!(store.grant(kept.id).await.unwrap(), Some(kept));
}
