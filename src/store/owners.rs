//! Binary encoding of a grant's owners (the keys it is indexed by), the same in every backend.

use super::{IndexKey, Key};

type Owners = Vec<(IndexKey, Key)>;

/// Encodes the number of owners, then each of them.
pub(super) fn encode(owners: &[(IndexKey, Key)]) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(owners.len()).unwrap_or(u8::MAX)];
    for (owner, key) in owners.iter().take(u8::MAX.into()) {
        bytes.push(code(*owner));
        bytes.extend(key.0);
    }
    bytes
}

/// Decodes owners; also returns the bytes that follow them. `None` when the bytes are malformed.
pub(super) fn decode(bytes: &[u8]) -> Option<(Owners, &[u8])> {
    let (count, mut bytes) = bytes.split_first()?;
    let mut owners = Owners::new();
    for _ in 0..*count {
        let (owner, rest) = bytes.split_first()?;
        let (key, rest) = rest.split_first_chunk()?;
        owners.push((IndexKey::ALL.into_iter().find(|known| code(*known) == *owner)?, Key(*key)));
        bytes = rest;
    }
    Some((owners, bytes))
}

/// Byte of an owner's kind in keys and records.
pub(super) const fn code(owner: IndexKey) -> u8 {
    match owner {
        IndexKey::User => b'u',
        IndexKey::Email => b'e',
        IndexKey::Client => b'c',
        IndexKey::Route => b'r',
    }
}
