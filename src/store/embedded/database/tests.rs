//! I/O errors of the disk: no acknowledged write is lost, and the store recovers when the disk does.

use crate::base::clock::{Clock, Timestamp};
use crate::store::embedded::Embedded;
use crate::store::embedded::disk::Disk;
use crate::store::{
    Format, GrantId, GrantRecord, IndexEntry, IndexKind, Key, Reuse, Rotate, Rotation, Unavailable,
};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

const NOW: Timestamp = Timestamp::from_seconds(1_784_000_000);

fn store(disk: &Disk) -> Embedded {
    Embedded::on(disk.database(), Clock::manual(NOW), Format::default()).unwrap()
}

fn id(number: usize) -> GrantId {
    GrantId((number as u128).to_be_bytes())
}

fn record(number: usize) -> GrantRecord {
    GrantRecord {
        id: id(number),
        sealed: vec![7; 2000],
        generation: 1,
        previous: None,
        rotated_at: NOW,
        created_at: NOW,
        expires_at: NOW.after(Duration::from_hours(1)),
        index_entries: vec![IndexEntry { kind: IndexKind::User, key: Key([1; 32]) }],
    }
}

/// Creates grants until the disk is full; returns how many were acknowledged.
async fn fill(store: &Embedded, from: usize) -> usize {
    for number in from..10_000 {
        if store.create_grant(record(number)).await.is_err() {
            return number;
        }
    }
    panic!("the disk does not fill up");
}

/// Retries an operation until it succeeds, for ten seconds at most.
async fn retry<T>(mut operation: impl AsyncFnMut() -> Result<T, Unavailable>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match operation().await {
            Ok(result) => return result,
            Err(error) => assert!(Instant::now() < deadline, "it does not recover: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn assert_all_found(store: &Embedded, acknowledged: usize) {
    for number in 0..acknowledged {
        let found = retry(async || store.grant(id(number)).await).await;
        assert!(found.is_some(), "grant {number} of {acknowledged} is lost");
    }
}

#[tokio::test]
async fn a_full_disk_fails_new_writes_loses_nothing_and_recovers() {
    let disk = Disk::default();
    let store = store(&disk);
    let mut acknowledged = fill_some(&store).await;
    for more in [0, 1, 7, 40] {
        disk.limit_space(more);
        acknowledged = fill(&store, acknowledged).await;
        let started = Instant::now();
        assert!(store.create_grant(record(acknowledged)).await.is_err());
        assert!(started.elapsed() < Duration::from_secs(2), "never a hang");
        assert_all_found(&store, acknowledged).await;
        disk.remove_limit();
        // The failed write has had no effect.
        assert!(retry(async || store.create_grant(record(acknowledged)).await).await);
        acknowledged += 1;
        assert_all_found(&store, acknowledged).await;
    }
    drop(store);
    assert_all_found(&self::store(&disk), acknowledged).await;
}

async fn fill_some(store: &Embedded) -> usize {
    for number in 0..50 {
        store.create_grant(record(number)).await.unwrap();
    }
    50
}

#[tokio::test]
async fn the_database_is_reopened_after_an_io_error() {
    let disk = Disk::default();
    let store = store(&disk);
    let acknowledged = fill_some(&store).await;
    for fault in [ErrorKind::Other, ErrorKind::TimedOut] {
        disk.set_error(Some(fault));
        assert!(store.revoke(id(0)).await.is_err());
        assert!(store.ping().await.is_err());
        disk.set_error(None);
        retry(async || store.ping().await).await;
        assert_all_found(&store, acknowledged).await;
    }
    let rotate = Rotate {
        presented: 1,
        grace: Duration::ZERO,
        expires_at: NOW.after(Duration::from_hours(1)),
        on_reuse: Reuse::Revoke,
    };
    assert!(matches!(store.rotate(id(0), rotate).await.unwrap(), Rotation::Fresh { .. }));
}

#[tokio::test]
async fn calls_fail_at_once_while_the_disk_fails() {
    let disk = Disk::default();
    let store = store(&disk);
    fill_some(&store).await;
    disk.set_error(Some(ErrorKind::Other));
    let started = Instant::now();
    for _ in 0..200 {
        assert!(store.revoke(id(0)).await.is_err());
        assert!(store.code(Key([1; 32])).await.is_err() || store.ping().await.is_err());
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
