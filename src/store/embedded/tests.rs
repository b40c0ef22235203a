//! Simulated power failures at any time: synced writes survive, any part of the unsynced ones may, and all acknowledged
//! changes do.

use super::Embedded;
use super::disk::{Disk, Event, apply};
use crate::base::clock::{Clock, Timestamp};
use crate::base::entropy::Entropy;
use crate::store::{
    CodeUse, Cursor, Format, GrantId, GrantRecord, IndexEntry, IndexKind, Key, Reuse, Rotate, Rotation,
    Sealed,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_seconds(1_784_000_000);
/// Number of random selections of surviving unsynced writes that are tried at each sync.
const ORDERS: usize = 4;
const SECTOR: usize = 512;

fn clock() -> Clock {
    Clock::manual(NOW)
}

fn ends() -> Timestamp {
    NOW.after(Duration::from_hours(1))
}

fn id(number: usize) -> GrantId {
    GrantId((number as u128).to_be_bytes())
}

fn key(number: usize) -> Key {
    let mut key = [0; 32];
    key[16..].copy_from_slice(&id(number).0);
    Key(key)
}

fn entry(kind: IndexKind) -> IndexEntry {
    IndexEntry { kind, key: key(0) }
}

fn record(number: usize) -> GrantRecord {
    GrantRecord {
        id: id(number),
        sealed: vec![7; 900],
        generation: 1,
        previous: None,
        rotated_at: NOW,
        created_at: NOW,
        expires_at: ends(),
        index_entries: vec![entry(IndexKind::User)],
    }
}

fn rotate(presented: u32) -> Rotate {
    let grace = Duration::from_mins(1);
    Rotate { presented, grace, expires_at: ends(), on_reuse: Reuse::Revoke }
}

/// Step of the script; each one builds on the earlier ones.
#[derive(Clone, Copy)]
enum Step {
    Code(usize),
    UseCode(usize),
    Once(usize),
    Grant(usize),
    Rotate(usize, u32),
    Seal(usize),
    Revoke(usize),
    /// Write that need not be durable, between durable ones.
    Login(usize),
}

/// Logins with a code each; grants that stay active, that rotate twice, that are encrypted again, and that are revoked.
fn script() -> Vec<Step> {
    let login = |n: usize| {
        [Step::Login(n), Step::Code(n), Step::UseCode(n), Step::Grant(n), Step::Once(n), Step::Rotate(n, 1)]
    };
    let later = |n: usize| match n % 3 {
        0 => vec![Step::Rotate(n, 2)],
        1 => vec![Step::Revoke(n)],
        _ => vec![Step::Seal(n), Step::Login(n + 100)],
    };
    (1..=5).flat_map(|n| login(n).into_iter().chain(later(n))).collect()
}

async fn take(store: &Embedded, step: Step) {
    match step {
        Step::Login(n) => assert_eq!(store.put_login(key(n), vec![1; 300], ends()).await.unwrap(), None),
        Step::Code(n) => store.put_code(key(n), vec![2; 700], ends()).await.unwrap(),
        Step::UseCode(n) => assert_eq!(store.use_code(key(n)).await.unwrap(), Some(CodeUse::First)),
        Step::Once(n) => assert!(store.use_once(key(n), ends()).await.unwrap()),
        Step::Grant(n) => assert!(store.create_grant(record(n)).await.unwrap()),
        Step::Rotate(n, from) => {
            let rotation = store.rotate(id(n), rotate(from)).await.unwrap();
            assert!(matches!(rotation, Rotation::Fresh { .. }));
        }
        Step::Seal(n) => {
            let new = Sealed { sealed: vec![8; 900], index_entries: vec![entry(IndexKind::Client)] };
            assert!(store.replace_sealed(id(n), &[7; 900], new).await.unwrap());
        }
        Step::Revoke(n) => assert!(store.revoke(id(n)).await.unwrap()),
    }
}

/// Asserts the effect of an acknowledged step, unless a later one may have changed it.
async fn assert_effect(store: &Embedded, step: Step, later: &[Step]) {
    let ends = |n| later.iter().any(|step| matches!(step, Step::Revoke(other) if *other == n));
    let used = |n| later.iter().any(|step| matches!(step, Step::UseCode(other) if *other == n));
    match step {
        Step::Login(_) => {}
        Step::Code(n) if used(n) => {}
        Step::Code(n) => assert!(store.code(key(n)).await.unwrap().is_some(), "code {n} is lost"),
        Step::UseCode(n) => {
            assert_eq!(store.use_code(key(n)).await.unwrap(), Some(CodeUse::Again), "code {n} works twice");
        }
        Step::Once(n) => assert!(!store.use_once(key(n), self::ends()).await.unwrap(), "{n} works twice"),
        Step::Grant(n) | Step::Rotate(n, _) | Step::Seal(n) if ends(n) => {}
        Step::Grant(n) => assert!(store.grant(id(n)).await.unwrap().is_some(), "grant {n} is lost"),
        Step::Rotate(n, from) => {
            let generation = store.grant(id(n)).await.unwrap().unwrap().generation;
            assert!(generation > from, "rotation {from} of grant {n} is lost");
        }
        Step::Seal(n) => {
            let record = store.grant(id(n)).await.unwrap().unwrap();
            assert_eq!((record.sealed[0], record.index_entries[0].kind), (8, IndexKind::Client));
            assert!(!store.grants_of(entry(IndexKind::User), 99).await.unwrap().contains(&id(n)));
        }
        Step::Revoke(n) => {
            assert!(store.grant(id(n)).await.unwrap().is_none(), "grant {n} lives again");
            assert!(store.revoked_since(Cursor(0)).await.unwrap().ids.contains(&id(n)));
            assert!(!store.create_grant(record(n)).await.unwrap(), "grant {n} could be made again");
        }
    }
}

/// Runs the script; returns the events on the disk.
async fn run(script: &[Step]) -> Vec<Event> {
    let disk = Disk::default();
    let store = Embedded::on(disk.database(), clock(), Format::default()).unwrap();
    disk.acknowledged(0);
    for (number, step) in script.iter().enumerate() {
        take(&store, *step).await;
        disk.acknowledged(number + 1);
    }
    // The database is not closed: the power fails.
    disk.log()
}

/// Returns the content of the disk after a power failure that follows these events: all synced writes, and the unsynced
/// ones that `keeps` selects. A change of the length is treated as a write.
fn after_power_cut(events: &[Event], mut keeps: impl FnMut() -> Kept) -> Vec<u8> {
    let (mut disk, mut unsynced) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::Sync => unsynced.drain(..).for_each(|event| put(&mut disk, event, Kept::Whole)),
            Event::FailedSync => unsynced.clear(),
            event => unsynced.push(event),
        }
    }
    for event in unsynced {
        put(&mut disk, event, keeps());
    }
    disk
}

