#!/bin/sh
# Measures the gateway against a bare pingora pass-through in the same run, interleaved:
# CPU of the process per forwarded tools/call of 300 bytes. Needs wrk and python3.
#   sh tests/bench/run.sh [ROUNDS] [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --locked --quiet --no-default-features --bin doorward
cargo build --release --locked --quiet --manifest-path tests/bench/Cargo.toml \
    --target-dir target/bench
target/bench/release/judge
python3 tests/bench/measure.py "${1:-7}" "${2:-4}"
python3 tests/bench/stream.py
