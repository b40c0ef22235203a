//! The embedded store: one redb file, one writer thread that commits what has come in as a group.

mod backend;
mod compaction;
#[cfg(test)]
mod disk;
mod file;
mod reads;
mod records;
mod slot;
mod sweep;
mod tables;
mod writer;

use super::rotation::{self, Step};
use super::{
    CodeUse, Cursor, Feed, Format, GrantId, GrantRecord, IndexKey, Key, OpenError, Reuse, Rotate, Rotation,
    Sealed, TOMBSTONE_MILLIS, Unavailable,
};
use crate::base::clock::{Clock, Timestamp};
use crate::base::entropy::Entropy;
use slot::Slot;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tables::{Kind, Tables};
use writer::{Durable, Writer};

/// State in one file.
pub struct Embedded {
    slot: Arc<Slot>,
    writer: Writer,
    clock: Clock,
    format: Format,
}

impl Embedded {
    /// Opens or makes the file.
    pub(super) fn open(
        folder: &Path,
        (clock, entropy): (Clock, &Entropy),
        format: Format,
    ) -> Result<Self, OpenError> {
        let slot = Slot::new(file::in_folder(folder, entropy)?)?;
        Self::on(slot, clock, format)
            .map_err(|OpenError(why)| OpenError(format!("DATA_DIR: {}: {why}", folder.display())))
    }

    /// The store in this database.
    fn on(slot: Slot, clock: Clock, format: Format) -> Result<Self, OpenError> {
        let slot = Arc::new(slot);
        let agreed = slot.with(|database| tables::agree(database, format));
        let format = agreed.map_err(|error| OpenError(error.to_string()))?.map_err(OpenError)?;
        let writer = Writer::start(Arc::clone(&slot), (clock.clone(), format));
        let writer = writer.map_err(|error| OpenError(error.to_string()))?;
        Ok(Self { slot, writer, clock, format })
    }

    /// This process's clock, which is the only one of the file.
    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What is read and written.
    pub(super) const fn format(&self) -> Format {
        self.format
    }

