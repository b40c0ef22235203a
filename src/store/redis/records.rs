//! Redis keys, and the hash of a grant. The part of a key in braces selects its slot in a Cluster.

use crate::base::clock::Timestamp;
use crate::base::encoding;
use crate::store::{Format, GrantId, GrantRecord, IndexEntry, Key, Unavailable, index_entries};
use std::collections::HashMap;

/// Key of the store's format.
pub(super) const FORMAT: &str = "mcp:format";
/// Keys of the revocation feed: its entries, and the numbers of its first and last one.
pub(super) const FEED: [&str; 2] = ["mcp:{feed}:entries", "mcp:{feed}:ends"];

/// Hash as Redis returns it: fields by name.
pub(super) type Hash = HashMap<String, Vec<u8>>;

/// Key of a record of this kind.
pub(super) fn key(kind: &str, key: Key) -> String {
    format!("mcp:{kind}:{{{}}}", encoding::encode(key.0))
}

/// Key of a counter, in the slot of its group. It holds half of each digest, since a flood creates many counters.
pub(super) fn counter_key(group: Key, counter: Key) -> String {
    let half = |key: Key| encoding::encode(&key.0[..16]);
    format!("mcp:count:{{{}}}:{}", half(group), half(counter))
}

/// Key of a grant.
pub(super) fn grant_key(id: GrantId) -> String {
    format!("mcp:grant:{{{id}}}")
}

/// Key of a grant's tombstone, in the slot of the grant.
pub(super) fn tombstone_key(id: GrantId) -> String {
    format!("mcp:ended:{{{id}}}")
}

/// Key of the grants with an index entry.
pub(super) fn index_key(entry: IndexEntry) -> String {
    key(entry.kind.as_str(), entry.key)
}

/// Encodes a grant as the fields of its hash, except for the times, which the script takes from Redis' clock.
pub(super) fn encode(record: &GrantRecord, format: Format) -> Vec<(&'static str, Vec<u8>)> {
    let number = |number: u64| number.to_string().into_bytes();
    vec![
        ("version", number(format.writes.into())),
        ("generation", number(record.generation.into())),
        ("previous", record.previous.map(|previous| number(previous.into())).unwrap_or_default()),
        ("owners", index_entries::encode(&record.index_entries)),
        ("sealed", record.sealed.clone()),
    ]
}

/// Decodes a grant; `None` when the hash is empty.
///
/// # Errors
/// Its format is unknown, or it is damaged.
pub(super) fn decode(id: GrantId, hash: Hash, format: Format) -> Result<Option<GrantRecord>, Unavailable> {
    let Some(written) = hash.get("version") else { return Ok(None) };
    let written = std::str::from_utf8(written).ok().and_then(|written| written.parse().ok());
    format.reads(written.unwrap_or(u8::MAX))?;
    let unreadable = || Unavailable::Damaged(id);
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
        index_entries: index_entries::decode(hash.get("owners")?)?.0,
        sealed: hash.remove("sealed")?,
    })
}
