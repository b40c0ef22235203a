//! Keys, and the hash that a grant is. What stands between braces in a key picks its slot in a Cluster.

use crate::base::clock::Timestamp;
use crate::base::encoding;
use crate::store::{Format, GrantId, GrantRecord, IndexKey, Key, Unavailable, owners};
use std::collections::HashMap;

/// Where Redis says which format it has.
pub(super) const FORMAT: &str = "mcp:format";
/// The feed's entries and its ends.
pub(super) const FEED: [&str; 2] = ["mcp:{feed}:entries", "mcp:{feed}:ends"];

/// A hash as it comes from Redis.
pub(super) type Hash = HashMap<String, Vec<u8>>;

/// The key of a record of this kind.
pub(super) fn key(kind: &str, key: Key) -> String {
    format!("mcp:{kind}:{{{}}}", encoding::encode(key.0))
}

/// The key of a counter, in the slot of its group. A flood makes many of them: half of each digest is enough.
pub(super) fn counter_key(group: Key, counter: Key) -> String {
    let half = |key: Key| encoding::encode(&key.0[..16]);
    format!("mcp:count:{{{}}}:{}", half(group), half(counter))
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
pub(super) fn owner_key((kind, owner): (IndexKey, Key)) -> String {
    key(kind.as_str(), owner)
}

/// The names and values of a grant's hash, but for its times, which are Redis' own.
pub(super) fn encode(record: &GrantRecord, format: Format) -> Vec<(&'static str, Vec<u8>)> {
    let number = |number: u64| number.to_string().into_bytes();
    vec![
        ("version", number(format.writes.into())),
        ("generation", number(record.generation.into())),
        ("previous", record.previous.map(|previous| number(previous.into())).unwrap_or_default()),
        ("owners", owners::encode(&record.owners)),
        ("sealed", record.sealed.clone()),
    ]
}

/// The grant; `None` when there is none.
pub(super) fn decode(id: GrantId, hash: Hash, format: Format) -> Result<Option<GrantRecord>, Unavailable> {
    let Some(written) = hash.get("version") else { return Ok(None) };
    let written = std::str::from_utf8(written).ok().and_then(|written| written.parse().ok());
    format.reads(written.unwrap_or(u8::MAX))?;
    let unreadable = || Unavailable(format!("the record of the grant {id} is damaged"));
    decode_known(id, hash).map(Some).ok_or_else(unreadable)
}

fn decode_known(id: GrantId, mut hash: Hash) -> Option<GrantRecord> {
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
