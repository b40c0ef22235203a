//! Embedded store: one redb file, and one writer thread that commits queued writes as a group.

mod backend;
mod code_uses;
mod compaction;
mod database;
#[cfg(test)]
mod disk;
mod file;
mod reads;
mod records;
mod sweep;
mod tables;
mod user_checks;
mod writer;

use super::rotation::{self, Step};
use super::{
    Counter, Cursor, Feed, Format, GrantId, GrantRecord, IndexEntry, Key, OpenError, Reuse, Rotate, Rotation,
    Sealed, Unavailable,
};
use crate::base::clock::{Clock, Timestamp};
use crate::base::entropy::Entropy;
use code_uses::CodeUses;
use database::DatabaseHandle;
use std::path::Path;
use std::sync::Arc;
use tables::{Kind, revoke};
use writer::{Durable, Writer};

/// Store in one file.
pub struct Embedded {
    database: Arc<DatabaseHandle>,
    writer: Writer,
    code_uses: Arc<CodeUses>,
    clock: Clock,
    format: Format,
}

impl Embedded {
    /// Opens the file in this folder, or creates it.
    pub(super) fn open(
        folder: &Path,
        clock: Clock,
        entropy: &Entropy,
        format: Format,
    ) -> Result<Self, OpenError> {
        Self::on(DatabaseHandle::new(file::in_folder(folder, entropy)?)?, clock, format)
    }

    /// Store on an open database.
    fn on(database: DatabaseHandle, clock: Clock, format: Format) -> Result<Self, OpenError> {
        let database = Arc::new(database);
        let format = database.with(|database| tables::negotiate_format(database, format))?;
        let writer =
            Writer::start(Arc::clone(&database), clock.clone(), format).map_err(OpenError::Thread)?;
        Ok(Self { database, writer, code_uses: Arc::default(), clock, format })
    }

    /// Clock of this process, the only one that uses the file.
    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns whether the file fails, which has been logged.
    pub(super) fn is_failing(&self) -> bool {
        self.writer.is_failing()
    }

    /// Formats that are read and written.
    pub(super) const fn format(&self) -> Format {
        self.format
    }

