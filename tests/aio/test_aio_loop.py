"""`asynctcp.aio`: calls, timers, readers, errors and the life of a loop, each as on asyncio's own loop."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import functools
import gc
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import weakref
from asyncio import format_helpers
from unittest import mock

import pytest

import asynctcp.aio
from helpers import DEADLINE, ignore
from loops import LOOPS, run, turn, turn_until


def failures(loop):
    """What the exception handler gets from now on."""
    got = []
    loop.set_exception_handler(lambda _, context: got.append(context))
    return got


# --- calls ---


def test_calls_run_in_the_order_in_which_they_were_made(loop):
    got = []
    for number in range(5):
        loop.call_soon(got.append, number)
    turn(loop)
    assert got == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 9])
def test_call_gets_all_its_arguments(loop, count):
    got = []
    loop.call_soon(lambda *arguments: got.append(arguments), *range(count))
    turn(loop)
    assert got == [tuple(range(count))]


def test_call_made_by_a_call_waits_for_the_next_turn(loop):
    got = []
    loop.call_soon(lambda: loop.call_soon(got.append, "second"))
    turn(loop)
    assert got == []
    turn(loop)
    assert got == ["second"]


def test_cancelled_call_is_not_made(loop):
    got = []
    handle = loop.call_soon(got.append, 1)
    handle.cancel()
    turn(loop)
    assert (got, handle.cancelled()) == ([], True)


def test_call_that_cancels_itself_goes_on(loop):
    got = []

    def call(argument):
        handle.cancel()
        got.append(argument)

    handle = loop.call_soon(call, object())
    turn(loop)
    assert len(got) == 1


def test_call_runs_in_the_context_that_it_was_made_in(loop):
    variable = contextvars.ContextVar("variable", default="outside")
    got = []
    context = contextvars.copy_context()
    context.run(variable.set, "given")
    loop.call_soon(lambda: got.append(variable.get()), context=context)
    variable.set("current")
    loop.call_soon(lambda: got.append(variable.get()))
    variable.set("later")
    turn(loop)
    assert got == ["given", "current"]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("way", ["_add_reader", "_add_writer"])
def test_descriptors_callback_runs_in_a_context_that_is_given(way, debug):
    """From CPython 3.15 on asyncio's own transports give one."""
    loop = asynctcp.aio.new_event_loop()
    loop.set_debug(debug)
    variable = contextvars.ContextVar("variable", default="outside")
    context = contextvars.copy_context()
    context.run(variable.set, "given")
    got = []
    ours, peer = socket.socketpair()
    with ours, peer:
        peer.sendall(b"x")
        getattr(loop, way)(ours, lambda: got.append(variable.get()), context=context)
        turn_until(loop, lambda: got)
        loop.close()
    assert set(got) == {"given"}


def test_context_none_is_the_current_one(loop):
    got = []
    loop.call_soon(got.append, 1, context=None)
    turn(loop)
    assert got == [1]


def test_unknown_keyword_is_refused(loop):
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        loop.call_soon(print, other=1)


NAMED = [
    ("call_soon", (), {}),
    ("call_soon_threadsafe", (), {}),
    ("call_later", (0,), {}),
    ("call_later", (), {"delay": 0}),
    ("call_at", (0,), {}),
    ("call_at", (), {"when": 0}),
]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(("name", "arguments", "options"), NAMED)
def test_call_takes_asyncios_names_of_its_parameters(loop, name, arguments, options, debug):
    loop.set_debug(debug)
    context, number, got = contextvars.copy_context(), contextvars.ContextVar("number"), []
    context.run(number.set, 7)
    make = getattr(loop, name)
    make(*arguments, **options, callback=lambda: got.append(number.get(None)))
    make(*arguments, context=context, callback=lambda: got.append(number.get(None)), **options)
    turn_until(loop, lambda: len(got) == 2)
    assert got == [None, 7]


