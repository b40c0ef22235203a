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
    let (used, free) = (stats.stored_bytes() + stats.metadata_bytes(), stats.fragmented_bytes());
    if used + free < WORTH_IT || free / 3 < used {
        return Ok(());
    }
    let started = Instant::now();
    database.compact()?;
    let millis = started.elapsed().as_millis();
    tracing::info!(
        used,
        was = used + free,
        millis,
        "the embedded store's file was mostly free and is short again"
    );
    Ok(())
}
