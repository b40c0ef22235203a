//! Random number source that is passed as a dependency, so that tests are deterministic.

use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Source of random bytes: the operating system, or a reproducible sequence in tests.
#[derive(Debug, Clone, Default)]
pub struct Entropy(Option<Arc<Seeded>>);

#[derive(Debug)]
struct Seeded {
    seed: u64,
    drawn: AtomicU64,
}

impl Entropy {
    /// Random number generator of the operating system.
    pub const fn system() -> Self {
        Self(None)
    }

    /// Generator that yields the same bytes in every run, for tests only.
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(Seeded { seed, drawn: AtomicU64::new(0) })))
    }

    /// Returns `N` random bytes.
    ///
    /// # Panics
    /// The operating system provides no randomness: no token would be secure then.
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the system's randomness")]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            None => getrandom::fill(&mut bytes).expect("the operating system provides randomness"),
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
