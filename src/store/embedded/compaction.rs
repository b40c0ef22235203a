//! Compaction of a file that is mostly free, for example after a flood of requests, at start-up. Until then its free pages
//! are reused.

use redb::Database;
use std::time::Instant;

/// Size of a file below which it is not compacted.
const MIN_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Compacts the file if it is large and mostly free. The time that it takes depends on the used part.
pub(super) fn compact_if_sparse(database: &mut Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let stats = transaction.stats()?;
    transaction.abort()?;
    // Pages that were freed recently still count as allocated.
    let allocated = stats.allocated_pages() * u64::try_from(stats.page_size()).unwrap_or(u64::MAX);
    let (used, length) =
        (stats.stored_bytes() + stats.metadata_bytes(), allocated + stats.fragmented_bytes());
    if length < MIN_FILE_BYTES || length / 4 < used {
        return Ok(());
    }
    let started = Instant::now();
    database.compact()?;
    let millis = started.elapsed().as_millis();
    tracing::info!(used, length, millis, "the embedded store's file was mostly free and has been compacted");
    Ok(())
}
