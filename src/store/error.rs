//! Errors of the store.

use super::GrantId;
use super::redis::RedisFailure;
use crate::settings::data_dir::DataDirError;
use bb8_redis::redis::RedisError;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// Error of an operation of the store. Its result is unknown: a write may have happened. The text, for the log, contains
/// the cause, which is therefore no source, and no password, because Redis does not repeat it.
#[derive(Debug, Clone, Error)]
pub enum Unavailable {
    /// Redis cannot be reached, did not respond in time, or returned an error.
    #[error("the store is unavailable: Redis: {0}")]
    Redis(RedisFailure),
    /// Redis was unavailable a moment ago, and responds again.
    #[error("the store is unavailable: Redis was unavailable for a moment")]
    Reconnecting,
    /// Too many calls wait for a connection to Redis.
    #[error("the store is unavailable: too many calls are waiting for a connection to Redis")]
    TooManyCalls,
    /// All connections to Redis stayed in use.
    #[error("the store is unavailable: no connection to Redis became free within 500 ms")]
    NoFreeConnection,
    /// A primary that no replica follows could lose the change.
    #[error("the store is unavailable: no replica of Redis acknowledged the change")]
    NotReplicated,
    /// The embedded store's file cannot be read.
    #[error("the store is unavailable: its file cannot be read: {0}")]
    FileRead(Arc<redb::Error>),
    /// The queue of the embedded store's writer is full.
    #[error("the store is unavailable: its write queue is full")]
    WriteQueueFull,
    /// The thread of the embedded store's writer has ended.
    #[error("the store is unavailable: its writer thread has ended")]
    WriterEnded,
    /// A write of the same commit failed; its error is logged by the writer.
    #[error("the store is unavailable: a write failed")]
    WriteFailed,
    /// The disk of the embedded store is too slow.
    #[error("the store is unavailable: a write timed out")]
    WriteTimedOut,
    /// This release does not read the store's format.
    #[error("the store is unavailable: {0}")]
    StoreFormat(StoreFormat),
    /// Another release wrote a record.
    #[error("the store is unavailable: {0}")]
    RecordFormat(RecordFormat),
    /// A record of a known format has unknown content.
    #[error("the store is unavailable: a record has content that this release does not know: {0}")]
    RecordContent(Arc<serde_json::Error>),
    /// The record of a grant cannot be decoded.
    #[error("the store is unavailable: the record of the grant {0} is damaged")]
    Damaged(GrantId),
    /// Concurrent changes of the same grant won every attempt.
    #[error("the store is unavailable: concurrent changes of the same grant won every attempt")]
    Contended,
}

impl From<RedisFailure> for Unavailable {
    fn from(error: RedisFailure) -> Self {
        Self::Redis(error)
    }
}

impl From<redb::Error> for Unavailable {
    fn from(error: redb::Error) -> Self {
        Self::FileRead(Arc::new(error))
    }
}

impl From<StoreFormat> for Unavailable {
    fn from(error: StoreFormat) -> Self {
        Self::StoreFormat(error)
    }
}

impl From<RecordFormat> for Unavailable {
    fn from(error: RecordFormat) -> Self {
        Self::RecordFormat(error)
    }
}

/// Error of a record whose format this release does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a record has format {found}, and this release reads {oldest} to {newest}: another release wrote it")]
pub struct RecordFormat {
    /// Format of the record.
    pub found: u8,
    /// Oldest format that this release reads.
    pub oldest: u8,
    /// Newest format that this release reads.
    pub newest: u8,
}

/// Error of a store whose format this release does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StoreFormat {
    /// A newer release has switched on its format.
    #[error(
        "the store has format {found}, and this release reads up to {newest}: run the release that switched it on \
         (STORE_FORMAT={found}) or a newer one, or go back to a copy from before"
    )]
    TooNew {
        /// Format of the store.
        found: u8,
        /// Newest format that this release reads.
        newest: u8,
    },
    /// Only older releases read the format.
    #[error(
        "the store has format {found}, and this release reads from {oldest} on: run the release before it with \
         STORE_FORMAT={oldest} first"
    )]
    TooOld {
        /// Format of the store.
        found: u8,
        /// Oldest format that this release reads.
        oldest: u8,
    },
}

/// Error of opening a store: the text says what the operator can do, the sources have the cause.
#[derive(Debug, Error)]
pub enum OpenError {
    /// `DATA_DIR` cannot be used.
    #[error(transparent)]
    Directory(#[from] DataDirError),
    /// The file cannot be created.
    #[error("DATA_DIR: {} cannot be created: check the mode of the folder and the space on its disk", .path.display())]
    NotCreated {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system or of the database.
        source: redb::Error,
    },
    /// The file cannot be accessed.
    #[error("DATA_DIR: {} cannot be read: check its mode and that of the folder", .path.display())]
    Inaccessible {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Another process has the file open.
    #[error(
        "DATA_DIR: {}: another gateway has it open: stop that one, give this one another DATA_DIR, or share Redis \
         (KVS_ADDR)",
        .path.display()
    )]
    InUse {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file is damaged, or of another format.
    #[error("DATA_DIR: {}: it cannot be read and was left as it is: {remedy}", .path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Advice to the operator.
        remedy: &'static str,
        /// Error of the database.
        source: redb::DatabaseError,
    },
    /// The tables of the file cannot be used.
    #[error("DATA_DIR: the tables of the store cannot be read or created")]
    Tables(#[from] redb::Error),
    /// The thread of the embedded store cannot be started.
    #[error("the thread of the store cannot be started")]
    Thread(#[source] io::Error),
    /// TLS for Redis cannot be set up.
    #[error("KVS_ADDR: TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The client of a Cluster cannot be set up.
    #[error("KVS_ADDR: the client of the Cluster cannot be set up")]
    Cluster(#[from] RedisError),
    /// This release does not read the store's format.
    #[error("DATA_DIR: {0}")]
    StoreFormat(StoreFormat),
    /// This release does not know the format in `STORE_FORMAT`.
    #[error(
        "STORE_FORMAT is {wanted}, and this release knows the formats {oldest} to {newest}: unset it, or run a release \
         that knows {wanted}"
    )]
    UnknownFormat {
        /// Format in `STORE_FORMAT`.
        wanted: u8,
        /// Oldest format that this release reads.
        oldest: u8,
        /// Newest format that this release reads.
        newest: u8,
    },
}
