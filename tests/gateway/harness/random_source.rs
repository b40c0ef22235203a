//! Chance that can be repeated: whoever uses it prints its seed.

use gateway::base::entropy::Entropy;

/// Draws from a seed.
#[derive(Clone)]
pub(crate) struct RandomSource(Entropy);

impl RandomSource {
    /// From `GATEWAY_SEED`, or from a seed that nobody has drawn before.
    #[expect(clippy::print_stdout, reason = "a run that fails can be run again")]
    pub(crate) fn new() -> Self {
        let seed = number("GATEWAY_SEED").unwrap_or_else(|| u64::from_be_bytes(Entropy::system().bytes()));
        println!("GATEWAY_SEED={seed}");
        Self(Entropy::seeded(seed))
    }

    /// A number below this one.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        u64::from_be_bytes(self.0.bytes()) % bound
    }
}

/// A number in this variable of the test's environment.
pub(crate) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
