"""Section 1 of docs/contract.md: notifiers and signal handlers."""

import contextlib
import os
import signal
import threading

import pytest

import asynctcp
from asynctcp import EventLoopError
from helpers import run


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
        notifier = asynctcp.make_notifier(lambda: ran.append(1))
        assert [asynctcp.trigger_notifier(notifier) for _ in range(5)] == [True] * 5
        asynctcp.delay(lambda: asynctcp.free_notifier(notifier), 0.02)

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


def test_loop_goes_on_until_its_notifier_is_freed():
    told = []

    def start():
        notifier = asynctcp.make_notifier(int)
        asynctcp.delay(lambda: (told.append("goes on"), notifier.free()), 0.02).unref()

    run(start)
    assert told == ["goes on"]


def test_notifier_that_was_refd_twice_lets_go_once():
    def start():
        notifier = asynctcp.make_notifier(int)
        notifier.ref()
        notifier.free()

    run(start)


def test_exception_of_a_notifier_goes_to_its_event_cb():
    told = []

    def start():
        notifier = asynctcp.make_notifier(
            lambda: 1 / 0, event_cb=lambda e: (told.append(type(e.__cause__)), notifier.free())
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


def test_loop_goes_on_until_its_signal_handler_is_freed():
    told = []

    def start():
        asynctcp.signal_handler(signal.SIGUSR1, int)
        asynctcp.delay(lambda: (told.append("goes on"), asynctcp.clear_signal_handlers()), 0.02).unref()

    run(start)
    assert told == ["goes on"]


def test_freeing_puts_back_a_handler_that_was_set_in_python():
    def mine(_signum, _frame):
        pytest.fail("it ran")

    before = signal.signal(signal.SIGUSR2, mine)
    try:
        run(lambda: (asynctcp.signal_handler(signal.SIGUSR2, int), asynctcp.clear_signal_handlers()))
        assert signal.getsignal(signal.SIGUSR2) is mine
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_second_handler_of_a_signal_replaces_the_first_and_holds_the_loop_once():
    before = signal.getsignal(signal.SIGUSR1)
    ran = []

    def start():
        asynctcp.signal_handler(signal.SIGUSR1, lambda _: pytest.fail("it was replaced"))
        asynctcp.signal_handler(
            signal.SIGUSR1, lambda number: (ran.append(number), asynctcp.free_signal_handler(number))
        )
        os.kill(os.getpid(), signal.SIGUSR1)

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


def test_notifier_freed_while_its_trigger_waits_does_not_run():
    def start():
        notifier = asynctcp.make_notifier(lambda: pytest.fail("it ran"))
        notifier.trigger()
        asynctcp.delay(lambda: None, 0.02)
        asynctcp.current_event_loop().call_soon_threadsafe(int)
        notifier.free()
        notifier.free()

    run(start)


def test_notifier_keeps_the_loop_alive_until_it_is_freed():
    ended = []

    def start():
        notifier = asynctcp.make_notifier(int)
        asynctcp.delay(lambda: (ended.append("freed"), notifier.free()), 0.02).unref()

    run(start)
    assert ended == ["freed"]


def test_ref_undoes_unref_of_a_notifier():
    ended = []

    def start():
        notifier = asynctcp.make_notifier(int)
        notifier.unref()
        notifier.unref()
        notifier.ref()
        asynctcp.delay(lambda: (ended.append("freed"), notifier.free()), 0.02).unref()

    run(start)
    assert ended == ["freed"]


def test_repr_of_a_notifier_says_whether_it_was_freed():
    def start():
        notifier = asynctcp.make_notifier(int)
        assert repr(notifier) == "<asynctcp.Notifier ready>"
        notifier.free()
        assert repr(notifier) == "<asynctcp.Notifier freed>"

    run(start)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: asynctcp.make_notifier(None), "callback"),
        (lambda: asynctcp.make_notifier(int, event_cb=5), "event_cb"),
        (lambda: asynctcp.signal_handler(signal.SIGUSR1, None), "callback"),
        (lambda: asynctcp.signal_handler(signal.SIGUSR1, int, event_cb=5), "event_cb"),
    ],
)
def test_what_is_not_callable_is_a_type_error(make, name):
    def start():
        with pytest.raises(TypeError, match=f"^{name} must be callable"):
            make()

    run(start)


