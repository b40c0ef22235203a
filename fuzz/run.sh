#!/bin/sh
# Runs every reader of foreign input under libFuzzer: fuzz/run.sh [SECONDS_EACH]; 10 without an argument.
# Needs a C++ compiler beside Rust. What a run finds lies in fuzz/artifacts; put it into fuzz/corpus/<target> with its fix.
set -eu
cd "$(dirname "$0")"

seconds=${1:-10}
targets="authorization_request bearer client_authentication jwt key_set name path redirect_uri registration sealed"
host=$(rustc -vV | sed -n 's/^host: //p')

# Coverage for libFuzzer by settings of the stable compiler. No sanitizer: there is no unsafe code of ours to watch.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing" \
    cargo build --locked --release --quiet --package gateway-fuzz --features libfuzzer --bin fuzz --target "$host" --target-dir ../target/fuzz

for target in $targets; do
    mkdir -p "artifacts" "corpus/$target" "../target/fuzz/corpus/$target"
    echo "$target: $seconds s"
    TARGET=$target "../target/fuzz/$host/release/fuzz" "../target/fuzz/corpus/$target" "corpus/$target" \
        -max_total_time="$seconds" -max_len=4096 -timeout=5 -rss_limit_mb=1024 -artifact_prefix=artifacts/ -verbosity=0
done
