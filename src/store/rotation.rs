//! Rule of refresh token rotation, without I/O. The Lua script of the Redis backend implements the same rule; the
//! conformance suite tests both.

use super::{GrantRecord, Rotate};
use crate::base::clock::Timestamp;

/// Result of applying a presented token to a grant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The record now has a new generation.
    Fresh,
    /// The newest generation is returned once more.
    Same,
    /// The generation was never issued, or is the largest possible one.
    Unknown,
    /// The generation was used or skipped before.
    Reused,
}

/// Applies one use of a token to an active grant.
///
/// 1. The newest generation: a new one is created.
/// 2. The previous one, while the newest is unused: within the grace period the newest is returned again; later a new
///    one is created, and the skipped one counts as used.
/// 3. Any older one: it is being reused.
pub(super) fn apply(record: &mut GrantRecord, rotate: &Rotate, now: Timestamp) -> Step {
    if rotate.presented > record.generation {
        return Step::Unknown;
    }
    let is_newest = rotate.presented == record.generation;
    let is_previous = record.previous == Some(rotate.presented);
    if !is_newest && !is_previous {
        return Step::Reused;
    }
    if is_previous && now.since(record.rotated_at) <= rotate.grace {
        return Step::Same;
    }
    let Some(next) = record.generation.checked_add(1) else { return Step::Unknown };
    record.generation = next;
    record.previous = Some(rotate.presented);
    record.rotated_at = now;
    record.expires_at = rotate.expires_at;
    Step::Fresh
}
