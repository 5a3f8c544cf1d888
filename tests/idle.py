"""When a child process may be interrupted.

Coverage's tracer calls two functions of its own around a lock, in Python, at each call of what it looks at.
Where a signal's exception comes out inside of them, it keeps the lock for ever, and the child hangs. So what
is idle is interrupted, and what is busy runs without coverage.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

#: What has coverage look at child processes.
COVERAGE = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


def untraced():
    """The environment of a child that coverage does not look at."""
    return {name: value for name, value in os.environ.items() if name not in COVERAGE}


def wait_until_idle(pid, timeout=20.0):
    """Wait until all threads of a process sleep, and did so for some milliseconds; also if it has ended."""
    deadline = time.monotonic() + timeout
    before = None
    while (now := _sleeps(pid)) is None or now != before:
        assert time.monotonic() < deadline, f"process {pid} is not idle"
        before = now
        time.sleep(0.005)


def _sleeps(pid):
    """How often each thread went to sleep; None if one is awake."""
    try:
        threads = [(each / "status").read_text() for each in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # one of them has just ended, or all
        return None if Path(f"/proc/{pid}").exists() else []
    states = [dict(line.split(":\t", 1) for line in status.splitlines()) for status in threads]
    if not all(state["State"][0] in "SZ" for state in states):
        return None
    return [int(state["voluntary_ctxt_switches"]) for state in states]
