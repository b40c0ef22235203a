//! Request ids.

use crate::app::request::HeaderText;
use crate::base::encoding;
use crate::base::entropy::Entropy;
use bytes::Bytes;
use std::cell::RefCell;

/// Length of an id in bytes: 96 random bits, so that ids are unique.
const ID_BYTES: usize = 12;
/// Length of an id in characters, base64url-encoded.
const ID_CHARS: usize = ID_BYTES / 3 * 4;
/// Number of ids that are generated at a time, since each call for system entropy is expensive.
const BATCH_SIZE: usize = 64;

/// Generator of request ids, one per thread.
pub(super) struct RequestIds {
    entropy: Entropy,
    batch: RefCell<Bytes>,
}

impl RequestIds {
    pub(super) fn new(entropy: Entropy) -> Self {
        Self { entropy, batch: RefCell::default() }
    }

    /// Returns a new id.
    pub(super) fn next(&self) -> HeaderText {
        let mut batch = self.batch.borrow_mut();
        if batch.is_empty() {
            *batch = encoding::encode(self.entropy.bytes::<{ ID_BYTES * BATCH_SIZE }>()).into();
        }
        HeaderText::new(batch.split_to(ID_CHARS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_unique() {
        let ids = RequestIds::new(Entropy::seeded(1));
        let seen: HashSet<String> = (0..3 * BATCH_SIZE).map(|_| ids.next().as_str().to_owned()).collect();
        assert_eq!(seen.len(), 3 * BATCH_SIZE);
        assert!(seen.iter().all(|id| id.len() == ID_CHARS));
    }
}
