//! A disk for tests: it keeps what was written but not synced apart, and can lose any of it, be full, or break.

use super::backend::Watched;
use super::slot::{Open, Slot};
use crate::store::OpenError;
use redb::{Builder, StorageBackend};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const BLOCK: usize = 4096;

/// What happened to a disk, in order.
#[derive(Clone)]
pub(super) enum Event {
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    Length(usize),
    Sync,
    /// What was not synced is lost, and shown all the same.
    FailedSync,
    /// So much of the test's script had been acknowledged.
    Acknowledged(usize),
}

/// A disk; its clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// The blocks that something was written to: as in a file system, the others take no room.
    used: BTreeSet<usize>,
    room: Option<usize>,
    fails: Option<ErrorKind>,
    fails_to_sync: bool,
    log: Vec<Event>,
}

impl Disk {
    /// A disk on which these bytes are.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        let used = (0..bytes.len().div_ceil(BLOCK)).collect();
        Self(Arc::new(Mutex::new(State { bytes, used, ..State::default() })))
    }

    /// The database on this disk.
    pub(super) fn slot(&self) -> Slot {
        let (disk, unsure) = (self.clone(), Arc::default());
        let open: Open = Box::new(move || {
            let opened = Builder::new().create_with_backend(Watched::new(disk.clone(), &unsure));
            opened.map_err(|error| OpenError(error.to_string()))
        });
        Slot::new(open).unwrap()
    }

    /// From now on no block more can be written to than are used already, and `more`.
    pub(super) fn is_full_but_for(&self, more: usize) {
        let mut state = self.state();
        state.room = Some(state.used.len() + more);
    }

    /// There is room again.
    pub(super) fn has_room(&self) {
        self.state().room = None;
    }

    /// From now on every access fails so, or none does.
    pub(super) fn fails(&self, fails: Option<ErrorKind>) {
        self.state().fails = fails;
    }

    /// The next sync of a commit fails, and what it was for is lost.
    pub(super) fn fails_to_sync_once(&self) {
        self.state().fails_to_sync = true;
    }

    pub(super) fn length(&self) -> usize {
        self.state().bytes.len()
    }

    /// Notes how far the test's script has come.
    pub(super) fn acknowledged(&self, steps: usize) {
        self.state().log.push(Event::Acknowledged(steps));
    }

    /// All that has happened.
    pub(super) fn log(&self) -> Vec<Event> {
        self.state().log.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn works(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        match state.fails {
            Some(kind) => Err(kind.into()),
            None => Ok(state),
        }
    }
}

impl State {
    /// Whether the head of the file is among what was not synced.
    fn is_committing(&self) -> bool {
        let unsynced = self.log.iter().rev().take_while(|event| !matches!(event, Event::Sync));
        unsynced.into_iter().any(|event| matches!(event, Event::Write { at: 0, .. }))
    }

    /// Takes room for the blocks of this range, as far as there is some.
    fn take_room(&mut self, range: &Range<usize>) -> Result<()> {
        for block in range.start / BLOCK..range.end.div_ceil(BLOCK) {
            let full = self.room.is_some_and(|room| self.used.len() >= room);
            if full && !self.used.contains(&block) {
                return Err(ErrorKind::StorageFull.into());
            }
            self.used.insert(block);
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        Ok(self.works()?.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let (state, at) = (self.works()?, usize::try_from(offset).map_err(Error::other)?);
        let bytes = state.bytes.get(at..at + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let (mut state, len) = (self.works()?, usize::try_from(len).map_err(Error::other)?);
        state.bytes.resize(len, 0);
        state.used.split_off(&len.div_ceil(BLOCK));
        state.log.push(Event::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.works()?;
        if state.fails_to_sync && state.is_committing() {
            state.fails_to_sync = false;
            state.log.push(Event::FailedSync);
            return Err(ErrorKind::Other.into());
        }
        state.log.push(Event::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let (mut state, at) = (self.works()?, usize::try_from(offset).map_err(Error::other)?);
        state.take_room(&(at..at + data.len()))?;
        apply(&mut state.bytes, at, data);
        state.log.push(Event::Write { at, bytes: data.to_vec() });
        Ok(())
    }
}

/// Writes bytes where they belong.
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
