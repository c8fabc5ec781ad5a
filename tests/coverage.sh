#!/bin/sh
# How much of the Rust code the unit and integration tests run, in lines and regions.
#
#   sh tests/coverage.sh             a table on the terminal
#   sh tests/coverage.sh --html      pages under target/llvm-cov/html
#
# Builds everything a second time, instrumented, in a folder of its own: about six minutes on two
# cores the first time. Not a part of tests/run.sh.

set -u
cd "$(dirname "$0")/.." || exit 1
. deploy/need.sh

need_to_build || exit 1
if ! cargo llvm-cov --version >/dev/null 2>&1; then
    echo "cargo-llvm-cov is missing. Installing it with cargo."
    cargo install --quiet --locked cargo-llvm-cov || exit 1
fi

# rustc's own copy of LLVM's tools where rustup has it, else Debian's: the version must be the same.
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
if ! ls "$(rustc --print sysroot)"/lib/rustlib/*/bin/llvm-cov >/dev/null 2>&1; then
    need "llvm-$llvm" command -v "llvm-cov-$llvm" || {
        echo "Or: rustup component add llvm-tools"
        exit 1
    }
    LLVM_COV=llvm-cov-$llvm
    LLVM_PROFDATA=llvm-profdata-$llvm
    export LLVM_COV LLVM_PROFDATA
fi

verb=test
if cargo nextest --version >/dev/null 2>&1; then
    verb=nextest
fi
# The processes that the tests start are the same binaries, so what they run counts, too; also of
# those that are killed, since with %c the counters live in the file.
RUSTFLAGS="${RUSTFLAGS:-} -C llvm-args=-runtime-counter-relocation"
LLVM_PROFILE_FILE_NAME="doorward-%p-%m%c.profraw"
export RUSTFLAGS LLVM_PROFILE_FILE_NAME
exec cargo llvm-cov "$verb" --workspace --locked --ignore-filename-regex '/tests(/|\.rs)' "$@"
