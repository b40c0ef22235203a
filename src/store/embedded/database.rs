//! Database handle that reopens the file. After an I/O error redb rejects all further work, so that the database is closed
//! and opened again: acknowledged transactions are on disk, others have happened completely or not at all.

use super::compaction::compact_if_sparse;
use crate::store::{OpenError, Unavailable};
use parking_lot::RwLock;
use redb::{Database, ReadTransaction, ReadableDatabase as _};

/// Function that opens the database.
pub(super) type OpenDatabase = Box<dyn Fn() -> Result<Database, OpenError> + Send + Sync>;

/// Database, or none while it could not be opened again.
pub(super) struct DatabaseHandle {
    open: OpenDatabase,
    database: RwLock<Option<Database>>,
}

impl DatabaseHandle {
    /// Opens the database for the first time.
    pub(super) fn new(open: OpenDatabase) -> Result<Self, OpenError> {
        let mut database = open()?;
        if let Err(error) = compact_if_sparse(&mut database) {
            tracing::warn!(%error, "compacting the embedded store's file failed");
            drop(database);
            database = open()?;
        }
        Ok(Self { open, database: RwLock::new(Some(database)) })
    }

    /// Reads the state of the last commit.
    pub(super) fn read<T, E: Into<Unavailable>>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, E>,
    ) -> Result<T, Unavailable> {
        self.with(|database| {
            let transaction = database.begin_read().map_err(redb::Error::from)?;
            read(&transaction).map_err(Into::into)
        })
    }

    /// Returns whether the database is open.
    pub(super) fn is_open(&self) -> bool {
        self.database.read().is_some()
    }

    /// Runs `work` on the database, if it is open.
    pub(super) fn with<T, E: From<redb::Error>>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, E>,
    ) -> Result<T, E> {
        let database = self.database.read();
        work(database.as_ref().ok_or(redb::Error::DatabaseClosed)?)
    }

    /// Closes the database and opens it again. Only the writer thread calls this; meanwhile, reads fail at once.
    ///
    /// # Errors
    /// The file cannot be opened. The database stays closed.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        drop(self.swap(None));
        self.swap(Some((self.open)()?));
        Ok(())
    }

    fn swap(&self, database: Option<Database>) -> Option<Database> {
        std::mem::replace(&mut *self.database.write(), database)
    }
}

#[cfg(test)]
mod tests;
