"""``delay``, ``interval`` and ``Timer`` (docs/contract.md, section 1)."""

from __future__ import annotations

import gc
import time
import weakref

import pytest

import asynctcp
from asynctcp import delay, exit_event_loop, interval
from helpers import SOON, after_quiet, fail, ignore, is_within, run, when


def clocked(told):
    """Return a callback that writes down when it ran."""
    return lambda: told.append(time.monotonic())


# --- delay --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [None, 0, 0.0])
def test_delay_without_a_time_runs_in_the_next_turn_and_not_at_once(seconds):
    told = []

    def start():
        delay(lambda: told.append("timer"), seconds)
        told.append("end of start")

    run(start)
    assert told == ["end of start", "timer"]


def test_delays_without_a_time_run_first_in_first_out():
    told = []
    run(lambda: [delay(lambda number=number: told.append(number)) for number in range(100)])
    assert told == list(range(100))


def test_delays_of_none_and_zero_share_one_order():
    told = []

    def start():
        for number in range(20):
            delay(lambda number=number: told.append(number), None if number % 2 else 0)

    run(start)
    assert told == list(range(20))


def test_delay_started_by_a_timer_waits_for_the_turn_after():
    told = []

    def first():
        delay(lambda: told.append("of the next turn"))
        told.append("first")

    def start():
        delay(first)
        delay(lambda: told.append("second"))

    run(start)
    assert told == ["first", "second", "of the next turn"]


def test_endless_chain_of_delays_starves_no_socket(peers, log):
    turns = []

    def again():
        turns.append(None)
        if not log.told:
            delay(again)

    def start():
        peers.link(lambda _ours, raw: (raw.sendall(b"x"), raw.close()), log.read)
        delay(again)

    run(start)
    assert log.told == [b"x"]


@pytest.mark.parametrize("seconds", [0.03, 1 / 50])
def test_delay_runs_after_its_time_and_not_before(seconds):
    told = []
    begun = time.monotonic()
    run(lambda: delay(clocked(told), seconds))
    assert told[0] - begun >= seconds


def test_delay_takes_an_int():
    told = []
    run(lambda: (delay(lambda: told.append("ran"), 1), after_quiet(exit_event_loop, 0.01)))
    assert told == []


def test_delays_run_in_the_order_of_their_times():
    told = []
    run(lambda: [delay(lambda ms=ms: told.append(ms), ms / 1000) for ms in (30, 10, 20)])
    assert told == [10, 20, 30]


def test_delay_runs_once():
    told = []
    run(lambda: (delay(lambda: told.append("ran"), 0.001), after_quiet(ignore)))
    assert told == ["ran"]


@pytest.mark.parametrize("seconds", [1e308, float("inf"), 2**63, 10**400])
def test_very_long_delay_waits(seconds):
    run(lambda: (delay(fail, seconds), after_quiet(exit_event_loop, 0.01)))


def test_delay_is_not_late_while_the_loop_is_busy_with_sockets():
    told = []

    def start():
        server = asynctcp.tcp_server("127.0.0.1", 0, lambda socket, data: socket.write(data))
        client = asynctcp.tcp_connect(
            *server.address, lambda socket, data: socket.write(data), data=bytes(4096)
        )
        begun = time.monotonic()
        delay(lambda: (told.append(time.monotonic() - begun), client.close(), server.close()), 0.05)

    run(start)
    assert told[0] < SOON


def test_callback_is_let_go_once_it_ran():
    class Callback:
        def __call__(self):
            return None

    kept, dead = [], []

    def start():
        callback = Callback()
        dead.append(weakref.ref(callback))
        kept.append(delay(callback))

    run(start)
    gc.collect()
    assert dead[0]() is None


# --- cancel -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancel", [asynctcp.Timer.cancel, asynctcp.remove_interval, lambda timer: timer()])
@pytest.mark.parametrize("start_timer", [delay, interval])
def test_cancelled_timer_does_not_run_and_keeps_no_loop_alive(start_timer, cancel):
    run(lambda: cancel(start_timer(fail, 0.001)))


def test_timer_is_cancelled_after_its_cancel_only():
    seen = []

    def start():
        timer = delay(fail)
        seen.append(timer.cancelled)
        timer.cancel()
        seen.append(timer.cancelled)

    run(start)
    assert seen == [False, True]


def test_timer_cancelled_by_another_of_the_same_turn_does_not_run():
    def start():
        timers = []
        delay(lambda: timers.pop().cancel())
        timers.append(delay(fail))

    run(start)


def test_cancelling_twice_does_nothing():
    def start():
        timer = delay(fail)
        timer.cancel()
        timer.cancel()

    run(start)


def test_cancelling_after_it_ran_does_nothing():
    kept = []
    run(lambda: kept.append(delay(ignore)))
    kept[0].cancel()
    assert asynctcp.Timer.cancelled.__get__(kept[0]) is False


def test_cancelling_after_the_loop_ended_does_nothing():
    kept = []
    run(lambda: (kept.append(delay(fail, 5)), exit_event_loop()))
    kept[0].cancel()


