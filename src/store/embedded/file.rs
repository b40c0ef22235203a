//! The file: made for its owner alone, and never overwritten when it cannot be read.

use super::slot::Open;
use crate::store::OpenError;
use redb::{Builder, Database, DatabaseError};
use std::fmt::Display;
use std::fs::{self, DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const NAME: &str = "gateway.redb";
/// How much of the file is kept in memory, read or to be written.
const CACHE: usize = 64 * 1024 * 1024;

/// What opens the file in this folder, as often as it has to be; folder and file are made if they are missing.
pub(super) fn in_folder(folder: &Path) -> Result<Open, OpenError> {
    let path = folder.join(NAME);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| explain(&path, &error))?;
    // Made here, so that nobody else can read it from the start.
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    made.map_err(|error| explain(&path, &error))?;
    Ok(Box::new(move || open(&path)))
}

fn open(path: &PathBuf) -> Result<Database, OpenError> {
    let empty = fs::metadata(path).map_err(|error| explain(path, &error))?.len() == 0;
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    let opened = if empty { builder.create(path) } else { builder.open(path) };
    opened.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => explain(
            path,
            &"another gateway has it open: stop that one, give this one another DATA_DIR, or share Redis (KVS_ADDR)",
        ),
        error => explain(
            path,
            &format!("it cannot be read and was left as it is: restore or move it away ({error})"),
        ),
    })
}

fn explain(path: &Path, why: &dyn Display) -> OpenError {
    OpenError(format!("DATA_DIR: {}: {why}", path.display()))
}