    async fn write<T: Send + 'static>(
        &self,
        durable: Durable,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.writer.write(durable, work).await
    }

    pub(super) async fn put_login(
        &self,
        key: Key,
        sealed: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<Option<Vec<u8>>, Unavailable> {
        self.write(Durable::No, move |tables| {
            let kept = tables.get(Kind::Login, &key.0)?;
            if kept.is_none() {
                tables.put((Kind::Login, &key.0), expires_at, &sealed)?;
            }
            Ok(kept.map(|(_, sealed)| sealed))
        })
        .await
    }

    pub(super) async fn take_login(&self, key: Key) -> Result<Option<Vec<u8>>, Unavailable> {
        self.write(Durable::Yes, move |tables| {
            let kept = tables.get(Kind::Login, &key.0)?;
            let Some((expires_at, sealed)) = kept.filter(|(_, sealed)| !sealed.is_empty()) else {
                return Ok(None);
            };
            tables.put((Kind::Login, &key.0), expires_at, &[])?;
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
        self.write(Durable::Yes, move |tables| {
            tables.put((Kind::Code, &key.0), expires_at, &[&[0], &*sealed].concat())
        })
        .await
    }

    #[expect(clippy::unused_async, reason = "a read takes a microsecond; the verb is async in every backend")]
    pub(super) async fn code(&self, key: Key) -> Result<Option<Vec<u8>>, Unavailable> {
        let now = self.clock.now();
        let found = self.slot.read(|file| reads::read(file, (Kind::Code, &key.0), now))?;
        Ok(found.and_then(|(_, value)| value.split_first().map(|(_, sealed)| sealed.to_vec())))
    }

    pub(super) async fn use_code(&self, key: Key) -> Result<Option<CodeUse>, Unavailable> {
        self.write(Durable::Yes, move |tables| {
            let Some((expires_at, mut value)) = tables.get(Kind::Code, &key.0)? else { return Ok(None) };
            let Some(used) = value.first_mut() else { return Ok(None) };
            if *used == 1 {
                return Ok(Some(CodeUse::Again));
            }
            *used = 1;
            tables.put((Kind::Code, &key.0), expires_at, &value)?;
            Ok(Some(CodeUse::First))
        })
        .await
    }

    pub(super) async fn create_grant(&self, record: GrantRecord) -> Result<bool, Unavailable> {
        self.write(Durable::Yes, move |tables| {
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
        self.slot.read(|file| reads::read_grant(file, id, (self.clock.now(), self.format))).flatten()
    }

    pub(super) async fn rotate(&self, id: GrantId, rotate: Rotate) -> Result<Rotation, Unavailable> {
        self.write(Durable::Yes, move |tables| {
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
                        end(tables, id)?;
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
        self.write(Durable::Yes, move |tables| {
            let Ok(Some(mut record)) = tables.grant(id)? else { return Ok(false) };
            if record.sealed != old {
                return Ok(false);
            }
            (record.sealed, record.owners) = (new.sealed, new.owners);
            tables.delete_grant(id)?;
            tables.put_grant(&record)?;
            Ok(true)
        })
        .await
    }

    pub(super) async fn revoke(&self, id: GrantId) -> Result<bool, Unavailable> {
        self.write(Durable::Yes, move |tables| end(tables, id)).await
    }

    #[expect(clippy::unused_async, reason = "a read takes microseconds; the verb is async in every backend")]
    pub(super) async fn revoked_since(&self, cursor: Cursor) -> Result<Feed, Unavailable> {
        self.slot.read(|file| reads::read_feed(file, cursor))
    }

    #[expect(clippy::unused_async, reason = "a read takes microseconds; the verb is async in every backend")]
    pub(super) async fn grants_of(
        &self,
        owner: IndexKey,
        key: Key,
        limit: usize,
    ) -> Result<Vec<GrantId>, Unavailable> {
        let now = self.clock.now();
        self.slot.read(|file| reads::read_owned(file, (owner, key), limit, now))
    }

    pub(super) async fn use_once(&self, key: Key, expires_at: Timestamp) -> Result<bool, Unavailable> {
        self.write(Durable::Yes, move |tables| {
            let first = tables.get(Kind::Once, &key.0)?.is_none();
            if first {
                tables.put((Kind::Once, &key.0), expires_at, &[])?;
            }
            Ok(first)
        })
        .await
    }

    pub(super) async fn count(
        &self,
        _group: Key,
        counters: Vec<(Key, u32)>,
        window_ends: Timestamp,
    ) -> Result<Option<usize>, Unavailable> {
        self.write(Durable::No, move |tables| {
            let mut counts = Vec::new();
            for (index, (key, limit)) in counters.iter().enumerate() {
                let counted = tables.get(Kind::Counter, &key.0)?;
                let count =
                    counted.and_then(|(_, value)| value.try_into().ok()).map_or(0, u64::from_be_bytes);
                if count >= u64::from(*limit) {
                    return Ok(Some(index));
                }
                counts.push((key.0, count + 1));
            }
            for (key, count) in counts {
                tables.put((Kind::Counter, &key), window_ends, &count.to_be_bytes())?;
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
        self.write(Durable::No, move |tables| {
            let free = tables.get(Kind::Lease, &key.0)?.is_none_or(|(_, has)| has == holder.0);
            if free {
                tables.put((Kind::Lease, &key.0), expires_at, &holder.0)?;
            }
            Ok(free)
        })
        .await
    }

    pub(super) async fn release(&self, key: Key, holder: Key) -> Result<(), Unavailable> {
        self.write(Durable::No, move |tables| {
            if tables.get(Kind::Lease, &key.0)?.is_some_and(|(_, has)| has == holder.0) {
                tables.delete(Kind::Lease, &key.0)?;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn ping(&self) -> Result<(), Unavailable> {
        self.write(Durable::No, |_| Ok(())).await
    }
}

/// Ends a grant and says so; whether it was alive.
fn end(tables: &mut Tables<'_>, id: GrantId) -> Result<bool, redb::Error> {
    let alive = !matches!(tables.grant(id)?, Ok(None));
    tables.delete_grant(id)?;
    tables.put((Kind::Tombstone, &id.0), tables.now().after(Duration::from_millis(TOMBSTONE_MILLIS)), &[])?;
    tables.append_to_feed(id)?;
    Ok(alive)
}

#[cfg(test)]
mod tests;
