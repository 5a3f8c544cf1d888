"""Section 1 of api.md: notifiers and signal handlers."""

import os
import signal
import threading

import pytest

import asynctcp
from asynctcp import EventLoopError


def run(start):
    """Run a loop that a watchdog ends."""

    def watched():
        asynctcp.delay(asynctcp.exit_event_loop, 5).unref()
        start()

    asynctcp.start_event_loop(watched)


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_trigger_from_a_thread_runs_the_callback_in_the_loops():
    ran = []

    def start():
        notifier = asynctcp.make_notifier(lambda: (ran.append(threading.get_ident()), notifier.free()))
        in_thread(notifier.trigger)

    run(start)
    assert ran == [threading.get_ident()]


def test_triggers_before_it_ran_are_one():
    ran = []

    def start():
        notifier = asynctcp.make_notifier(lambda: (ran.append(1), asynctcp.free_notifier(notifier)))
        assert [asynctcp.trigger_notifier(notifier) for _ in range(5)] == [True] * 5

    run(start)
    assert ran == [1]


def test_notifier_is_reusable():
    ran = []

    def again():
        ran.append(1)
        notifier.trigger() if len(ran) < 3 else notifier.free()

    def start():
        nonlocal notifier
        notifier = asynctcp.make_notifier(again)
        notifier.trigger()

    notifier = None
    run(start)
    assert ran == [1, 1, 1]


def test_freed_notifier_has_no_effect():
    def start():
        notifier = asynctcp.make_notifier(lambda: pytest.fail("it ran"))
        notifier.trigger()
        notifier.free()
        assert (notifier.trigger(), notifier.freed) == (False, True)

    run(start)


def test_unrefd_notifier_lets_the_loop_end():
    kept = []
    run(lambda: (kept.append(asynctcp.make_notifier(int)), kept[0].unref()))
    assert kept[0].trigger() is False


def test_exception_of_a_notifier_goes_to_its_event_cb():
    told = []

    def start():
        notifier = asynctcp.make_notifier(
            lambda: 1 / 0, event_cb=lambda e: (told.append(type(e)), notifier.free())
        )
        notifier.trigger()

    asynctcp.start_event_loop(start, catch_app_errors=True)
    assert told == [ZeroDivisionError]


def test_signal_runs_its_callback_in_the_loop_and_freeing_puts_the_old_one_back():
    before = signal.getsignal(signal.SIGUSR1)
    ran = []

    def arrived(signum):
        ran.append(signum)
        asynctcp.free_signal_handler(signum)

    def start():
        asynctcp.signal_handler(signal.SIGUSR1, arrived)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert ran == []

    run(start)
    assert ran == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is before


def test_handled_sigint_raises_no_keyboard_interrupt():
    ran = []

    def start():
        asynctcp.signal_handler(
            signal.SIGINT, lambda signum: (ran.append(signum), asynctcp.clear_signal_handlers())
        )
        os.kill(os.getpid(), signal.SIGINT)

    run(start)
    assert ran == [signal.SIGINT]


def test_end_of_the_loop_frees_its_handlers():
    before = signal.getsignal(signal.SIGUSR1)
    run(lambda: (asynctcp.signal_handler(signal.SIGUSR1, int), asynctcp.exit_event_loop()))
    assert signal.getsignal(signal.SIGUSR1) is before


def test_signal_handler_outside_of_the_main_thread_is_an_error():
    raised = []

    def other():
        def start():
            with pytest.raises(EventLoopError) as caught:
                asynctcp.signal_handler(signal.SIGUSR1, int)
            raised.append(caught.value)

        asynctcp.start_event_loop(start)

    in_thread(other)
    assert len(raised) == 1


def test_decorated_names_become_timers():
    ran = []

    def start():
        @asynctcp.with_delay(0.01)
        def once():
            ran.append("once")

        @asynctcp.with_interval(0.005)
        def often():
            ran.append("often")
            if ran.count("often") == 3:
                often.cancel()

        assert {type(once), type(often)} == {asynctcp.Timer}

    run(start)
    assert sorted(ran) == ["often", "often", "often", "once"]


@pytest.mark.parametrize("call", [asynctcp.trigger_notifier, asynctcp.free_notifier])
def test_something_else_than_a_notifier_is_refused(call):
    with pytest.raises(TypeError, match="notifier"):
        call("not a notifier")


def test_notifier_of_something_else_than_a_loop_is_refused():
    with pytest.raises(TypeError, match="loop"):
        asynctcp.Notifier("not a loop", print, None)
