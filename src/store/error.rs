//! Errors of the store.

use super::GrantId;
use super::redis::RedisFailure;
use std::sync::Arc;
use thiserror::Error;

/// Error of an operation of the store. Its result is unknown: a write may have happened. The text, for the log, contains
/// no password, because Redis does not repeat it.
#[derive(Debug, Clone, Error)]
pub enum Unavailable {
    /// Redis cannot be reached, did not respond in time, or returned an error.
    #[error("the store is unavailable: Redis: {0}")]
    Redis(#[from] RedisFailure),
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
    FileRead(#[source] Arc<redb::Error>),
    /// The queue of the embedded store's writer is full, or the writer has ended.
    #[error("the store is unavailable: its write queue is full, or its thread has ended")]
    WriteQueueFull,
    /// A write of the same commit failed; its error is logged by the writer.
    #[error("the store is unavailable: a write failed")]
    WriteFailed,
    /// The disk of the embedded store is too slow.
    #[error("the store is unavailable: a write timed out")]
    WriteTimedOut,
    /// This release does not read the store's format.
    #[error("the store is unavailable: {0}")]
    StoreFormat(#[from] StoreFormat),
    /// Another release wrote a record.
    #[error("the store is unavailable: {0}")]
    RecordFormat(#[from] RecordFormat),
    /// A record of a known format has unknown content.
    #[error("the store is unavailable: a record has content that this release does not know: {0}")]
    RecordContent(#[source] Arc<serde_json::Error>),
    /// The record of a grant cannot be decoded.
    #[error("the store is unavailable: the record of the grant {0} is damaged")]
    Damaged(GrantId),
    /// Concurrent changes of the same grant won every attempt.
    #[error("the store is unavailable: concurrent changes of the same grant won every attempt")]
    Contended,
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

/// Error of opening a store: the cause, and what the operator can do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct OpenError(pub String);
