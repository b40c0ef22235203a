#!/bin/sh
# Runs every parser of untrusted input under libFuzzer: fuzz/run.sh [SECONDS_EACH [TARGET…]]; 10 seconds without an
# argument. Needs a C++ compiler beside Rust. An input that violates an invariant is written to fuzz/artifacts; put
# it into fuzz/corpus/<target> together with its fix, and every run of the tests reads it again.
set -eu
cd "$(dirname "$0")"

seconds=${1:-10}
# A fixed seed makes short runs reproducible; FUZZ_SEED=0 uses a new seed each time.
seed=${FUZZ_SEED:-1}
[ $# -gt 0 ] && shift
host=$(rustc -vV | sed -n 's/^host: //p')
output=../target/fuzz

# Coverage for libFuzzer by settings of the stable compiler. No sanitizer: the gateway has no unsafe code.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing" \
    cargo build --locked --release --quiet --bin fuzz --target "$host" --target-dir "$output"

[ $# -gt 0 ] || set -- $(sed -n 's/^    name: "\([a-z_]*\)",$/\1/p' ../tests/gateway/hostile/*.rs)
for target; do
    mkdir -p artifacts "corpus/$target" "$output/corpus/$target"
    echo "$target: $seconds s"
    TARGET=$target SEEDS=$output/corpus/$target "$output/$host/release/fuzz" "$output/corpus/$target" "corpus/$target" \
        -max_total_time="$seconds" -seed="$seed" -max_len=4096 -timeout=5 -rss_limit_mb=2048 -artifact_prefix=artifacts/ -verbosity=0
    rmdir "corpus/$target" 2>/dev/null || true
done
