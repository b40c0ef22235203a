//! The rule of refresh rotation, pure. The Lua script of the Redis backend says the same; the conformance suite
//! holds both to it.

use super::{GrantRecord, Rotate};
use crate::base::clock::Timestamp;

/// What a presented token means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The record now has a new generation.
    Fresh,
    /// The newest generation is the answer, once more.
    Same,
    /// The generation was never issued here, or is the last that there can be.
    Unknown,
    /// The generation was used or skipped before.
    Reused,
}

/// Applies one use of a token to a living grant.
///
/// 1. The newest: a new generation is made from it.
/// 2. The one that made the newest, while that is unused: within the grace period the same again; later a fresh
///    one, and the skipped one counts as used from now on.
/// 3. Any older: it was used before.
pub(super) fn apply(record: &mut GrantRecord, rotate: &Rotate, now: Timestamp) -> Step {
    if rotate.presented > record.generation {
        return Step::Unknown;
    }
    let newest = rotate.presented == record.generation;
    let last = record.previous == Some(rotate.presented);
    if !newest && !last {
        return Step::Reused;
    }
    if last && now.since(record.rotated_at) <= rotate.grace {
        return Step::Same;
    }
    let Some(next) = record.generation.checked_add(1) else { return Step::Unknown };
    record.generation = next;
    record.previous = Some(rotate.presented);
    record.rotated_at = now;
    record.expires_at = rotate.expires_at;
    Step::Fresh
}
