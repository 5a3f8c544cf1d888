"""A signal's handler raises at odd moments, again and again for a second, while loops begin, run and end.

Run by ``test_loop_stages.py`` in a process of its own; prints ``calm`` if no loop was left half open.
"""

from __future__ import annotations

import logging
import random
import signal
import sys
import time

import asynctcp
from helpers import Oops, fail, run


class Storm:
    """``storm()`` has the handler raise `Oops` in a moment; ``storm.calm()`` ends that."""

    armed = False
    chance = random.Random(1)

    def __call__(self):
        self.armed = True
        signal.setitimer(signal.ITIMER_REAL, self.chance.uniform(5e-6, 4e-4))

    def calm(self):
        self.armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def arrived(self, *_):
        if self.armed:
            raise Oops


storm = Storm()


def once(where, kept):
    """One loop, in which the handler raises while it begins, while it ends, or around a block."""
    if where == "begin":
        storm()
    if where == "block":
        with asynctcp.event_loop():
            start(where, kept)
    else:
        asynctcp.start_event_loop(lambda: start(where, kept))


def start(where, kept):
    kept.append(asynctcp.tcp_server("127.0.0.1", 0, None))
    asynctcp.signal_handler(signal.SIGUSR1, fail)
    if where == "begin":
        asynctcp.exit_event_loop()
    else:
        asynctcp.delay(go)


def go():
    storm()
    raise KeyError


def check(kept, before):
    """Nothing is left, and the thread can run another loop."""
    told = []
    run(lambda: told.append("ran"))
    assert told == ["ran"]
    assert all(server.closed for server in kept)
    assert signal.getsignal(signal.SIGUSR1) == before
    assert signal.set_wakeup_fd(-1) == -1


def main(where):
    # What is logged of the app's exceptions is not the point.
    logging.getLogger("asynctcp").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGALRM, storm.arrived)
    ends = time.monotonic() + 1
    before = signal.getsignal(signal.SIGUSR1)
    while time.monotonic() < ends:
        kept = []
        try:
            try:
                once(where, kept)
            finally:
                storm.calm()
        except (Oops, KeyError):
            pass
        check(kept, before)
    print("calm")


main(sys.argv[1])
