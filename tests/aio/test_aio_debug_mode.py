"""Debug mode of a loop: slow calls, what is refused, and where a call was made, as on asyncio's own loop."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import time

import pytest

from loops import run, turn, turn_until


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
