"""`Loop.call_later` and `call_at`: timers' order, equality, cancellation and clock, as on asyncio."""

from __future__ import annotations

import threading
import time
from unittest import mock

import pytest

import asynctcp.aio
from helpers import DEADLINE, ignore
from loops import LOOPS, turn, turn_until


def test_timers_run_in_the_order_in_which_they_are_due(loop):
    got = []
    loop.call_later(0.03, got.append, "later")
    loop.call_later(0.01, got.append, "sooner")
    loop.call_later(0.03, loop.stop)
    loop.run_forever()
    turn_until(loop, lambda: len(got) == 2)
    assert got == ["sooner", "later"]


def test_timer_is_not_early(loop):
    due = loop.time() + 0.02
    got = []
    loop.call_at(due, lambda: got.append(loop.time()))
    turn_until(loop, lambda: got)
    assert got[0] >= due - 1e-6


def test_timer_at_what_is_no_number_is_due():
    """The loop of asyncio ends in a ValueError on newer versions of CPython."""
    loop = asynctcp.aio.new_event_loop()
    loop.call_at(float("nan"), loop.stop)
    begun = time.monotonic()
    loop.run_forever()
    assert time.monotonic() - begun < DEADLINE
    loop.close()


def test_timers_that_are_due_at_the_same_time_keep_their_order():
    loop = asynctcp.aio.new_event_loop()
    got, due = [], loop.time() + 0.01
    for number in range(20):
        loop.call_at(due, got.append, number)
    turn_until(loop, lambda: len(got) == 20)
    assert got == list(range(20))
    loop.close()


def test_cancelled_timer_is_not_called(loop):
    got = []
    timer = loop.call_later(0.001, got.append, 1)
    timer.cancel()
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    assert got == []


def test_many_cancelled_timers_are_thrown_out_before_they_are_due():
    loop = asynctcp.aio.new_event_loop()
    for _ in range(10_000):
        loop.call_later(3600, print).cancel()
    kept = loop.call_later(3600, print)
    turn(loop)
    _, timers = loop._waiting()
    assert timers <= 200
    kept.cancel()
    loop.close()


def test_timer_that_is_due_in_years_is_no_error(loop):
    timers = [loop.call_later(delay, print) for delay in (1e9, 1e300, float("inf"))]
    turn(loop)
    for timer in timers:
        timer.cancel()


def test_when_says_when_it_is_due(loop):
    timer = loop.call_at(loop.time() + 50, print)
    assert 45 < timer.when() - loop.time() <= 50
    timer.cancel()


def test_timers_compare_by_when_they_are_due(loop):
    first, second = loop.call_at(1e9, print), loop.call_at(2e9, print)
    assert first < second
    assert second > first
    assert first != second
    assert hash(first) == hash(1e9)
    first.cancel()
    second.cancel()


@pytest.mark.parametrize(("name", "message"), [("call_later", "delay"), ("call_at", "when")])
def test_time_none_is_refused(loop, name, message):
    with pytest.raises(TypeError, match=message):
        getattr(loop, name)(None, print)


def test_loops_clock_is_that_of_time_monotonic(loop):
    before = time.monotonic()
    now = loop.time()
    assert before <= now <= time.monotonic()


def test_clock_that_a_test_puts_in_the_place_of_the_loops_is_what_timers_go_by(loop):
    got = []
    loop.call_later(3600, got.append, 1)
    now = loop.time()
    with mock.patch.object(loop, "time", return_value=now + 3601):
        for _ in range(3):
            turn(loop)
    assert got == [1]


@pytest.mark.parametrize("base", LOOPS.values())
def test_clock_of_a_class_is_what_timers_go_by(base):
    class Fast(base if isinstance(base, type) else asynctcp.aio.Loop):
        def time(self):
            return super().time() * 1000

    loop, got = Fast(), []
    loop.call_later(5, got.append, 1)
    loop.call_later(10, loop.stop)
    loop.run_forever()
    assert got == [1]
    loop.close()


@pytest.mark.parametrize("base", LOOPS.values())
def test_call_of_another_thread_while_a_programs_clock_is_read_wakes_the_loop(base):
    class Asking(base if isinstance(base, type) else asynctcp.aio.Loop):
        ask = staticmethod(ignore)

        def time(self):
            self.ask()
            return super().time()

    loop, begin = Asking(), time.monotonic()
    # What the loop would sleep for.
    far = loop.call_later(DEADLINE, ignore)

    async def main():
        waiter = loop.create_future()

        def ask():
            # Once, as the loop is about to wait: nothing else reads the clock.
            loop.ask = ignore
            thread = threading.Thread(target=loop.call_soon_threadsafe, args=(waiter.set_result, None))
            thread.start()
            thread.join(DEADLINE)

        loop.ask = ask
        await waiter

    loop.run_until_complete(main())
    assert time.monotonic() - begin < DEADLINE / 2
    far.cancel()
    loop.close()
