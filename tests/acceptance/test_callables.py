"""What may be a callback: no coroutine function; an awaitable that one returns is told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal

import pytest

import asynctcp
from asynctcp import delay, exit_event_loop, tcp_connect, tcp_server
from helpers import LOOPBACK, in_loop, run


async def coroutine(*_):
    """What must not be a callback."""


CALLS = {
    "read_cb of tcp_connect": lambda: tcp_connect(LOOPBACK, 1, coroutine),
    "event_cb of tcp_connect": lambda: tcp_connect(LOOPBACK, 1, None, coroutine),
    "connect_cb of tcp_connect": lambda: tcp_connect(LOOPBACK, 1, None, connect_cb=coroutine),
    "write_cb of tcp_connect": lambda: tcp_connect(LOOPBACK, 1, None, write_cb=coroutine),
    "close_cb of tcp_connect": lambda: tcp_connect(LOOPBACK, 1, None, close_cb=coroutine),
    "read_cb of init_tcp_socket": lambda: asynctcp.init_tcp_socket(coroutine),
    "read_cb of tcp_server": lambda: tcp_server(LOOPBACK, 0, coroutine),
    "event_cb of tcp_server": lambda: tcp_server(LOOPBACK, 0, None, coroutine),
    "connect_cb of tcp_server": lambda: tcp_server(LOOPBACK, 0, None, connect_cb=coroutine),
    "close_cb of tcp_server": lambda: tcp_server(LOOPBACK, 0, None, close_cb=coroutine),
    "set_callbacks": lambda: asynctcp.init_tcp_socket(None).set_callbacks(read_cb=coroutine),
    "write": lambda: asynctcp.init_tcp_socket(None).write(b"", write_cb=coroutine),
    "delay": lambda: delay(coroutine),
    "interval": lambda: asynctcp.interval(coroutine, 1),
    "dns_lookup": lambda: asynctcp.dns_lookup(LOOPBACK, coroutine),
    "reverse_dns_lookup": lambda: asynctcp.reverse_dns_lookup(LOOPBACK, coroutine),
    "make_notifier": lambda: asynctcp.make_notifier(coroutine),
    "signal_handler": lambda: asynctcp.signal_handler(signal.SIGUSR1, coroutine),
    "call_soon_threadsafe": lambda: asynctcp.current_event_loop().call_soon_threadsafe(coroutine),
    "exit callback": lambda: asynctcp.add_event_loop_exit_callback(coroutine),
    "default event handler": lambda: asynctcp.set_default_event_handler(coroutine),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_coroutine_function_is_refused_at_the_call(call):
    def look():
        with pytest.raises(TypeError, match=r"asynctcp\.aio"):
            call()

    in_loop(look)


def test_coroutine_function_is_refused_as_start_fn():
    with pytest.raises(TypeError, match=r"asynctcp\.aio"):
        asynctcp.start_event_loop(coroutine)


def test_result_of_a_main_that_was_called_is_refused_with_the_likely_cause():
    """``start_event_loop(main())``: main has started things before there is a loop."""
    with pytest.raises(asynctcp.EventLoopError, match="start_event_loop"):
        asynctcp.start_event_loop(delay(int))


def test_awaitable_that_a_callback_returns_is_logged_once_for_each_callback(caplog):
    made = []

    def give():
        made.append(coroutine())
        return made[-1]

    def give_too():
        made.append(coroutine())
        return made[-1]

    def start():
        for _ in range(3):
            delay(give)
        delay(give_too)

    run(start)
    for one in made:
        one.close()
    gc.collect()
    told = [record for record in caplog.records if record.name.startswith("asynctcp")]
    assert len(told) == 2
    assert {"give" in record.getMessage() for record in told} == {True}


def test_future_that_a_callback_returns_is_logged(caplog):
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    run(lambda: delay(lambda: future))
    future.cancel()
    loop.close()
    assert len([record for record in caplog.records if record.name.startswith("asynctcp")]) == 1


def test_callable_object_stays_a_callback():
    called = []

    class Callable:
        def __call__(self):
            called.append(True)

    run(lambda: delay(Callable()))
    assert called == [True]


def test_mock_stays_a_callback():
    from unittest.mock import Mock

    mock = Mock(return_value=None)
    run(lambda: delay(mock))
    mock.assert_called_once_with()


def test_refused_callback_opens_nothing():
    def look():
        with contextlib.suppress(TypeError):
            tcp_server(LOOPBACK, 0, coroutine)
        assert asynctcp.stats()["servers"] == 0
        exit_event_loop()

    run(look)