    pub(super) async fn put_login(
        &self,
        key: Key,
        sealed: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<Option<Vec<u8>>, Unavailable> {
        self.writer
            .write(Durable::No, move |tables| {
                let kept = tables.get(Kind::Login, &key.0)?;
                if kept.is_none() {
                    tables.put(Kind::Login, &key.0, expires_at, &sealed)?;
                }
                Ok(kept.map(|(_, sealed)| sealed))
            })
            .await
    }

    pub(super) async fn take_login(&self, key: Key) -> Result<Option<Vec<u8>>, Unavailable> {
        self.writer
            .write(Durable::Yes, move |tables| {
                let kept = tables.get(Kind::Login, &key.0)?;
                let Some((expires_at, sealed)) = kept.filter(|(_, sealed)| !sealed.is_empty()) else {
                    return Ok(None);
                };
                tables.put(Kind::Login, &key.0, expires_at, &[])?;
                Ok(Some(sealed))
            })
            .await
    }

    pub(super) async fn put_code(
        &self,
        key: Key,
        sealed: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<(), Unavailable> {
        self.writer
            .write(Durable::Yes, move |tables| {
                tables.put(Kind::Code, &key.0, expires_at, &[&[0], &*sealed].concat())
            })
            .await
    }

    #[expect(clippy::unused_async, reason = "a read takes a microsecond; the verb is async in every backend")]
    pub(super) async fn code(&self, key: Key) -> Result<Option<Vec<u8>>, Unavailable> {
        let now = self.clock.now();
        let found = self.database.read(|file| reads::read(file, Kind::Code, &key.0, now))?;
        Ok(found.and_then(|(_, value)| value.split_first().map(|(_, sealed)| sealed.to_vec())))
    }

    pub(super) async fn create_grant(&self, record: GrantRecord) -> Result<bool, Unavailable> {
        self.writer
            .write(Durable::Yes, move |tables| {
                if tables.get(Kind::Tombstone, &record.id.0)?.is_some() {
                    return Ok(false);
                }
                if tables.get(Kind::Grant, &record.id.0)?.is_none() {
                    tables.put_grant(&record)?;
                }
                Ok(true)
            })
            .await
    }

    #[expect(clippy::unused_async, reason = "a read takes a microsecond; the verb is async in every backend")]
    pub(super) async fn grant(&self, id: GrantId) -> Result<Option<GrantRecord>, Unavailable> {
        self.database.read(|file| reads::read_grant(file, id, self.clock.now(), self.format))
    }

    pub(super) async fn rotate(&self, id: GrantId, rotate: Rotate) -> Result<Rotation, Unavailable> {
        self.writer
            .write(Durable::Yes, move |tables| {
                let mut record = match tables.grant(id)? {
                    Ok(Some(record)) => record,
                    Ok(None) => return Ok(Ok(Rotation::Gone)),
                    Err(unreadable) => return Ok(Err(unreadable)),
                };
                let now = tables.now();
                Ok(Ok(match rotation::apply(&mut record, &rotate, now) {
                    Step::Fresh => {
                        tables.put_grant(&record)?;
                        Rotation::Fresh { record }
                    }
                    Step::Same => Rotation::Same { record },
                    Step::Unknown => Rotation::Unknown,
                    Step::Reused => {
                        if rotate.on_reuse == Reuse::Revoke {
                            revoke(tables, id)?;
                        }
                        Rotation::Reused
                    }
                }))
            })
            .await
            .flatten()
    }

    pub(super) async fn replace_sealed(
        &self,
        id: GrantId,
        old: &[u8],
        new: Sealed,
    ) -> Result<bool, Unavailable> {
        let old = old.to_vec();
        self.writer
            .write(Durable::Yes, move |tables| {
                let Ok(Some(mut record)) = tables.grant(id)? else { return Ok(false) };
                if record.sealed != old {
                    return Ok(false);
                }
                (record.sealed, record.index_entries) = (new.sealed, new.index_entries);
                tables.delete_grant(id)?;
                tables.put_grant(&record)?;
                Ok(true)
            })
            .await
    }

    pub(super) async fn revoke(&self, id: GrantId) -> Result<bool, Unavailable> {
        self.writer.write(Durable::Yes, move |tables| revoke(tables, id)).await
    }

    #[expect(clippy::unused_async, reason = "a read takes microseconds; the verb is async in every backend")]
    pub(super) async fn revoked_since(&self, cursor: Cursor) -> Result<Feed, Unavailable> {
        self.database.read(|file| reads::read_feed(file, cursor))
    }

    #[expect(clippy::unused_async, reason = "a read takes microseconds; the verb is async in every backend")]
    pub(super) async fn grants_of(
        &self,
        entry: IndexEntry,
        limit: usize,
    ) -> Result<Vec<GrantId>, Unavailable> {
        let now = self.clock.now();
        self.database.read(|file| reads::read_grants_of(file, entry, limit, now))
    }

    pub(super) async fn use_once(&self, key: Key, expires_at: Timestamp) -> Result<bool, Unavailable> {
        self.writer
            .write(Durable::Yes, move |tables| {
                let is_first = tables.get(Kind::Once, &key.0)?.is_none();
                if is_first {
                    tables.put(Kind::Once, &key.0, expires_at, &[])?;
                }
                Ok(is_first)
            })
            .await
    }

    pub(super) async fn count(
        &self,
        _group: Key,
        counters: Vec<Counter>,
        window_ends: Timestamp,
    ) -> Result<Option<usize>, Unavailable> {
        self.writer
            .write(Durable::No, move |tables| {
                let mut counts = Vec::new();
                for (index, Counter { key, limit }) in counters.iter().enumerate() {
                    let counted = tables.get(Kind::Counter, &key.0)?;
                    let count =
                        counted.and_then(|(_, value)| value.try_into().ok()).map_or(0, u64::from_be_bytes);
                    if count >= u64::from(*limit) {
                        return Ok(Some(index));
                    }
                    counts.push((key.0, count + 1));
                }
                for (key, count) in counts {
                    tables.put(Kind::Counter, &key, window_ends, &count.to_be_bytes())?;
                }
                Ok(None)
            })
            .await
    }

    pub(super) async fn lease(
        &self,
        key: Key,
        holder: Key,
        expires_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        self.writer
            .write(Durable::No, move |tables| {
                let is_free = tables.get(Kind::Lease, &key.0)?.is_none_or(|(_, current)| current == holder.0);
                if is_free {
                    tables.put(Kind::Lease, &key.0, expires_at, &holder.0)?;
                }
                Ok(is_free)
            })
            .await
    }

    pub(super) async fn release(&self, key: Key, holder: Key) -> Result<(), Unavailable> {
        self.writer
            .write(Durable::No, move |tables| {
                if tables.get(Kind::Lease, &key.0)?.is_some_and(|(_, current)| current == holder.0) {
                    tables.delete(Kind::Lease, &key.0)?;
                }
                Ok(())
            })
            .await
    }

    pub(super) async fn ping(&self) -> Result<(), Unavailable> {
        self.writer.write(Durable::No, |_| Ok(())).await
    }
}

#[cfg(test)]
mod tests;
