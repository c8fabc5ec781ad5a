#!/bin/sh
# Counts the instructions of user space per request, of the gateway and of the bare pass-through in
# one run, and fails where a bound is missed. Needs valgrind and python3.
#   sh tests/bench/instructions.sh
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --locked --quiet --no-default-features --bin doorward
cargo build --release --locked --quiet --manifest-path tests/bench/Cargo.toml \
    --target-dir target/bench --bin passthrough
python3 tests/bench/instructions.py
