//! The bytes of a grant: what the store acts on, then what is sealed.

use crate::clock::Timestamp;
use crate::store::{GrantId, GrantRecord, owners};

/// The only format so far.
const VERSION: u8 = 1;

/// The bytes, without id and expiry, which stand elsewhere.
pub(super) fn encode(record: &GrantRecord) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(record.generation.to_be_bytes());
    bytes.push(u8::from(record.previous.is_some()));
    bytes.extend(record.previous.unwrap_or(0).to_be_bytes());
    bytes.extend(record.rotated_at.millis().to_be_bytes());
    bytes.extend(record.created_at.millis().to_be_bytes());
    bytes.extend(owners::encode(&record.owners));
    bytes.extend(&record.sealed);
    bytes
}

/// The grant; `None` for bytes of another version.
pub(super) fn decode(id: GrantId, expires_at: Timestamp, bytes: &[u8]) -> Option<GrantRecord> {
    let (version, bytes) = bytes.split_first()?;
    if *version != VERSION {
        tracing::error!(version, grant = %id, "a grant of another version: this binary is older than what wrote it");
        return None;
    }
    let (generation, bytes) = bytes.split_first_chunk()?;
    let (has_previous, bytes) = bytes.split_first()?;
    let (previous, bytes) = bytes.split_first_chunk()?;
    let (rotated_at, bytes) = bytes.split_first_chunk()?;
    let (created_at, bytes) = bytes.split_first_chunk()?;
    let (owners, sealed) = owners::decode(bytes)?;
    Some(GrantRecord {
        id,
        sealed: sealed.to_vec(),
        generation: u32::from_be_bytes(*generation),
        previous: (*has_previous == 1).then(|| u32::from_be_bytes(*previous)),
        rotated_at: Timestamp::from_millis(u64::from_be_bytes(*rotated_at)),
        created_at: Timestamp::from_millis(u64::from_be_bytes(*created_at)),
        expires_at,
        owners,
    })
}