@pytest.mark.parametrize(("name", "arguments"), [("call_soon", ()), ("call_later", (0,)), ("call_at", (0,))])
def test_parameter_that_is_given_twice_is_refused(loop, name, arguments):
    with pytest.raises(TypeError, match="multiple values for argument 'callback'"):
        getattr(loop, name)(*arguments, print, callback=print)


def test_task_takes_asyncios_name_of_its_coroutine(loop):
    async def main():
        return 5

    assert run(loop, loop.create_task(coro=main())) == 5


@pytest.mark.parametrize("name", ["call_soon", "call_later", "call_at", "call_soon_threadsafe"])
def test_call_without_a_callback_is_refused(loop, name):
    with pytest.raises(TypeError):
        getattr(loop, name)()


def test_handles_are_asyncios_for_whoever_asks(loop):
    soon, later = loop.call_soon(print), loop.call_later(5, print)
    assert isinstance(soon, asyncio.Handle)
    assert not isinstance(soon, asyncio.TimerHandle)
    assert isinstance(later, asyncio.TimerHandle)
    soon.cancel()
    later.cancel()


def test_handle_is_printed_with_what_it_calls(loop):
    handle = loop.call_soon(test_handle_is_printed_with_what_it_calls, 1)
    # Its arguments are left out from CPython 3.14 on.
    assert format_helpers._format_callback_source(handle._callback, (1,)) in repr(handle)
    handle.cancel()
    assert repr(handle) == "<Handle cancelled>"


def test_timer_is_printed_with_when_it_is_due(loop):
    timer = loop.call_at(1e9, print, 1)
    call = format_helpers._format_callback_source(print, (1,))
    assert repr(timer) == f"<TimerHandle when=1000000000.0 {call}>"
    timer.cancel()


def test_handle_that_ran_lets_go_of_what_it_called():
    loop = asynctcp.aio.new_event_loop()

    class Thing:
        def call(self):
            pass

    thing = Thing()
    gone = weakref.ref(thing)
    handle = loop.call_soon(thing.call)
    turn(loop)
    del thing
    assert gone() is None
    del handle
    loop.close()


@pytest.mark.parametrize("count", [1, 4])
def test_long_chain_of_handles_is_dropped(loop, count):
    class Item:
        pass

    last = Item()
    gone, handle = weakref.ref(last), last
    del last
    # More than the stack has room for; with four arguments there is a tuple in between.
    for _ in range(100_000):
        handle = loop.call_soon(ignore, handle, *[None] * (count - 1))
        handle.cancelled()
    loop.close()
    del handle
    assert gone() is None


def test_handle_can_be_referred_to_weakly(loop):
    handle = loop.call_soon(print)
    assert weakref.ref(handle)() is handle
    handle.cancel()


def test_cycle_of_a_handle_and_its_callback_is_collected():
    loop = asynctcp.aio.new_event_loop()

    class Thing:
        pass

    thing = Thing()
    thing.handle = loop.call_later(60, ignore, thing)
    thing.loop = loop
    gone = weakref.ref(thing)
    loop.close()
    del thing, loop
    gc.collect()
    assert gone() is None


def test_call_from_another_thread_wakes_the_loop(loop):
    done = loop.create_future()
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(done.set_result, 7))
    loop.call_soon(thread.start)
    assert run(loop, done) == 7
    thread.join(DEADLINE)


def test_calls_from_many_threads_all_arrive(loop):
    got = []

    def many():
        for _ in range(500):
            loop.call_soon_threadsafe(got.append, 1)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    turn_until(loop, lambda: len(got) == 2000)
    for thread in threads:
        thread.join(DEADLINE)


# --- errors ---


def test_exception_of_a_call_goes_to_the_exception_handler_and_the_loop_goes_on(loop):
    got, after = failures(loop), []

    def fail_loudly():
        raise ZeroDivisionError

    handle = loop.call_soon(fail_loudly)
    loop.call_soon(after.append, 1)
    turn(loop)
    assert [type(context["exception"]) for context in got] == [ZeroDivisionError]
    assert "fail_loudly()" in got[0]["message"]
    assert traceback.extract_tb(got[0]["exception"].__traceback__)[-1].name == "fail_loudly"
    assert (got[0]["handle"], after) == (handle, [1])


