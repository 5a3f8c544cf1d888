"""cl-async's ``base`` tests: start and end of the loop, exceptions, exit callbacks."""

from __future__ import annotations

import pytest

import asynctcp
from asynctcp import delay, exit_event_loop, start_event_loop
from helpers import Oops, fail, oops, run


def test_started_loop_runs_what_it_was_given():
    """``event-loop-starts``."""
    told = []
    start_event_loop(lambda: told.append("started"))
    assert told == ["started"]


def test_exit_ends_the_loop_before_a_timer_that_waits():
    """``event-loop-exit``."""
    run(lambda: (delay(fail, 0.01), exit_event_loop()))


def test_error_comes_out_of_the_loop_when_app_errors_are_not_caught():
    """``catch-app-errors``, its first half: nil."""
    with pytest.raises(Oops):
        start_event_loop(oops, catch_app_errors=False)


def test_error_goes_to_the_function_that_catches_app_errors():
    """``catch-app-errors``, its second half: a function.

    The error is raised by a start function: the block of `asynctcp.event_loop` is no callback, and what it
    raises comes out of it.
    """
    caught = []
    start_event_loop(oops, catch_app_errors=caught.append)
    assert [type(error) for error in caught] == [Oops]


def test_error_of_a_block_comes_out_of_it_although_app_errors_are_caught():
    """``catch-app-errors``, its second half, where asynctcp differs: cl-async's body is a callback."""
    caught = []
    with pytest.raises(Oops), asynctcp.event_loop(catch_app_errors=caught.append):
        oops()
    assert caught == []


def test_exit_callback_runs_when_the_loop_has_nothing_left():
    """``exit-callbacks``."""
    told = []

    def start():
        asynctcp.add_event_loop_exit_callback(lambda: told.append("exit"))
        delay(lambda: told.append("timer"), 0.01)

    run(start)
    assert told == ["timer", "exit"]
