"""Waiting until something is idle: a child that coverage looks at (`tracing.py`), or the main thread."""

from __future__ import annotations

import os
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


def wait_until_main_sleeps(timeout=20.0):
    """Wait in another thread until this process's main thread sleeps, and did so for some milliseconds.

    It may wait for another thread to leave the interpreter to it; but not for so long.
    """
    main = Path(f"/proc/self/task/{os.getpid()}/status")
    deadline = time.monotonic() + timeout
    before = None
    while (now := _sleep_of(main.read_text())) is None or now != before:
        assert time.monotonic() < deadline, "the main thread does not sleep"
        before = now
        time.sleep(0.005)


def _sleeps(pid):
    """How often each thread went to sleep; None if one is awake."""
    try:
        threads = [(each / "status").read_text() for each in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # one of them has just ended, or all
        return None if Path(f"/proc/{pid}").exists() else []
    sleeps = [_sleep_of(status) for status in threads]
    return None if None in sleeps else sleeps


def _sleep_of(status):
    """How often the thread went to sleep; None if it is awake."""
    state = dict(line.split(":\t", 1) for line in status.splitlines())
    return int(state["voluntary_ctxt_switches"]) if state["State"][0] in "SZ" else None
