//! The bytes below the database, and whether the system may show what the disk does not hold.
//!
//! After a failed fsync the system takes what was to be written for written: it is read as if it were on the disk,
//! and the next fsync says nothing of it. So the next one is made to mean all of the file.

use redb::{BackendError, StorageBackend};
use std::io::Result;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const CHUNK: usize = 256 * 1024;

type Locked<T> = std::result::Result<T, BackendError>;

/// A backend that remembers a failed fsync, also when the database is closed and opened again.
#[derive(Debug)]
pub(super) struct Watched<B> {
    inner: B,
    unsure: Arc<AtomicBool>,
}

impl<B: StorageBackend> Watched<B> {
    /// Watches `inner`; `unsure` belongs to all that ever stand for the same file.
    pub(super) fn new(inner: B, unsure: &Arc<AtomicBool>) -> Self {
        Self { inner, unsure: Arc::clone(unsure) }
    }

    /// Writes all that is read, so that it is to be written again. After a failed fsync the database is closed, and
    /// its first fsync comes before anybody else may write.
    fn write_again(&self) -> Result<()> {
        let (mut at, end, mut chunk) = (0, self.inner.len()?, vec![0; CHUNK]);
        while at < end {
            let size = usize::try_from(end - at).map_or(CHUNK, |left| left.min(CHUNK));
            self.inner.read(at, &mut chunk[..size])?;
            self.inner.write(at, &chunk[..size])?;
            at += size as u64;
        }
        Ok(())
    }
}

impl<B: StorageBackend> StorageBackend for Watched<B> {
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
        if self.unsure.load(Ordering::Relaxed) {
            tracing::warn!("the disk failed to sync: everything is written again");
            self.write_again()?;
        }
        let synced = self.inner.sync_data();
        self.unsure.store(synced.is_err(), Ordering::Relaxed);
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
