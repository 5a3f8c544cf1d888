"""Timers compared, as asyncio's own."""

from __future__ import annotations

import operator

import pytest

from helpers import ignore

FAR = 9e9


def other():
    """Not ``ignore``."""


def test_timers_are_equal_where_time_call_and_arguments_are(loop):
    first = loop.call_at(FAR, ignore, 1)
    assert first == loop.call_at(FAR, ignore, 1)
    assert (first != loop.call_at(FAR, ignore, 1)) is False
    assert hash(first) == hash(loop.call_at(FAR, ignore, 1)) == hash(FAR)
    for different in (
        loop.call_at(FAR + 1, ignore, 1),
        loop.call_at(FAR, other, 1),
        loop.call_at(FAR, ignore, 2),
        loop.call_at(FAR, ignore),
        loop.call_at(FAR, ignore, 1, 1, 1, 1, 1),
    ):
        assert first != different
        assert (first == different) is False


def test_cancelled_timers_are_equal_to_each_other_alone(loop):
    timers = [loop.call_at(FAR, ignore, number) for number in range(3)]
    for timer in timers[:2]:
        timer.cancel()
    assert timers[0] == timers[1]
    assert timers[0] != timers[2]


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
@pytest.mark.parametrize("delays", [(0, 1), (1, 0), (0, 0)])
@pytest.mark.parametrize("second", [ignore, other])
def test_timers_are_in_order_of_their_times(loop, compare, delays, second):
    same = second is ignore
    timers = [loop.call_at(FAR + delays[0], ignore), loop.call_at(FAR + delays[1], second)]
    expected = compare(*delays) if delays[0] != delays[1] or compare in (operator.lt, operator.gt) else same
    assert compare(*timers) is expected


def test_timer_is_not_equal_to_what_is_none(loop):
    timer = loop.call_at(FAR, ignore)
    assert timer != FAR
    assert timer != loop.call_soon(ignore)
    with pytest.raises(TypeError):
        timer < FAR  # noqa: B015 - it raises


def test_exception_of_a_comparison_comes_out(loop):
    class Odd:
        def __call__(self):
            pass

        def __eq__(self, other):
            raise ZeroDivisionError

        __hash__ = None

    with pytest.raises(ZeroDivisionError):
        loop.call_at(FAR, Odd()) == loop.call_at(FAR, Odd())  # noqa: B015 - it raises


def test_arguments_that_answer_oddly_are_asked_as_asyncio_asks_them(loop):
    nan = float("nan")
    # A tuple takes what is the same object for equal.
    assert loop.call_at(FAR, ignore, nan) == loop.call_at(FAR, ignore, nan)


def test_native_timer_and_one_of_debug_mode_are_compared(loop):
    plain = loop.call_at(FAR, ignore)
    loop.set_debug(True)
    checked = loop.call_at(FAR, ignore)
    loop.set_debug(False)
    assert plain == checked
    assert checked == plain
