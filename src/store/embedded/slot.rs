//! The open database. After a fault of its disk redb refuses all work, so that it is closed then and opened again:
//! what was acknowledged is on the disk, and what was not has happened whole or not at all.

use super::compaction::compact_if_worth_it;
use crate::store::{OpenError, Unavailable};
use redb::{Database, ReadTransaction, ReadableDatabase as _};
use std::sync::{PoisonError, RwLock};

/// Opens the database, wherever its bytes are.
pub(super) type Open = Box<dyn Fn() -> Result<Database, OpenError> + Send + Sync>;

/// A database, or the place of one that could not be opened again yet.
pub(super) struct Slot {
    open: Open,
    database: RwLock<Option<Database>>,
}

impl Slot {
    /// Opens the database for the first time.
    pub(super) fn new(open: Open) -> Result<Self, OpenError> {
        let mut database = open()?;
        if let Err(error) = compact_if_worth_it(&mut database) {
            tracing::warn!(%error, "the embedded store's file could not be made shorter");
            drop(database);
            database = open()?;
        }
        Ok(Self { open, database: RwLock::new(Some(database)) })
    }

    /// Reads what the last commit left.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, Unavailable> {
        self.with(|database| read(&database.begin_read()?)).map_err(|error| {
            tracing::error!(%error, "the embedded store could not read");
            Unavailable(error.to_string())
        })
    }

    /// Works on the database, if it is open.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        work(database.as_ref().ok_or(redb::Error::DatabaseClosed)?)
    }

    /// Closes the database and opens it again; whether it is open now. For the one thread that writes: readers find
    /// it closed meanwhile, and wait for nothing.
    pub(super) fn reopen(&self) -> bool {
        drop(self.exchange(None));
        match (self.open)() {
            Ok(database) => {
                self.exchange(Some(database));
                true
            }
            Err(error) => {
                tracing::error!(%error, "the embedded store could not be opened again");
                false
            }
        }
    }

    fn exchange(&self, database: Option<Database>) -> Option<Database> {
        std::mem::replace(&mut *self.database.write().unwrap_or_else(PoisonError::into_inner), database)
    }
}

#[cfg(test)]
mod tests;