@pytest.mark.parametrize(
    ("signum", "error"), [(signal.SIGKILL, OSError), (9999, ValueError), ("x", TypeError)]
)
def test_signal_that_cannot_be_handled_raises_as_signal_does(signum, error):
    def start():
        with pytest.raises(error):
            asynctcp.signal_handler(signum, int)

    run(start)


def test_second_handler_of_a_signal_replaces_the_first():
    before = signal.getsignal(signal.SIGUSR1)
    ran = []

    def start():
        asynctcp.signal_handler(signal.SIGUSR1, lambda _signum: ran.append("first"))
        asynctcp.signal_handler(
            signal.SIGUSR1, lambda signum: (ran.append("second"), asynctcp.free_signal_handler(signum))
        )
        os.kill(os.getpid(), signal.SIGUSR1)

    run(start)
    assert (ran, signal.getsignal(signal.SIGUSR1)) == (["second"], before)


def test_freeing_a_signal_without_handler_does_nothing():
    run(lambda: asynctcp.free_signal_handler(signal.SIGUSR1))


def test_signal_handler_keeps_the_loop_alive():
    ended = []

    def start():
        asynctcp.signal_handler(signal.SIGUSR1, int)
        asynctcp.delay(lambda: (ended.append("freed"), asynctcp.clear_signal_handlers()), 0.02).unref()

    run(start)
    assert ended == ["freed"]


def test_exception_of_a_signal_handler_goes_to_its_event_cb():
    told = []

    def end(error):
        told.append(type(error.__cause__))
        asynctcp.clear_signal_handlers()

    def start():
        asynctcp.signal_handler(signal.SIGUSR1, lambda _signum: 1 / 0, event_cb=end)
        os.kill(os.getpid(), signal.SIGUSR1)

    asynctcp.start_event_loop(start, catch_app_errors=True)
    assert told == [ZeroDivisionError]


def test_decorator_without_a_time_runs_in_the_next_turn_in_order():
    ran = []

    def start():
        @asynctcp.with_delay()
        def _one():
            ran.append(1)

        @asynctcp.with_delay(None)
        def _two():
            ran.append(2)

    run(start)
    assert ran == [1, 2]


def test_decorated_function_runs_after_its_seconds():
    ran = []

    def start():
        @asynctcp.with_delay(0.03)
        def late():
            ran.append("late")

        asynctcp.delay(lambda: ran.append("early"), 0.01)
        return late

    run(start)
    assert ran == ["early", "late"]


def test_trigger_in_a_signals_handler_waits_for_nothing_and_loses_nothing():
    """The handler comes between any two steps of a ``trigger()`` of the same thread, and may raise there."""
    told, signals, working = [], [], []

    class Oops(Exception):
        pass

    def start():
        notifier = asynctcp.make_notifier(lambda: told.append("ran"))

        def handler(*_):
            signals.append(1)
            notifier.trigger()
            # In a callback only: elsewhere it would end the loop.
            if working and len(signals) % 3 == 0:
                raise Oops

        def work():
            working.append(True)
            for _ in range(2000):
                with contextlib.suppress(Oops):
                    notifier.trigger()
            working.clear()
            if len(signals) >= 50:
                calm()
                told.clear()
                notifier.trigger()
                ticker.cancel()
                asynctcp.delay(notifier.free, 0.01)

        # Not SIGALRM, which ends tests that hang.
        before = signal.signal(signal.SIGVTALRM, handler)
        asynctcp.add_event_loop_exit_callback(calm)
        asynctcp.add_event_loop_exit_callback(lambda: signal.signal(signal.SIGVTALRM, before))
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0005, 0.0005)
        ticker = asynctcp.interval(work, 0.001)

    def calm():
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    asynctcp.start_event_loop(start, catch_app_errors=lambda _: None)
    assert "ran" in told
