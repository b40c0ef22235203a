//! The file: made for its owner alone, and never overwritten when it cannot be read.

use super::backend::Watched;
use super::slot::Open;
use crate::base::entropy::Entropy;
use crate::settings::data_dir::{self, Beside};
use crate::store::OpenError;
use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageError};
use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const NAME: &str = "gateway.redb";
const HEAD: u64 = 4096;
/// How much of the file is kept in memory, read or to be written.
const CACHE: usize = 64 * 1024 * 1024;

/// What opens the file in this folder, as often as it has to be; folder and file are made if they are missing.
pub(super) fn in_folder(folder: &Path, entropy: &Entropy) -> Result<Open, OpenError> {
    let path = folder.join(NAME);
    data_dir::prepare(folder).map_err(OpenError)?;
    if !path.try_exists().map_err(|error| explain(&path, &error))? {
        make(&path, entropy).map_err(|error| explain(&path, &error))?;
    }
    let unsure = Arc::default();
    Ok(Box::new(move || open(&path, &unsure)))
}

/// Makes a database beside and puts it into place.
fn make(path: &Path, entropy: &Entropy) -> Result<(), redb::Error> {
    let beside = Beside::new(path, entropy)?;
    Database::create(&beside.path)?.close()?;
    beside.put(path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn open(path: &Path, unsure: &Arc<AtomicBool>) -> Result<Database, OpenError> {
    let head = head(path).map_err(|error| explain(path, &error))?;
    let opened = || {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut builder = Builder::new();
        // Every page is read and held against its checksum, at each start: a damaged one is found now or never.
        builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
        builder.create_with_backend(Watched::new(FileBackend::new(file)?, unsure))
    };
    opened().map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => explain(
            path,
            &"another gateway has it open: stop that one, give this one another DATA_DIR, or share Redis (KVS_ADDR)",
        ),
        error => {
            put_back(path, &head, &error);
            explain(path, &format!("it cannot be read and was left as it is: {} ({error})", remedy(&error)))
        }
    })
}

fn remedy(why: &DatabaseError) -> &'static str {
    match why {
        DatabaseError::UpgradeRequired(_) => "run the release that wrote it",
        DatabaseError::Storage(StorageError::Corrupted(what)) if what.contains("file format version") => {
            "run the release that wrote it"
        }
        _ => "restore or move it away",
    }
}

/// The first block, in which redb notes what it is about to do.
fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    fs::File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// Undoes what redb has noted in a file before it found that it can do nothing with it.
fn put_back(path: &Path, head: &[u8], why: &DatabaseError) {
    let unreadable = match why {
        DatabaseError::Storage(StorageError::Corrupted(_)) => true,
        DatabaseError::Storage(StorageError::Io(error)) => error.kind() == ErrorKind::UnexpectedEof,
        _ => false,
    };
    if unreadable && self::head(path).is_ok_and(|now| now != head) {
        let written = OpenOptions::new().write(true).open(path).and_then(|file| file.write_all_at(head, 0));
        if let Err(error) = written {
            tracing::warn!(%error, "the damaged file now says that it needs a repair");
        }
    }
}

fn explain(path: &Path, why: &dyn Display) -> OpenError {
    OpenError(format!("DATA_DIR: {}: {why}", path.display()))
}