fn put(disk: &mut Vec<u8>, event: &Event, kept: Kept) {
    match (event, kept) {
        (Event::Write { at, bytes }, Kept::Whole) => apply(disk, *at, bytes),
        // A disk writes sectors atomically, but not pages.
        (Event::Write { at, bytes }, Kept::Torn) => {
            let half = bytes.len().div_ceil(2 * SECTOR) * SECTOR;
            apply(disk, *at, &bytes[..half.min(bytes.len())]);
        }
        (Event::Length(length), Kept::Whole | Kept::Torn) => disk.resize(*length, 0),
        _ => {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Whole,
    Torn,
    Not,
}

#[tokio::test]
async fn a_power_failure_at_any_sync_loses_no_acknowledged_change() {
    let (script, chance) = (script(), Entropy::seeded(1));
    let events = run(&script).await;
    let syncs = events.iter().enumerate().filter(|(_, event)| matches!(event, Event::Sync));
    let cuts: Vec<usize> = syncs.map(|(position, _)| position).collect();
    assert!(cuts.len() > script.len() / 2, "the script syncs: {}", cuts.len());
    for cut in cuts {
        // Just before the sync, and when it has returned.
        for until in [cut, cut + 1] {
            let events = &events[..until];
            for order in 0..ORDERS {
                let disk = after_power_cut(events, || match (order, chance.bytes::<1>()[0] % 4) {
                    (0, _) | (2.., 0 | 1) => Kept::Not,
                    (1, _) | (2.., 2) => Kept::Whole,
                    _ => Kept::Torn,
                });
                assert_acknowledged(disk, &script, events).await;
            }
        }
    }
}

async fn assert_acknowledged(disk: Vec<u8>, script: &[Step], events: &[Event]) {
    let acknowledged = events.iter().rev().find_map(|event| match event {
        Event::Acknowledged(steps) => Some(*steps),
        _ => None,
    });
    // Until the first start is complete there is nothing to find.
    let Some(acknowledged) = acknowledged else { return };
    let store = Embedded::on(Disk::with_content(disk).database(), clock(), Format::default()).unwrap();
    // The next step may have been committed without being acknowledged.
    let later = &script[..script.len().min(acknowledged + 1)];
    for (position, step) in script[..acknowledged].iter().enumerate() {
        assert_effect(&store, *step, &later[position + 1..]).await;
    }
}

#[tokio::test]
async fn a_write_is_not_acknowledged_after_a_failed_sync() {
    let disk = Disk::default();
    let store = Arc::new(Embedded::on(disk.database(), clock(), Format::default()).unwrap());
    for number in 1..=40 {
        assert!(store.create_grant(record(2 * number)).await.unwrap());
    }
    // These grants sort between the existing ones, so that both share pages that the disk then loses.
    disk.fail_next_sync();
    let mut refused = JoinSet::new();
    for number in 1..=40 {
        let store = Arc::clone(&store);
        refused.spawn(async move { store.create_grant(record(2 * number + 1)).await });
    }
    assert!(refused.join_all().await.iter().any(Result::is_err));
    while store.create_grant(record(usize::MAX)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let left = after_power_cut(&disk.log(), || Kept::Not);
    let found = Embedded::on(Disk::with_content(left).database(), clock(), Format::default()).unwrap();
    for acknowledged in (1..=40).map(|number| 2 * number).chain([usize::MAX]) {
        assert!(found.grant(id(acknowledged)).await.unwrap().is_some(), "grant {acknowledged} is lost");
    }
}
