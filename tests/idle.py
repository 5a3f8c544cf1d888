"""When a child process that coverage looks at may be interrupted: when it is idle (`tracing.py`)."""

from __future__ import annotations

import time
from pathlib import Path


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
