use crate::base::clock::{Clock, Timestamp};
use crate::store::embedded::Embedded;
use crate::store::embedded::disk::Disk;
use crate::store::{CodeUse, Format, Key, Unavailable};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: Timestamp = Timestamp::from_seconds(1_784_000_000);
const CODE: Key = Key([1; 32]);

/// Store with a code.
async fn store_with_code(disk: &Disk) -> Arc<Embedded> {
    let store = Embedded::on(disk.database(), Clock::manual(NOW), Format::default()).unwrap();
    store.put_code(CODE, b"code".to_vec(), NOW.after(Duration::from_mins(1))).await.unwrap();
    Arc::new(store)
}

/// Uses the code as a client that tries again while the store is unavailable.
async fn use_with_retries(store: &Embedded) -> Option<CodeUse> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match store.use_code(CODE).await {
            Ok(used) => return used,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_use_whose_commit_failed_does_not_count() {
    let disk = Disk::default();
    let store = store_with_code(&disk).await;
    disk.fail_next_sync();
    assert!(matches!(store.use_code(CODE).await, Err(Unavailable::WriteFailed)));
    assert_eq!(use_with_retries(&store).await, Some(CodeUse::First));
    assert_eq!(store.use_code(CODE).await.unwrap(), Some(CodeUse::Again));
}

#[tokio::test]
async fn a_use_that_is_committed_after_its_timeout_does_not_count() {
    let disk = Disk::default();
    let store = store_with_code(&disk).await;
    disk.stall(true);
    let uses = tokio::join!(store.use_code(CODE), store.use_code(CODE));
    assert!(matches!(uses, (Err(Unavailable::WriteTimedOut), Err(Unavailable::WriteTimedOut))), "{uses:?}");
    disk.stall(false);
    assert_eq!(use_with_retries(&store).await, Some(CodeUse::First));
    assert_eq!(store.use_code(CODE).await.unwrap(), Some(CodeUse::Again));
}

#[tokio::test]
async fn a_failed_use_after_a_successful_one_does_not_free_the_code() {
    let disk = Disk::default();
    let store = store_with_code(&disk).await;
    assert_eq!(store.use_code(CODE).await.unwrap(), Some(CodeUse::First));
    disk.fail_next_sync();
    let _ = store.use_code(CODE).await;
    assert_eq!(use_with_retries(&store).await, Some(CodeUse::Again));
}

#[tokio::test]
async fn of_many_concurrent_retries_one_gets_the_code() {
    let disk = Disk::default();
    let store = store_with_code(&disk).await;
    disk.fail_next_sync();
    assert!(store.use_code(CODE).await.is_err());
    let retries: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { use_with_retries(&store).await })
        })
        .collect();
    let mut first = 0;
    for retry in retries {
        first += usize::from(retry.await.unwrap() == Some(CodeUse::First));
    }
    assert_eq!(first, 1);
}
