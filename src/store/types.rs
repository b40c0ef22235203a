//! Parameters and results of the store's operations.

use crate::base::clock::Timestamp;
use crate::base::ids::{GrantId, Key};
use std::time::Duration;

/// Kind of an index entry: what grants are found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// Okta's `sub` of the user.
    User,
    /// The user's e-mail address.
    Email,
    /// The client.
    Client,
    /// The route.
    Route,
}

impl IndexKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::User, Self::Email, Self::Client, Self::Route];

    /// Short name, used in keys of the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Email => "email",
            Self::Client => "client",
            Self::Route => "route",
        }
    }
}

/// Entry of a grant in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// Property by which the grant is found.
    pub kind: IndexKind,
    /// Digest of the user, the client or the route.
    pub key: Key,
}

/// Grant as the store sees it: the fields that the store needs are in the clear, the rest is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    /// Id of the grant.
    pub id: GrantId,
    /// Encrypted content.
    pub sealed: Vec<u8>,
    /// Generation of the newest refresh token.
    pub generation: u32,
    /// Generation whose use created the newest one.
    pub previous: Option<u32>,
    /// Time of the last rotation.
    pub rotated_at: Timestamp,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of expiry.
    pub expires_at: Timestamp,
    /// Entries in the index.
    pub index_entries: Vec<IndexEntry>,
}

/// New sealed content of a grant, and its index entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Encrypted content.
    pub sealed: Vec<u8>,
    /// Entries in the index.
    pub index_entries: Vec<IndexEntry>,
}

/// Counter of requests in a window, with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Key of the counter in this window.
    pub key: Key,
    /// Number of requests that it admits.
    pub limit: u32,
}

/// Use of a refresh token.
#[derive(Debug, Clone, Copy)]
pub struct Rotate {
    /// Generation of the presented token.
    pub presented: u32,
    /// Grace period: for this long the previous token leads to the same successor.
    pub grace: Duration,
    /// New expiry of the grant.
    pub expires_at: Timestamp,
    /// Consequence of a reused token.
    pub on_reuse: Reuse,
}

/// Consequence of the reuse of an older refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Revokes the grant: either a thief or the victim holds the newer token.
    Revoke,
    /// Refuses the token, and leaves the grant as it is.
    Refuse,
}

/// Result of the use of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// A new generation was created.
    Fresh {
        /// The grant with its new generation.
        record: GrantRecord,
    },
    /// The previous token was presented again within the grace period: its successor is still the newest.
    Same {
        /// The grant, unchanged.
        record: GrantRecord,
    },
    /// The store never issued that generation, or has lost it. Nothing changed.
    Unknown,
    /// An older or skipped token was presented.
    Reused,
    /// No such grant is active.
    Gone,
}

/// Result of the use of an authorization code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeUse {
    /// It was not used before.
    First,
    /// It was used before.
    Again,
}

/// Position in the revocation feed; 0 is its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub u64);

/// Page of the revocation feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Revoked grants, oldest first.
    pub ids: Vec<GrantId>,
    /// Start of the next page.
    pub cursor: Cursor,
    /// `true` if entries between the requested cursor and this page are missing: every cached grant is then read again.
    pub reset: bool,
}
