//! Simulated disk for tests: it records unsynced writes separately, and can lose them, be full, or fail.

use super::backend::SyncGuard;
use super::database::{DatabaseHandle, OpenDatabase};
use crate::store::OpenError;
use parking_lot::{Mutex, MutexGuard};
use redb::{Builder, StorageBackend};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const BLOCK_BYTES: usize = 4096;

/// Event on a disk; events are recorded in order.
#[derive(Clone)]
pub(super) enum Event {
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    Length(usize),
    Sync,
    /// Unsynced writes are lost, but still read back.
    FailedSync,
    /// This many steps of the test's script had been acknowledged.
    Acknowledged(usize),
}

/// Disk; its clones share their state.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Blocks that were written to: as in a sparse file, the others take no space.
    used: BTreeSet<usize>,
    max_blocks: Option<usize>,
    error: Option<ErrorKind>,
    fails_next_sync: bool,
    is_stalled: bool,
    log: Vec<Event>,
}

impl Disk {
    /// Disk with this content.
    pub(super) fn with_content(bytes: Vec<u8>) -> Self {
        let used = (0..bytes.len().div_ceil(BLOCK_BYTES)).collect();
        Self(Arc::new(Mutex::new(State { bytes, used, ..State::default() })))
    }

    /// Opens the database on this disk.
    pub(super) fn database(&self) -> DatabaseHandle {
        let (disk, sync_failed) = (self.clone(), Arc::default());
        let open: OpenDatabase = Box::new(move || {
            let opened = Builder::new().create_with_backend(SyncGuard::new(disk.clone(), &sync_failed));
            opened.map_err(|error| OpenError::Tables(error.into()))
        });
        DatabaseHandle::new(open).unwrap()
    }

    /// Limits the disk to the blocks in use and this many more.
    pub(super) fn limit_space(&self, more: usize) {
        let mut state = self.0.lock();
        state.max_blocks = Some(state.used.len() + more);
    }

    /// Removes the limit.
    pub(super) fn remove_limit(&self) {
        self.0.lock().max_blocks = None;
    }

    /// Makes every access fail with this error, or none.
    pub(super) fn set_error(&self, error: Option<ErrorKind>) {
        self.0.lock().error = error;
    }

    /// Makes the next sync of a commit fail and lose its writes.
    pub(super) fn fail_next_sync(&self) {
        self.0.lock().fails_next_sync = true;
    }

    /// Makes syncs wait, until it is called with `false`.
    pub(super) fn stall(&self, is_stalled: bool) {
        self.0.lock().is_stalled = is_stalled;
    }

    pub(super) fn length(&self) -> usize {
        self.0.lock().bytes.len()
    }

    /// Records how many steps of the test's script are acknowledged.
    pub(super) fn acknowledged(&self, steps: usize) {
        self.0.lock().log.push(Event::Acknowledged(steps));
    }

    /// Events so far.
    pub(super) fn log(&self) -> Vec<Event> {
        self.0.lock().log.clone()
    }

    fn checked_state(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.0.lock();
        match state.error {
            Some(kind) => Err(kind.into()),
            None => Ok(state),
        }
    }
}

impl State {
    /// Returns whether the header of the file is among the unsynced writes.
    fn is_committing(&self) -> bool {
        let unsynced = self.log.iter().rev().take_while(|event| !matches!(event, Event::Sync));
        unsynced.into_iter().any(|event| matches!(event, Event::Write { at: 0, .. }))
    }

    /// Allocates the blocks of this range.
    fn allocate(&mut self, range: &Range<usize>) -> Result<()> {
        for block in range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES) {
            let is_full = self.max_blocks.is_some_and(|max| self.used.len() >= max);
            if is_full && !self.used.contains(&block) {
                return Err(ErrorKind::StorageFull.into());
            }
            self.used.insert(block);
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        Ok(self.checked_state()?.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let (state, at) = (self.checked_state()?, usize::try_from(offset).map_err(Error::other)?);
        let bytes = state.bytes.get(at..at + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let (mut state, len) = (self.checked_state()?, usize::try_from(len).map_err(Error::other)?);
        state.bytes.resize(len, 0);
        state.used.split_off(&len.div_ceil(BLOCK_BYTES));
        state.log.push(Event::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        while self.0.lock().is_stalled {
            thread::sleep(Duration::from_millis(1));
        }
        let mut state = self.checked_state()?;
        if state.fails_next_sync && state.is_committing() {
            state.fails_next_sync = false;
            state.log.push(Event::FailedSync);
            return Err(ErrorKind::Other.into());
        }
        state.log.push(Event::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let (mut state, at) = (self.checked_state()?, usize::try_from(offset).map_err(Error::other)?);
        state.allocate(&(at..at + data.len()))?;
        apply(&mut state.bytes, at, data);
        state.log.push(Event::Write { at, bytes: data.to_vec() });
        Ok(())
    }
}

/// Writes bytes at an offset; extends the disk.
pub(super) fn apply(disk: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if disk.len() < at + bytes.len() {
        disk.resize(at + bytes.len(), 0);
    }
    disk[at..at + bytes.len()].copy_from_slice(bytes);
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}
