#!/usr/bin/env bash
# How much of src/ the tests run: the Rust tests alone, then with the Python tests against an instrumented module.
# The first argument is the interpreter of the virtual environment that asynctcp is installed in.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="$(realpath --no-symlinks "$1")"
target="$PWD/target/coverage"

cargo llvm-cov --version >/dev/null 2>&1 || { echo "cargo-llvm-cov is not there: cargo install --locked cargo-llvm-cov" >&2; exit 1; }

# rustup's llvm-tools, or the system's of the version that rustc was made with.
version="$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')"
if ! [ -x "$(rustc --print target-libdir)/../bin/llvm-cov" ]; then
    for tool in llvm-cov llvm-profdata; do
        command -v "$tool-$version" >/dev/null || { echo "$tool is not there: rustup component add llvm-tools, or install llvm-$version" >&2; exit 1; }
    done
    export LLVM_COV="llvm-cov-$version" LLVM_PROFDATA="llvm-profdata-$version"
fi

report() {
    echo "== $1"
    cargo llvm-cov report | awk '/^(Filename|io\/)/ { print } /^io\// { r += $2; rm += $3; l += $8; lm += $9 }
        END { printf "src/io: %.1f %% of %d regions, %.1f %% of %d lines\n", 100 - 100 * rm / r, r, 100 - 100 * lm / l, l }'
    cargo llvm-cov report | tail -1
}

export CARGO_TARGET_DIR="$target" PYO3_PYTHON="$python"
eval "$(cargo llvm-cov show-env --sh)"
cargo llvm-cov clean --workspace
cargo nextest run --all-features
report "Rust tests"

cargo rustc --lib --crate-type cdylib --features pyo3/extension-module
site="$target/site"
rm -rf "$site"
mkdir -p "$site"
cp -r "$("$python" -c 'import asynctcp, os; print(os.path.dirname(asynctcp.__file__))')" "$site/"
rm -f "$site"/asynctcp/_core*.so
cp "$target/debug/libasynctcp.so" "$site/asynctcp/_core.so"
PYTHONPATH="$site" "$python" -m pytest -q -m "not peer" --ignore tests/examples -p no:cacheprovider || failed=$?
report "Rust and Python tests"
# What is covered is shown all the same.
exit "${failed:-0}"
