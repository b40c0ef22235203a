//! Damaged files: rejected with an error, and not modified.

use super::fixture::StoreFixture;
use super::id;
use gateway::base::clock::Clock;
use gateway::base::entropy::Entropy;
use gateway::store::{Format, Store};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const GRANTS: u8 = 50;
const PAGE: usize = 4096;
/// Offsets of redb's format version, one for each of its two newest commits.
const FORMATS: [usize; 2] = [64, 192];

/// File with fifty grants, closed cleanly.
async fn file() -> (StoreFixture, Vec<u8>) {
    let mut fixture = StoreFixture::embedded();
    for number in 1..=GRANTS {
        fixture.store.create_grant(fixture.record(number)).await.unwrap();
    }
    fixture = fixture.reopened();
    let bytes = fixture.with_closed_file(|path| fs::read(path).unwrap());
    (fixture, bytes)
}

/// Opens a file with these bytes. Returns the error, in which case the file must be unchanged, or the number of its
/// grants.
async fn open(fixture: &StoreFixture, bytes: &[u8]) -> Result<usize, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.redb");
    fs::write(&path, bytes).unwrap();
    match Store::embedded(folder.path(), fixture.clock.clone(), &Entropy::system(), Format::default()) {
        Err(refused) => {
            assert!(fs::read(&path).unwrap() == bytes, "modified, although {refused}");
            Err(refused.to_string())
        }
        Ok(store) => {
            let mut found = 0;
            for number in 1..=GRANTS {
                found += usize::from(store.grant(id(number)).await.unwrap().is_some());
            }
            Ok(found)
        }
    }
}

#[tokio::test]
async fn a_truncated_extended_or_zeroed_file_is_rejected_and_unchanged() {
    let (fixture, whole) = file().await;
    assert_eq!(open(&fixture, &whole).await, Ok(usize::from(GRANTS)));
    let lengths =
        [1, 64, 320, PAGE - 1, PAGE, 2 * PAGE, whole.len() / 2, whole.len() - PAGE, whole.len() - 1];
    let shortened = lengths.map(|length| whole[..length].to_vec());
    let others = [vec![0; whole.len()], [&whole[..], &[0; 5000]].concat()];
    for bytes in shortened.iter().chain(&others) {
        let refused = open(&fixture, bytes).await.unwrap_err();
        assert!(refused.contains("was left as it is: restore or move it away"), "{refused}");
    }
}

#[tokio::test]
async fn an_older_redb_format_is_rejected_with_advice() {
    let (fixture, whole) = file().await;
    for format in [2, 4] {
        let mut bytes = whole.clone();
        for at in FORMATS {
            bytes[at] = format;
        }
        let refused = open(&fixture, &bytes).await.unwrap_err();
        assert!(refused.contains("was left as it is: run the release that wrote it"), "{refused}");
    }
}

#[tokio::test]
async fn a_damaged_page_is_detected_or_loses_nothing() {
    let (fixture, whole) = file().await;
    let (mut refused, heads, pages) = (0, (0..320).step_by(8), (PAGE..whole.len()).step_by(PAGE / 2));
    for at in heads.chain(pages) {
        let mut bytes = whole.clone();
        for byte in &mut bytes[at..at + 8] {
            *byte ^= 0x55;
        }
        match open(&fixture, &bytes).await {
            Ok(found) => assert_eq!(found, usize::from(GRANTS), "damaged at {at}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 10, "{refused}");
}

#[tokio::test]
async fn the_file_and_its_folder_are_accessible_to_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _store = Store::embedded(&data, Clock::system(), &Entropy::system(), Format::default()).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("gateway.redb"))), (0o700, 0o600));
}