@pytest.mark.parametrize("delay", [0, 0.001])
def test_exception_of_a_call_that_was_made_before_debug_mode_goes_to_the_exception_handler(loop, delay):
    got = failures(loop)
    make = loop.call_soon if not delay else lambda *call: loop.call_later(delay, *call)
    handle = make(int, "no number")
    loop.set_debug(True)
    turn_until(loop, lambda: got)
    [context] = got
    assert isinstance(context["exception"], ValueError)
    assert context["handle"] is handle


def test_handle_that_is_run_by_hand_tells_the_exception_handler(loop):
    got = failures(loop)
    handle = loop.call_later(DEADLINE, int, "no number")
    assert handle._run() is None
    assert [str(context["exception"])[:7] for context in got] == ["invalid"]
    assert got[0]["message"].startswith("Exception in callback int(")
    handle.cancel()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
def test_exception_that_ends_a_program_comes_out_and_the_rest_stays_ready(loop, exception):
    after = []

    def leave():
        raise exception

    loop.call_soon(leave)
    loop.call_soon(after.append, 1)
    with pytest.raises(exception):
        loop.run_forever()
    assert after == []
    turn(loop)
    assert after == [1]


def test_context_that_is_entered_already_is_an_error_of_the_call(loop, caplog):
    got, context = failures(loop), contextvars.copy_context()
    loop.call_soon(print, context=context)
    context.run(turn, loop)
    # A later asyncio calls the handler in that context, too, and logs that this fails.
    told = [type(failure["exception"]) for failure in got] or [type(r.exc_info[1]) for r in caplog.records]
    assert told == [RuntimeError]


# --- timers ---


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


# --- readers and writers ---


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def test_reader_is_called_as_long_as_something_is_there(loop, pair):
    ours, theirs = pair
    got = []
    loop.add_reader(ours, lambda: got.append(ours.recv(1)))
    theirs.send(b"abc")
    turn_until(loop, lambda: len(got) == 3)
    assert got == [b"a", b"b", b"c"]
    assert loop.remove_reader(ours)


def test_reader_and_writer_of_one_descriptor_are_called_each_for_its_own(loop, pair):
    ours, theirs = pair
    got = []
    loop.add_writer(ours.fileno(), got.append, "writable")
    turn_until(loop, lambda: got)
    assert loop.remove_writer(ours.fileno())
    loop.add_reader(ours.fileno(), got.append, "readable")
    theirs.send(b"x")
    turn_until(loop, lambda: "readable" in got)
    assert loop.remove_reader(ours.fileno())
    assert not loop.remove_reader(ours.fileno())


def test_second_reader_replaces_the_first(loop, pair):
    ours, theirs = pair
    got = []
    loop.add_reader(ours, got.append, "first")
    loop.add_reader(ours, got.append, "second")
    theirs.send(b"x")
    turn_until(loop, lambda: got)
    assert "first" not in got
    loop.remove_reader(ours)


def test_reader_that_was_removed_in_the_same_turn_is_not_called(loop, pair):
    ours, theirs = pair
    got = []
    loop.call_soon(loop.remove_reader, ours)
    loop.add_reader(ours, got.append, 1)
    theirs.send(b"x")
    turn(loop)
    assert got == []


def test_descriptor_that_was_closed_can_be_taken_out_by_its_socket(loop):
    ours, theirs = socket.socketpair()
    loop.add_reader(ours, print)
    ours.close()
    assert loop.remove_reader(ours)
    theirs.close()


def test_number_that_was_closed_and_is_used_again_is_watched_again():
    loop = asynctcp.aio.new_event_loop()
    ours, theirs = socket.socketpair()
    number, got = ours.fileno(), []
    loop.add_reader(number, got.append, "old")
    other, peer = socket.socketpair()
    os.dup2(other.fileno(), number)
    loop.add_reader(number, lambda: (got.append("new"), ours.recv(9)))
    peer.send(b"x")
    turn_until(loop, lambda: got)
    assert got[0] == "new"
    loop.remove_reader(number)
    for each in (ours, theirs, other, peer):
        each.close()
    loop.close()


