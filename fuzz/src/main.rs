//! One parser under libFuzzer: `TARGET=jwt fuzz corpus/jwt`. `fuzz/run.sh` builds and runs them all.
#![no_main]

use gateway_fuzz::{TARGETS, Target};
use std::sync::LazyLock;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    TARGETS.iter().find(|target| target.name == name).expect("TARGET names one of gateway_fuzz::TARGETS")
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.run)(input));
