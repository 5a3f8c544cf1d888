#!/usr/bin/env bash
# The I/O side knows no Python: nothing under src/io/ may mention PyO3, comments included.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ -d src/io ] || { echo "src/io/ is not there: has the I/O side moved? Then this check must follow it." >&2; exit 1; }
if grep --recursive --ignore-case --line-number pyo3 src/io; then
    echo "src/io/ must not mention PyO3 (lines above): what needs Python belongs to the pump side, the rest of src/." >&2
    exit 1
fi