@pytest.mark.parametrize("bad", [-1, "text", None, object()])
def test_what_is_no_descriptor_is_refused(loop, bad):
    with pytest.raises(ValueError, match="Invalid file"):
        loop.add_reader(bad, print)


@pytest.mark.parametrize("way", ["add_reader", "add_writer"])
def test_large_number_that_is_no_descriptor_is_refused_and_costs_no_memory(loop, way):
    number = 10**7
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(OSError, match="Bad file descriptor"):
        getattr(loop, way)(number, print)
    # A place for each number would be ten times as much, in KiB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 << 10
    assert not loop.remove_reader(number)


def test_regular_file_cannot_be_watched(loop, tmp_path):
    with (tmp_path / "file").open("wb") as file, pytest.raises(PermissionError) as raised:
        loop.add_reader(file, print)
    assert raised.value.errno == errno.EPERM


# --- life ---


def test_loop_runs_many_times(loop):
    assert [loop.run_until_complete(asyncio.sleep(0, number)) for number in range(3)] == [0, 1, 2]


def test_closed_loop_refuses_calls(loop):
    loop.close()
    loop.close()
    assert loop.is_closed()
    for call in (loop.call_soon, functools.partial(loop.call_later, 1), loop.call_soon_threadsafe):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            call(print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_forever()


def test_running_loop_cannot_be_closed_or_run_again(loop):
    async def main():
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_forever()

    run(loop, main())


def test_stop_before_a_run_lets_it_take_one_turn(loop):
    got = []
    loop.call_soon(got.append, 1)
    loop.stop()
    loop.run_forever()
    assert got == [1]


def test_loop_that_waits_uses_no_time_of_the_processor():
    loop = asynctcp.aio.new_event_loop()
    used = time.thread_time()
    loop.run_until_complete(asyncio.sleep(0.3))
    assert time.thread_time() - used < 0.1
    loop.close()


def test_run_returns_what_the_coroutine_returns():
    async def main():
        return type(asyncio.get_running_loop()), await asyncio.sleep(0, "result")

    assert asynctcp.aio.run(main()) == (asynctcp.aio.Loop, "result")


def test_run_switches_debug_mode_on():
    async def main():
        return asyncio.get_running_loop().get_debug()

    assert asynctcp.aio.run(main(), debug=True) is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_handler_of_a_loop_that_waits_is_called(loop, number):
    got = []
    loop.add_signal_handler(number, got.append, number)
    loop.call_soon(os.kill, os.getpid(), number)
    turn_until(loop, lambda: got)
    assert loop.remove_signal_handler(number)


INTERRUPTED = """
import asyncio, os, signal, sys
from asynctcp import aio

async def main():
    try:
        print("ready", flush=True)
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise

try:
    aio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_interrupt_cancels_the_main_task_as_with_asyncio_run():
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=DEADLINE)
    assert output.split() == ["cancelled", "interrupted"]


# --- debug mode ---


def test_debug_mode_tells_of_a_slow_call(loop, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01

    def slow():
        time.sleep(0.03)

    loop.call_soon(slow)
    with caplog.at_level(logging.WARNING, "asyncio"):
        turn(loop)
    assert "slow" in caplog.text
    assert "took 0.0" in caplog.text


def test_debug_mode_refuses_a_coroutine_function_in_asyncios_words(loop):
    loop.set_debug(True)

    async def coroutine():
        pass

    calls = [
        ("call_soon", loop.call_soon),
        ("call_at", functools.partial(loop.call_at, 1)),
        ("call_at", functools.partial(loop.call_later, 1)),
        ("call_soon_threadsafe", loop.call_soon_threadsafe),
    ]
    for name, call in calls:
        with pytest.raises(TypeError, match=rf"coroutines cannot be used with {name}\(\)"):
            call(coroutine)


def test_debug_mode_refuses_a_call_of_another_thread(loop):
    loop.set_debug(True)
    got = []

    def call():
        try:
            loop.call_soon(print)
        except RuntimeError as error:
            got.append(str(error))

    async def main():
        await asyncio.to_thread(call)

    run(loop, main())
    assert got == ["Non-thread-safe operation invoked on an event loop other than the current one"]


def test_debug_mode_names_the_line_that_made_a_call(loop):
    loop.set_debug(True)
    handles = [loop.call_soon(print), loop.call_later(9, print), loop.call_soon_threadsafe(print)]
    for handle in handles:
        assert f"created at {__file__}" in repr(handle)
        handle.cancel()


def test_debug_mode_names_no_line_of_this_librarys_for_a_slow_reader(loop, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 0.001
    near, far = socket.socketpair()

    def slow():
        near.recv(1)
        time.sleep(0.003)

    with near, far, caplog.at_level(logging.WARNING, "asyncio"):
        loop.add_reader(near, slow)
        far.send(b"x")
        turn_until(loop, lambda: "slow" in caplog.text)
        loop.remove_reader(near)
    (message,) = [record.getMessage() for record in caplog.records if "slow" in record.getMessage()]
    assert "selector_events.py" in message
    assert "asynctcp/aio" not in message


def test_timers_of_debug_mode_run_and_can_be_cancelled(loop):
    loop.set_debug(True)
    got = []
    loop.call_later(0.001, got.append, 1)
    loop.call_later(0.001, got.append, 2).cancel()
    turn_until(loop, lambda: got)
    assert got == [1]


# --- what is asyncio's own ---


def test_subprocess_speaks(loop):
    async def main():
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        output, _ = await process.communicate(b"through a pipe")
        return output, process.returncode

    assert run(loop, main()) == (b"through a pipe", 0)


def test_datagram_is_answered(loop):
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(data.upper(), addr)

    class Asker(asyncio.DatagramProtocol):
        def datagram_received(self, data, _):
            answer.set_result(data)

    answer = loop.create_future()

    async def main():
        server, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
        address = server.get_extra_info("sockname")
        asker, _ = await loop.create_datagram_endpoint(Asker, remote_addr=address)
        assert "fd=" in repr(asker)
        asker.sendto(b"hello")
        got = await answer
        asker.close()
        server.close()
        return got

    assert run(loop, main()) == b"HELLO"


def test_task_group_and_timeout_cancel(loop):
    async def main():
        try:
            async with asyncio.timeout(0.01), asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(60))
        except TimeoutError:
            return task.cancelled()

    assert run(loop, main()) is True


@pytest.mark.parametrize(
    "keywords",
    [{}, {"name": "mine"}, {"context": contextvars.copy_context()}, {"name": "a", "context": None}],
)
def test_task_is_made_with_its_keywords(loop, keywords):
    async def main():
        return asyncio.current_task().get_name()

    task = loop.create_task(main(), **keywords)
    name = run(loop, task)
    assert name == keywords.get("name", name) == task.get_name()


def test_task_that_cannot_be_made_is_refused_as_by_asyncio(loop):
    coroutine = asyncio.sleep(0)
    for arguments, keywords in (((), {}), ((coroutine, 1), {}), ((coroutine,), {"nothing": 1}), ((1,), {})):
        with pytest.raises(TypeError):
            loop.create_task(*arguments, **keywords)
    task = loop.create_task(coro=coroutine)
    assert run(loop, task) is None


def test_descriptor_that_is_ready_when_it_is_registered_is_told_of_in_the_next_turn(loop):
    """However short the turns are: programs connect one pipe, then close another, and rely on the order."""

    def tick():
        turns.append(None)
        if not told:
            loop.call_soon(tick)

    turns, told = [], []
    near, far = socket.socketpair()
    far.send(b"x")
    for _ in range(50):
        del turns[:], told[:]
        loop.call_soon(tick)
        loop.call_soon(loop.add_reader, near, lambda: (loop.remove_reader(near), told.append(len(turns))))
        turn_until(loop, lambda: told)
        assert told == [2]
    near.close()
    far.close()
