"""Figures of benches/faults that need no quiet machine, at a small scale; `make reliability` has all."""

import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).parents[1] / "benches" / "faults"
#: Figures, and an n that takes about a second.
SMALL = {
    "dead_reader": 16,
    "raising": 20,
    "reentrancy": 40,
    "terminal_events": 200,
    "threads": 500,
    "trailing_bytes": 20,
    "write_callbacks": 5_000,
}


#: Those of asyncio's protocols on our loop.
SMALL_AIO = {
    "close_flushes": 100,
    "dead_reader": 16,
    "exit": 21,
    "half_close": 3,
    "handles": 20_000,
    "sigpipe": 20,
    "trailing_bytes": 20,
}
BOTH = [("asynctcp", *each) for each in SMALL.items()] + [
    ("asynctcp-aio", *each) for each in SMALL_AIO.items()
]


@pytest.mark.slow
@pytest.mark.parametrize(("server", "figure", "n"), BOTH)
def test_figure_is_met(server, figure, n):
    script = [sys.executable, FAULTS / f"{figure}.py", "--server", server, "--n", str(n)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
