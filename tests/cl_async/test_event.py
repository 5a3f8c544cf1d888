"""cl-async's ``event`` tests: delays and intervals."""

from __future__ import annotations

import time

import asynctcp
from asynctcp import delay, interval, remove_interval
from helpers import SOON, after_quiet, run


def test_delay_without_a_time_runs():
    """``delay-simple``."""
    told = []
    run(lambda: delay(lambda: told.append("ran")))
    assert told == ["ran"]


def test_delay_runs_after_its_time_and_not_much_later():
    """``delay-timer``: theirs allows 1 % of two seconds; on a busy machine only too early is a fault."""
    began = time.monotonic()
    ended = []
    run(lambda: delay(lambda: ended.append(time.monotonic()), 0.1))
    assert 0.1 <= ended[0] - began < SOON


def test_delays_for_the_same_time_all_run():
    """``delay-multi``: here also in the order in which they were made."""
    told = []

    def start():
        for number in range(3):
            delay(lambda number=number: told.append(number), 0.02)

    run(start)
    assert told == [0, 1, 2]


def test_interval_runs_until_it_is_removed():
    """``interval``: the removal is a timer's, due between the third beat and the fourth."""
    beats = []

    def beat():
        beats.append("beat")
        if len(beats) == 3:
            delay(lambda: remove_interval(timer))
            after_quiet(lambda: beats.append("quiet"))

    def start():
        nonlocal timer
        timer = interval(beat, 0.02)
        assert isinstance(timer, asynctcp.Timer)

    timer = None
    run(start)
    assert beats == ["beat"] * 3 + ["quiet"]
