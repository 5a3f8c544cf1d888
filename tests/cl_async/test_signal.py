"""cl-async's ``signal`` test."""

from __future__ import annotations

import signal

from asynctcp import delay, free_signal_handler, signal_handler
from helpers import ignore, run


def test_signal_handler_keeps_the_loop_until_it_is_removed():
    """``signal-handler-add-remove``: theirs measures how long the loop ran, this one what ran in it."""
    told = []

    def start():
        signal_handler(signal.SIGINT, ignore)
        # Only the handler keeps the loop: an unref'd timer would not run in one that has ended.
        delay(lambda: (told.append("removed"), free_signal_handler(signal.SIGINT)), 0.02).unref()

    run(start)
    assert told == ["removed"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
