//! Keys, and the hash that a grant is. What stands between braces in a key picks its slot in a Cluster.

use crate::clock::Timestamp;
use crate::encoding;
use crate::store::{GrantId, GrantRecord, Key, Owner, owners};
use std::collections::HashMap;

/// The only format so far.
pub(super) const VERSION: &str = "1";
/// The feed's entries and its ends.
pub(super) const FEED: [&str; 2] = ["mcp:{feed}:entries", "mcp:{feed}:ends"];

/// A hash as it comes from Redis.
pub(super) type Hash = HashMap<String, Vec<u8>>;

/// The key of a record of this kind.
pub(super) fn key(kind: &str, key: Key) -> String {
    format!("mcp:{kind}:{{{}}}", encoding::encode(key.0))
}

/// The key of a grant.
pub(super) fn grant_key(id: GrantId) -> String {
    format!("mcp:grant:{{{id}}}")
}

/// The key of what remembers that a grant was ended; in the grant's slot.
pub(super) fn tombstone_key(id: GrantId) -> String {
    format!("mcp:ended:{{{id}}}")
}

/// The key of the grants of an owner.
pub(super) fn owner_key((kind, owner): (Owner, Key)) -> String {
    key(kind.as_str(), owner)
}

/// The names and values of a grant's hash.
pub(super) fn encode(record: &GrantRecord) -> Vec<(&'static str, Vec<u8>)> {
    let number = |number: u64| number.to_string().into_bytes();
    vec![
        ("version", VERSION.into()),
        ("generation", number(record.generation.into())),
        ("previous", record.previous.map(|previous| number(previous.into())).unwrap_or_default()),
        ("rotated_at", number(record.rotated_at.millis())),
        ("created_at", number(record.created_at.millis())),
        ("until", number(record.expires_at.millis())),
        ("owners", owners::encode(&record.owners)),
        ("sealed", record.sealed.clone()),
    ]
}

/// The grant; `None` when there is none, or one of another version.
pub(super) fn decode(id: GrantId, mut hash: Hash) -> Option<GrantRecord> {
    let version = hash.get("version")?;
    if version != VERSION.as_bytes() {
        tracing::error!(grant = %id, "a grant of another version: this binary is older than what wrote it");
        return None;
    }
    let text = |name| hash.get(name).and_then(|value| std::str::from_utf8(value).ok());
    let time = |name| text(name)?.parse().ok().map(Timestamp::from_millis);
    Some(GrantRecord {
        id,
        generation: text("generation")?.parse().ok()?,
        previous: match text("previous")? {
            "" => None,
            previous => Some(previous.parse().ok()?),
        },
        rotated_at: time("rotated_at")?,
        created_at: time("created_at")?,
        expires_at: time("until")?,
        owners: owners::decode(hash.get("owners")?)?.0,
        sealed: hash.remove("sealed")?,
    })
}
