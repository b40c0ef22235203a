//! Database file: readable by its owner only, and never overwritten when it cannot be read.

use super::backend::SyncGuard;
use super::database::OpenDatabase;
use crate::base::entropy::Entropy;
use crate::settings::data_dir::{self, TemporaryFile};
use crate::store::OpenError;
use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageError};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const FILE_NAME: &str = "gateway.redb";
/// Size of redb's header.
const HEADER_BYTES: u64 = 4096;
/// Size of redb's page cache for reads and writes.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Returns the function that opens the file in this folder. Creates folder and file if they are missing.
pub(super) fn in_folder(folder: &Path, entropy: &Entropy) -> Result<OpenDatabase, OpenError> {
    let path = folder.join(FILE_NAME);
    data_dir::prepare(folder)?;
    if !path.try_exists().map_err(|source| inaccessible(&path, source))? {
        create(&path, entropy).map_err(|source| OpenError::NotCreated { path: path.clone(), source })?;
    }
    let sync_failed = Arc::default();
    Ok(Box::new(move || open(&path, &sync_failed)))
}

/// Creates a database in a temporary file, and renames it.
fn create(path: &Path, entropy: &Entropy) -> Result<(), redb::Error> {
    let beside = TemporaryFile::new(path, entropy)?;
    Database::create(&beside.path)?.close()?;
    beside.link_to(path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn open(path: &Path, sync_failed: &Arc<AtomicBool>) -> Result<Database, OpenError> {
    let header = header(path).map_err(|source| inaccessible(path, source))?;
    let opened = || {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut builder = Builder::new();
        // The checksum of every page is verified at each start: damage is found now rather than in use.
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        builder.create_with_backend(SyncGuard::new(FileBackend::new(file)?, sync_failed))
    };
    opened().map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path: path.to_owned() },
        source => {
            restore_header(path, &header, &source);
            OpenError::Unreadable { path: path.to_owned(), remedy: remedy(&source), source }
        }
    })
}

/// Advice to the operator about an error.
fn remedy(error: &DatabaseError) -> &'static str {
    match error {
        DatabaseError::UpgradeRequired(_) => "run the release that wrote it",
        DatabaseError::Storage(StorageError::Corrupted(text)) if text.contains("file format version") => {
            "run the release that wrote it"
        }
        _ => "restore or move it away",
    }
}

/// Reads the header, which redb changes when it opens a file.
fn header(path: &Path) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    fs::File::open(path)?.take(HEADER_BYTES).read_to_end(&mut header)?;
    Ok(header)
}

/// Restores the header that redb changed before it found the file unreadable.
fn restore_header(path: &Path, header: &[u8], error: &DatabaseError) {
    let is_unreadable = match error {
        DatabaseError::Storage(StorageError::Corrupted(_)) => true,
        DatabaseError::Storage(StorageError::Io(error)) => error.kind() == ErrorKind::UnexpectedEof,
        _ => false,
    };
    if is_unreadable && self::header(path).is_ok_and(|current| current != header) {
        let written = OpenOptions::new().write(true).open(path).and_then(|file| file.write_all_at(header, 0));
        if let Err(error) = written {
            tracing::warn!(%error, "restoring the header of the damaged file failed: it is now marked for repair");
        }
    }
}

fn inaccessible(path: &Path, source: io::Error) -> OpenError {
    OpenError::Inaccessible { path: path.to_owned(), source }
}