def test_ten_thousand_cancelled_timers_do_not_run():
    def start():
        for timer in [delay(fail, 0.01) for _ in range(10_000)]:
            timer.cancel()
        assert asynctcp.stats()["timers"] == 1
        after_quiet(ignore)

    run(start)


def test_cancelled_timers_are_let_go_long_before_they_were_due():
    """Not each at once: a few may wait until it is worth the while."""

    def start():
        timers = [delay(fail, 3600) for _ in range(1000)]
        kept = [weakref.ref(timer) for timer in timers]
        for timer in timers:
            timer.cancel()
        del timers, timer
        left.append(sum(1 for each in kept if each() is not None))

    left = []
    run(start)
    assert left[0] < 64


def test_timer_cancelled_from_another_thread_lets_an_idle_loop_end(spawn):
    def start():
        timer = delay(fail, 60)
        delay(lambda: spawn(timer.cancel), 0.01)

    run(start)


# --- interval -----------------------------------------------------------------------------------------------


def beat(count, seconds, in_callback=ignore):
    """Run an interval ``count`` times; return when it was started and when it ran."""
    told = []

    def run_once():
        told.append(time.monotonic())
        in_callback()
        if len(told) == count:
            timer.cancel()

    def start():
        nonlocal timer
        told_start.append(time.monotonic())
        timer = interval(run_once, seconds)

    timer, told_start = None, []
    run(start)
    return told_start[0], told


def test_interval_runs_again_and_again_until_cancelled():
    assert len(beat(5, 0.002)[1]) == 5


def test_interval_first_runs_after_its_time():
    begun, told = beat(1, 0.02)
    assert told[0] - begun >= 0.02


def test_interval_does_not_drift_though_its_callback_takes_time():
    def ten_beats():
        begun, told = beat(10, 0.02, lambda: time.sleep(0.015))
        return told[-1] - begun

    # With drift ten beats would take 0.2 s and nine times the callback's 0.015 s.
    assert is_within(0.3, ten_beats)


def test_interval_never_runs_before_its_beat():
    begun, told = beat(10, 0.01)
    assert [ran for number, ran in enumerate(told, 1) if ran < begun + number * 0.01] == []


def test_interval_keeps_the_loop_running():
    told = []
    run(lambda: interval(lambda: (told.append("beat"), len(told) == 3 and exit_event_loop()), 0.001))
    assert told == ["beat"] * 3


def test_interval_whose_callback_raises_goes_on():
    seen = []

    def start():
        timer = interval(lambda: 1 / 0, 0.001, event_cb=seen.append)
        when(lambda: len(seen) == 3, timer.cancel)

    run(start, catch_app_errors=True)
    assert {type(error.__cause__) for error in seen} == {ZeroDivisionError}


def test_delay_whose_callback_raises_tells_its_event_cb():
    seen = []
    run(lambda: delay(lambda: 1 / 0, event_cb=seen.append), catch_app_errors=True)
    assert [type(error.__cause__) for error in seen] == [ZeroDivisionError]


# --- ref and unref ------------------------------------------------------------------------------------------


def test_unref_lets_the_loop_end():
    run(lambda: delay(fail, 60).unref())


def test_unref_interval_lets_the_loop_end():
    run(lambda: interval(fail, 60).unref())


def test_unref_timer_still_runs_while_the_loop_does():
    told = []
    run(lambda: (delay(lambda: told.append("ran"), 0.001).unref(), delay(ignore, 0.03)))
    assert told == ["ran"]


def test_ref_undoes_unref():
    told = []

    def start():
        timer = delay(lambda: told.append("ran"), 0.01)
        timer.unref()
        timer.ref()

    run(start)
    assert told == ["ran"]


def test_ref_and_unref_count_once_each():
    def start():
        timer = delay(fail, 60)
        for change in (timer.ref, timer.ref, timer.unref, timer.unref):
            change()

    run(start)


def test_unref_then_cancel_leaves_another_timer_alive():
    told = []

    def start():
        delay(lambda: told.append("ran"), 0.01)
        timer = delay(fail, 60)
        timer.unref()
        timer.cancel()

    run(start)
    assert told == ["ran"]


def test_unref_inside_an_intervals_own_callback_lets_the_loop_end():
    told = []

    def callback():
        told.append("ran")
        timer.unref()

    def start():
        nonlocal timer
        timer = interval(callback, 0.001)

    timer = None
    run(start)
    assert told == ["ran"]


def test_ref_after_it_ran_does_not_keep_the_loop_alive():
    def start():
        timer = delay(ignore)
        timer.unref()
        delay(timer.ref, 0.005)

    run(start)


def test_timer_is_not_made_by_calling_its_class():
    with pytest.raises(TypeError):
        asynctcp.Timer()


def test_timer_can_be_hashed_and_weakly_referenced():
    def start():
        timer = delay(ignore)
        assert {timer: 1}[timer] == 1
        assert weakref.ref(timer)() is timer

    run(start)


@pytest.mark.parametrize(("change", "text"), [(ignore, "due in"), (asynctcp.Timer.cancel, "cancelled")])
def test_repr_of_a_timer_says_its_state(change, text):
    def start():
        timer = delay(ignore, 0.01)
        change(timer)
        assert text in repr(timer)

    run(start)
