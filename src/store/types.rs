//! What goes into a store and comes out.

use crate::base::clock::Timestamp;
use crate::base::encoding;
use std::fmt;
use std::time::Duration;

/// A key: a digest, a MAC or a random id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub [u8; 32]);

/// Names a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(pub [u8; 16]);

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encoding::encode(self.0))
    }
}

/// What a grant can be looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKey {
    /// The user's `sub`.
    User,
    /// The user's e-mail address.
    Email,
    /// The client.
    Client,
    /// The route.
    Route,
}

impl IndexKey {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::User, Self::Email, Self::Client, Self::Route];

    /// A short name for keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Email => "email",
            Self::Client => "client",
            Self::Route => "route",
        }
    }
}

/// A grant as the store sees it: what it must act on is open, the rest is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    /// Its name.
    pub id: GrantId,
    /// All that the store needs not see.
    pub sealed: Vec<u8>,
    /// The newest refresh token's generation.
    pub generation: u32,
    /// The generation whose use made the newest one.
    pub previous: Option<u32>,
    /// When that was.
    pub rotated_at: Timestamp,
    /// When the grant was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// What it can be looked up by.
    pub owners: Vec<(IndexKey, Key)>,
}

/// What callers seal and digest of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// All that the store needs not see.
    pub sealed: Vec<u8>,
    /// What it can be looked up by.
    pub owners: Vec<(IndexKey, Key)>,
}

/// A use of a refresh token.
#[derive(Debug, Clone, Copy)]
pub struct Rotate {
    /// The generation of the token.
    pub presented: u32,
    /// For how long the last token is answered with the same successor.
    pub grace: Duration,
    /// The grant's new end.
    pub expires_at: Timestamp,
    /// What a used token does.
    pub on_reuse: Reuse,
}

/// What the use of an older token does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Ends the grant: either the thief or the victim holds the newer one.
    Revoke,
    /// Is refused, and nothing else.
    Refuse,
}

/// What a use of a refresh token led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// A new generation was made.
    Fresh {
        /// The grant, with it.
        record: GrantRecord,
    },
    /// The last token came again, soon: its successor is the newest still.
    Same {
        /// The grant, unchanged.
        record: GrantRecord,
    },
    /// A generation that this store never issued: it may have lost it. Nothing changed.
    Unknown,
    /// An older or skipped token.
    Reused,
    /// There is no such living grant.
    Gone,
}

/// What the use of a code was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeUse {
    /// Nobody used it before.
    First,
    /// Somebody did.
    Again,
}

/// A place in the revocation feed; 0 is its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub u64);

/// A page of the revocation feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Revoked grants, oldest first.
    pub ids: Vec<GrantId>,
    /// Where the next page begins.
    pub cursor: Cursor,
    /// Entries between the asked cursor and this page are gone: look every grant up.
    pub reset: bool,
}

/// The store does not answer. Holds the cause, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store does not answer: {}", self.0)
    }
}

impl std::error::Error for Unavailable {}

/// Why a store cannot be used, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenError(pub String);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}
