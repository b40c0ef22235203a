//! Binary encoding of a grant's index entries, the same in every backend.

use super::{IndexEntry, IndexKind, Key};

/// Encodes the number of entries, then each of them.
pub(super) fn encode(entries: &[IndexEntry]) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(entries.len()).unwrap_or(u8::MAX)];
    for entry in entries.iter().take(u8::MAX.into()) {
        bytes.push(code(entry.kind));
        bytes.extend(entry.key.0);
    }
    bytes
}

/// Decodes entries; also returns the bytes that follow them. `None` when the bytes are malformed.
pub(super) fn decode(bytes: &[u8]) -> Option<(Vec<IndexEntry>, &[u8])> {
    let (count, mut bytes) = bytes.split_first()?;
    let mut entries = Vec::new();
    for _ in 0..*count {
        let (written, rest) = bytes.split_first()?;
        let (key, rest) = rest.split_first_chunk()?;
        let kind = IndexKind::ALL.into_iter().find(|known| code(*known) == *written)?;
        entries.push(IndexEntry { kind, key: Key(*key) });
        bytes = rest;
    }
    Some((entries, bytes))
}

/// Byte of a kind in keys and records.
pub(super) const fn code(kind: IndexKind) -> u8 {
    match kind {
        IndexKind::User => b'u',
        IndexKind::Email => b'e',
        IndexKind::Client => b'c',
        IndexKind::Route => b'r',
    }
}
