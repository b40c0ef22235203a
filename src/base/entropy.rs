//! Randomness is handed in, so that every test is exact.

use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives random bytes: the system's, or for tests a reproducible sequence.
#[derive(Debug, Clone, Default)]
pub struct Entropy(Option<Arc<Seeded>>);

#[derive(Debug)]
struct Seeded {
    seed: u64,
    drawn: AtomicU64,
}

impl Entropy {
    /// The operating system's generator.
    pub const fn system() -> Self {
        Self(None)
    }

    /// The same bytes at every run, for tests alone.
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(Seeded { seed, drawn: AtomicU64::new(0) })))
    }

    /// `N` fresh random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: nothing that we promise could then be kept.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            None => getrandom::fill(&mut bytes).expect("the operating system gives randomness"),
            Some(seeded) => {
                for block in bytes.chunks_mut(32) {
                    let drawn = seeded.drawn.fetch_add(1, Ordering::SeqCst);
                    let digest = Sha256::digest([seeded.seed.to_be_bytes(), drawn.to_be_bytes()].concat());
                    block.copy_from_slice(&digest[..block.len()]);
                }
            }
        }
        bytes
    }
}
