#!/usr/bin/env bash
# Runs the Python tests against a native module that AddressSanitizer watches: `make sanitize` (ARGS="tests/test_x.py -x").
# Ends with 1 if a test fails or anything was reported, in whatever process; the reports are in target/sanitize/reports.
#
#   tools/sanitize.sh PYTHON [ARG…]     PYTHON: one that has the test tools; ARG: pytest's
#
# The compiler's sanitizers are unstable, hence RUSTC_BOOTSTRAP. Python itself is not instrumented: gcc's runtime goes ahead
# of everything (LD_PRELOAD) and watches what is allocated, by Python too (PYTHONMALLOC=malloc); reads and writes are checked
# in Rust code, and in the C library's calls that the runtime intercepts. (ThreadSanitizer would need a standard library that is
# instrumented too, so its sources and -Zbuild-std: without, all that a std::sync::Mutex guards is reported. The loom models
# and their mutations stand for it.)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work="$PWD/target/sanitize"
target="$(rustc -vV | sed -n 's/^host: //p')"
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$work/build"
# With the target named, build scripts and procedural macros are not instrumented.
cargo=(--release --target "$target" --config 'profile.release.lto="off"' --config profile.release.codegen-units=16
    --config profile.release.opt-level=1 --config 'profile.release.debug="line-tables-only"'
    --config 'profile.release.strip="none"')

rm -rf "$work/reports"
mkdir -p "$work/reports"

report() {
    shopt -s nullglob
    local found=("$work"/reports/*)
    if [ "${#found[@]}" -gt 0 ]; then
        cat "${found[@]}" >&2
        echo "${#found[@]} processes were reported of: $work/reports" >&2
        exit 1
    fi
}

python="$1"
shift
PYO3_PYTHON="$(readlink -f "$python" 2>/dev/null || command -v "$python")"
export PYO3_PYTHON
RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes" \
    cargo rustc "${cargo[@]}" --lib --crate-type cdylib --features pyo3/extension-module
# The package beside the module, ahead of an installed one.
rm -rf "$work/site"
mkdir -p "$work/site"
cp -r python/asynctcp "$work/site/asynctcp"
cp "$CARGO_TARGET_DIR/$target/release/libasynctcp.so" "$work/site/asynctcp/_core.so"

export PYTHONPATH="$work/site" PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1
# What Python keeps until its end is no leak of ours, and most of what it keeps is that. Allocations that are refused are
# refused to the caller, who is tested. Little is kept of what was freed: tests look at memory.
export ASAN_OPTIONS="detect_leaks=0:log_path=$work/reports/asan:allocator_may_return_null=1:quarantine_size_mb=16:handle_segv=0"
# A comment in the list says why.
mapfile -t left_out < <(sed -e 's/ *#.*//' -e '/^$/d' -e 's/^/--deselect=/' tools/sanitize_left_out.txt)
# Real peers are not ours, and curl hangs where the runtime is preloaded.
LD_PRELOAD="$(gcc -print-file-name=libasan.so)" "$python" -m pytest -m "not peer" -p no:cacheprovider --timeout=240 -o faulthandler_timeout=600 \
    "${left_out[@]}" "$@" || failed=$?
report
exit "${failed:-0}"
