//! Binary encoding of a grant: the fields that the store uses, then the sealed content.

use crate::base::clock::Timestamp;
use crate::store::{Format, GrantId, GrantRecord, Unavailable, index_entries};

/// Encodes a grant without id and expiry, which are stored beside it.
pub(super) fn encode(record: &GrantRecord, format: Format) -> Vec<u8> {
    let mut bytes = vec![format.writes];
    bytes.extend(record.generation.to_be_bytes());
    bytes.push(u8::from(record.previous.is_some()));
    bytes.extend(record.previous.unwrap_or(0).to_be_bytes());
    bytes.extend(record.rotated_at.millis().to_be_bytes());
    bytes.extend(record.created_at.millis().to_be_bytes());
    bytes.extend(index_entries::encode(&record.index_entries));
    bytes.extend(&record.sealed);
    bytes
}

/// Decodes a grant.
///
/// # Errors
/// Its format is unknown, or it is damaged.
pub(super) fn decode(
    id: GrantId,
    expires_at: Timestamp,
    bytes: &[u8],
    format: Format,
) -> Result<GrantRecord, Unavailable> {
    let unreadable = || Unavailable::Damaged(id);
    let (written, bytes) = bytes.split_first().ok_or_else(unreadable)?;
    format.reads(*written)?;
    decode_known(id, expires_at, bytes).ok_or_else(unreadable)
}

fn decode_known(id: GrantId, expires_at: Timestamp, bytes: &[u8]) -> Option<GrantRecord> {
    let (generation, bytes) = bytes.split_first_chunk()?;
    let (has_previous, bytes) = bytes.split_first()?;
    let (previous, bytes) = bytes.split_first_chunk()?;
    let (rotated_at, bytes) = bytes.split_first_chunk()?;
    let (created_at, bytes) = bytes.split_first_chunk()?;
    let (entries, sealed) = index_entries::decode(bytes)?;
    Some(GrantRecord {
        id,
        sealed: sealed.to_vec(),
        generation: u32::from_be_bytes(*generation),
        previous: (*has_previous == 1).then(|| u32::from_be_bytes(*previous)),
        rotated_at: Timestamp::from_millis(u64::from_be_bytes(*rotated_at)),
        created_at: Timestamp::from_millis(u64::from_be_bytes(*created_at)),
        expires_at,
        index_entries: entries,
    })
}
