"""`asynctcp.aio`: calls, errors and the life of a loop, each as on asyncio's own loop."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import weakref
from asyncio import format_helpers

import pytest

import asynctcp.aio
from helpers import DEADLINE, ignore
from loops import run, turn, turn_until


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


def test_loop_in_the_place_of_asyncio_s_name_is_made_and_connects(monkeypatch):
    """As a class of the program's own in that place, by which libraries then make their loops."""

    async def main():
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            got = await reader.read()
            writer.close()
        return got

    monkeypatch.setattr(asyncio, "SelectorEventLoop", asynctcp.aio.Loop)
    loop = asyncio.SelectorEventLoop()
    try:
        assert run(loop, main()) == b""
    finally:
        loop.close()
