//! A file that a flood has made long is made short again at the next start. Until then its free room is used again.

use redb::Database;
use std::time::Instant;

/// A shorter file is not worth the time.
const WORTH_IT: u64 = 8 * 1024 * 1024;

/// Shortens the file, if it is long and most of it is free: the time that it takes goes by what is used.
pub(super) fn compact_if_worth_it(database: &mut Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let stats = transaction.stats()?;
    transaction.abort()?;
    // Pages that were given up lately still count as allocated.
    let allocated = stats.allocated_pages() * u64::try_from(stats.page_size()).unwrap_or(u64::MAX);
    let (used, length) =
        (stats.stored_bytes() + stats.metadata_bytes(), allocated + stats.fragmented_bytes());
    if length < WORTH_IT || length / 4 < used {
        return Ok(());
    }
    let started = Instant::now();
    database.compact()?;
    let millis = started.elapsed().as_millis();
    tracing::info!(used, length, millis, "the embedded store's file was mostly free and is short again");
    Ok(())
}
