"""Holding up the thread of a loop."""

from __future__ import annotations

import time

from helpers import DEADLINE, wait_until

#: ``io_threads``: the I/O is driven by the loop's own thread, or has a thread of its own.
LOOPS = [0, 1]


def holds_until(condition):
    """Keep the loop's thread in this callback until ``condition()`` holds, which must not take long."""
    wait_until(condition, DEADLINE)


def time_to_see_that(seconds):
    """A condition that holds ``seconds`` from now."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until
