//! Repeatable randomness: its seed is printed.

use gateway::base::entropy::Entropy;

/// Random numbers from a seed.
#[derive(Clone)]
pub(crate) struct RandomSource(Entropy);

impl RandomSource {
    /// From `GATEWAY_SEED`, else from a new random seed.
    #[expect(clippy::print_stdout, reason = "prints the seed, to repeat a failed run")]
    pub(crate) fn new() -> Self {
        let seed = number("GATEWAY_SEED").unwrap_or_else(|| u64::from_be_bytes(Entropy::system().bytes()));
        println!("GATEWAY_SEED={seed}");
        Self(Entropy::seeded(seed))
    }

    /// Number below this bound.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        u64::from_be_bytes(self.0.bytes()) % bound
    }
}

/// Number in this environment variable.
pub(crate) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
