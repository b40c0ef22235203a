//! One parser of untrusted input under libFuzzer: `TARGET=jwt SEEDS=folder fuzz folder`. `fuzz/run.sh` runs all of
//! them.
#![no_main]

#[path = "../../tests/gateway"]
#[expect(dead_code, reason = "libFuzzer creates the mutations here")]
mod tests {
    pub(crate) mod hostile;
}

use std::path::PathBuf;
use std::sync::LazyLock;
use tests::hostile::{TARGETS, Target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("TARGET is one of {}", names.join(" ")))
});

/// Writes the seeds, which are constants in the code, to files for libFuzzer.
fn write_seeds() {
    let Some(folder) = std::env::var_os("SEEDS").map(PathBuf::from) else { return };
    for (number, seed) in TARGET.seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number}")), seed).expect("SEEDS can be written to");
    }
}

libfuzzer_sys::fuzz_target!(init: write_seeds(), |input: &[u8]| (TARGET.run)(input));
