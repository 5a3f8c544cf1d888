#!/usr/bin/env bash
# No io::Error becomes an exception: the OSError that PyO3 makes of one has no errno. What fails in the system is a Failure,
# which becomes an OSError with it (src/boundary/os_error.rs). A `?` does that without a word in the source, so this looks for the
# conversion in what the compiler makes of the source (MIR).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
made="${CARGO_TARGET_DIR:-target}/debug/asynctcp.mir"

# With the tests in it: so it shares the crates that it needs with what builds the tests.
cargo rustc --quiet --lib --profile test --all-features -- --emit=mir="$made" 2> >(grep -v 'multiple output types\|--out-dir\|^$' >&2)
[ -s "$made" ] || { echo "$made is not there: cargo clean, and try again" >&2; exit 1; }
# By `?`, `into()`, `from()`, as what a function of Python's returns, or as the arguments of an exception.
found="$(awk '
    /^(fn|const|static) / { where = $0 }
    /std::io::Error/ && (/PyErr/ || /new_err::<std::io::Error>/ || /pyo3::impl_::/) { print where }
' "$made" | sed 's/ -> .*//' | sort -u)"
if [ -n "$found" ]; then
    echo "$found"
    echo "These make an exception of an io::Error (lines above): it would have no errno. Make a Failure of it first." >&2
    exit 1
fi
