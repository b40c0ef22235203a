//! Storage backend that handles a failed fsync.
//!
//! After a failed fsync, Linux marks the affected pages as clean: they are read as if they were on disk, and the next
//! fsync succeeds without them. So the whole file is written again before the next fsync.

use redb::{BackendError, StorageBackend};
use std::io::Result;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const CHUNK_BYTES: usize = 256 * 1024;

type Locked<T> = std::result::Result<T, BackendError>;

/// Backend that remembers a failed fsync, also while the database is closed and opened again.
#[derive(Debug)]
pub(super) struct SyncGuard<B> {
    inner: B,
    sync_failed: Arc<AtomicBool>,
}

impl<B: StorageBackend> SyncGuard<B> {
    /// Wraps `inner`; all backends of the same file share `sync_failed`.
    pub(super) fn new(inner: B, sync_failed: &Arc<AtomicBool>) -> Self {
        Self { inner, sync_failed: Arc::clone(sync_failed) }
    }

    /// Reads and writes the whole file, so that all its pages are written by the next fsync. After a failed fsync the
    /// database is closed, so that its first fsync comes before any other write.
    fn rewrite(&self) -> Result<()> {
        let (mut at, end, mut chunk) = (0, self.inner.len()?, vec![0; CHUNK_BYTES]);
        while at < end {
            let size = usize::try_from(end - at).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            self.inner.read(at, &mut chunk[..size])?;
            self.inner.write(at, &chunk[..size])?;
            at += size as u64;
        }
        Ok(())
    }
}

impl<B: StorageBackend> StorageBackend for SyncGuard<B> {
    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> Result<()> {
        if self.sync_failed.load(Ordering::Relaxed) {
            tracing::debug!("fsync failed before: writing the whole file again");
            self.rewrite()?;
        }
        let synced = self.inner.sync_data();
        self.sync_failed.store(synced.is_err(), Ordering::Relaxed);
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.inner.query_lock_range(start, end)
    }
}
