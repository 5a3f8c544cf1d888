"""cl-async's ``threading`` test and what its test of a hanging loop, ``test-timeout``, needs of notifiers."""

from __future__ import annotations

import pytest

import asynctcp
from asynctcp import delay, free_notifier, make_notifier, trigger_notifier
from helpers import Oops, oops, run


def test_thread_that_triggers_adds_to_what_the_loop_does(spawn):
    """``threading-delay``: the sum of what a delay and a notifier add.

    There a notifier frees itself when it has run; here it is for more than one use, and is freed.
    """
    added = []

    def triggered():
        added.append(42)
        free_notifier(notifier)

    def start():
        nonlocal notifier
        notifier = make_notifier(triggered)
        spawn(trigger_notifier, notifier)
        delay(lambda: added.append(69), 0.02)

    notifier = None
    run(start)
    assert sum(added) == 42 + 69


def test_notifier_runs_once_more_each_time_that_it_is_triggered():
    """``make-notifier``'s ``single-shot``, which is cl-async's default and which asynctcp has not."""
    told = []

    def triggered():
        told.append("ran")
        if len(told) < 3:
            trigger_notifier(notifier)
        else:
            free_notifier(notifier)

    def start():
        nonlocal notifier
        notifier = make_notifier(triggered)
        trigger_notifier(notifier)

    notifier = None
    run(start)
    assert told == ["ran"] * 3


def test_notifier_without_a_reference_does_not_keep_the_loop_and_the_exit_callback_can_free_it():
    """``test-timeout``, when the loop ends in time."""
    told = []

    def start():
        notifier = make_notifier(oops)
        notifier.unref()

        def ended():
            told.append(notifier.freed)
            free_notifier(notifier)
            told.append(notifier.freed)

        asynctcp.add_event_loop_exit_callback(ended)

    run(start)
    assert told == [False, True]


def test_notifier_that_raises_ends_a_loop_that_would_go_on(spawn):
    """``test-timeout``, when the loop hangs: the notifier's error comes out of it."""

    def start():
        asynctcp.tcp_server("127.0.0.1", 0, None)
        notifier = make_notifier(oops)
        notifier.unref()
        spawn(trigger_notifier, notifier)

    with pytest.raises(Oops):
        run(start)


def test_freed_notifier_answers_false_and_may_be_freed_again():
    """The condition ``notifier-freed``, where asynctcp differs: a thread cannot know, so this is no error."""
    told = []

    def start():
        notifier = make_notifier(oops)
        free_notifier(notifier)
        free_notifier(notifier)
        told.append(trigger_notifier(notifier))

    run(start)
    assert told == [False]
