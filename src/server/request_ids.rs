//! Ids of requests.

use crate::app::request::HeaderText;
use crate::base::encoding;
use crate::base::entropy::Entropy;
use bytes::Bytes;
use std::cell::RefCell;

/// Random bytes behind an id: 96 bits, so that no two are ever the same.
const BYTES: usize = 12;
/// What it becomes as text.
const CHARACTERS: usize = BYTES / 3 * 4;
/// How many are drawn at a time: the system is slow to ask.
const DRAWN: usize = 64;

/// One thread's ids.
pub(super) struct RequestIds {
    entropy: Entropy,
    drawn: RefCell<Bytes>,
}

impl RequestIds {
    pub(super) fn new(entropy: Entropy) -> Self {
        Self { entropy, drawn: RefCell::default() }
    }

    /// One that nobody has had.
    pub(super) fn next(&self) -> HeaderText {
        let mut drawn = self.drawn.borrow_mut();
        if drawn.is_empty() {
            *drawn = encoding::encode(self.entropy.bytes::<{ BYTES * DRAWN }>()).into();
        }
        HeaderText::new(drawn.split_to(CHARACTERS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_id_comes_twice() {
        let ids = RequestIds::new(Entropy::seeded(1));
        let seen: HashSet<String> = (0..3 * DRAWN).map(|_| ids.next().as_str().to_owned()).collect();
        assert_eq!(seen.len(), 3 * DRAWN);
        assert!(seen.iter().all(|id| id.len() == CHARACTERS));
    }
}
