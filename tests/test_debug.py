"""Debug mode: slow callbacks, what was left open, and what objects say of themselves."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import subprocess
import sys
import threading
import time
import warnings

import pytest

import asynctcp
from asynctcp import aio
from asynctcp._debug import Watchdog
from helpers import DEADLINE, LOOPBACK, ignore, run, wait_until

#: The child's address of a server, for messages.
LEAKY = """
import asynctcp
def leak():
    asynctcp.tcp_connect(*address, None)
with asynctcp.event_loop():
    server = asynctcp.tcp_server("127.0.0.1", 0, None)
    address = server.address
    leak()
    asynctcp.delay(asynctcp.exit_event_loop, 0.01)
"""


@pytest.fixture
def debugged():
    """A loop in debug mode whose end may warn of what is open."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield asynctcp.EventLoop(debug=True), caught


@pytest.mark.usefixtures("caplog")
def test_exit_ends_the_loop_though_warnings_are_errors():
    loop, late = asynctcp.EventLoop(debug=True, catch_app_errors=True), []

    def start():
        asynctcp.tcp_server(LOOPBACK, 0, None)
        asynctcp.delay(asynctcp.exit_event_loop, 0.01)
        asynctcp.delay(lambda: late.append(True), 0.02)

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        run(start, loop=loop)
    assert late == []


def held_too_long(logged):
    """The messages of slow callbacks so far."""
    return [message for message in logged.messages if "holds the event loop" in message]


def hold_until(condition):
    """Hold the loop until the watchdog has said so, or the deadline is over."""
    deadline = time.monotonic() + DEADLINE
    while not condition() and time.monotonic() < deadline:
        pass


def python(code, **environment):
    """What a child that runs ``code`` writes to its standard error."""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        capture_output=True,
        text=True,
        timeout=DEADLINE * 2,
        env={**os.environ, **environment},
        check=True,
    )
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("io_threads", [0, 1])
def test_slow_callback_is_logged_with_its_stack_while_it_runs(caplog, io_threads):
    def slow_one():
        hold_until(lambda: held_too_long(caplog))

    run(
        lambda: asynctcp.delay(slow_one),
        loop=asynctcp.EventLoop(debug=True, io_threads=io_threads),
    )
    (message,) = held_too_long(caplog)
    assert "in slow_one" in message
    assert "in hold_until" in message
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.slow
def test_slow_callback_in_an_asyncio_loop_in_debug_mode_is_logged(caplog):
    async def main():
        done = asyncio.get_running_loop().create_future()

        def slow_one():
            hold_until(lambda: held_too_long(caplog))
            done.set_result(None)

        asynctcp.delay(slow_one)
        await done

    aio.run(main(), debug=True)
    (message,) = held_too_long(caplog)
    assert "in slow_one" in message


@pytest.mark.slow
def test_slow_callback_is_logged_once_and_the_next_one_anew(caplog):
    def first():
        hold_until(lambda: len(held_too_long(caplog)) == 1)
        time.sleep(0.25)  # the point: it goes on for as long as would be told of again
        assert len(held_too_long(caplog)) == 1
        asynctcp.delay(second)

    def second():
        hold_until(lambda: len(held_too_long(caplog)) == 2)

    run(lambda: asynctcp.delay(first), loop=asynctcp.EventLoop(debug=True))
    assert ["in second" in message for message in held_too_long(caplog)] == [False, True]


@pytest.mark.slow
def test_slow_start_fn_is_logged(caplog):
    asynctcp.EventLoop(debug=True).run(functools.partial(hold_until, lambda: held_too_long(caplog)))
    assert len(held_too_long(caplog)) == 1


@pytest.mark.slow
def test_slow_callback_that_is_no_python_is_logged(caplog):
    run(
        lambda: asynctcp.delay(functools.partial(time.sleep, 0.5)),
        loop=asynctcp.EventLoop(debug=True),
    )
    assert len(held_too_long(caplog)) == 1


@pytest.mark.slow
def test_slow_callback_of_a_pumped_loop_is_logged(caplog):
    loop = asynctcp.EventLoop(debug=True)
    loop.call_soon_threadsafe(hold_until, lambda: held_too_long(caplog))
    loop.pump(DEADLINE)
    loop.exit()
    assert "in hold_until" in held_too_long(caplog)[0]


@pytest.mark.slow
def test_many_short_callbacks_and_an_idle_loop_are_not_logged(caplog):
    def logged():
        end = time.monotonic() + 0.4

        def short():
            if time.monotonic() < end:
                asynctcp.delay(short)
            else:
                asynctcp.delay(ignore, 0.3)

        caplog.clear()
        run(short, loop=asynctcp.EventLoop(debug=True))
        return held_too_long(caplog)

    # A busy machine may hold up one of the tries.
    assert any(logged() == [] for _ in range(5))


def test_watchdog_ends_with_its_loop():
    def watchdogs():
        return [thread for thread in threading.enumerate() if thread.name == "asynctcp-watchdog"]

    counted = []
    wait_until(lambda: not watchdogs())
    loop = asynctcp.EventLoop(debug=True)
    loop.run(lambda: counted.append(len(watchdogs())))
    wait_until(lambda: not watchdogs())
    asynctcp.EventLoop().run(lambda: counted.append(len(watchdogs())))
    assert counted == [1, 0]


def test_watchdog_of_a_forgotten_loop_ends():
    before = threading.active_count()
    loop = asynctcp.EventLoop()
    Watchdog(loop)
    del loop
    wait_until(lambda: threading.active_count() == before)


def test_exit_with_open_sockets_warns_of_each_with_where_it_was_made(peers, debugged):
    loop, caught = debugged

    def make_one():
        return asynctcp.tcp_connect(*peers.address, None, connect_cb=lambda _: asynctcp.exit_event_loop())

    def start():
        asynctcp.tcp_server(LOOPBACK, 0, None)
        make_one()

    run(start, loop=loop)
    messages = {str(warning.message).split()[1]: str(warning.message) for warning in caught}
    assert {type(warning.source) for warning in caught} == {asynctcp.Socket, asynctcp.TcpServer}
    assert sorted(messages) == ["<asynctcp.Socket", "<asynctcp.TcpServer"]
    assert "in make_one" in messages["<asynctcp.Socket"]
    assert "in start" in messages["<asynctcp.TcpServer"]


def test_accepted_socket_left_open_tells_its_server(peers, debugged):
    loop, caught = debugged

    def make_server():
        return asynctcp.tcp_server(LOOPBACK, 0, None, connect_cb=lambda _: end())

    def start():
        servers.append(make_server())
        peers.connect(servers[0])

    def end():
        servers[0].close()
        asynctcp.exit_event_loop()

    servers = []
    run(start, loop=loop)
    (warning,) = caught
    assert "accepted by <asynctcp.TcpServer" in str(warning.message)
    assert "in make_server" in str(warning.message)


def test_loop_that_is_ended_from_another_thread_warns_too(peers, debugged, spawn):
    loop, caught = debugged
    run(
        lambda: asynctcp.tcp_connect(*peers.address, None, connect_cb=lambda _: spawn(loop.exit)),
        loop=loop,
    )
    assert len(caught) == 1


def test_loop_that_comes_to_its_end_warns_of_nothing(peers, debugged):
    loop, caught = debugged
    run(lambda: peers.link(lambda ours, _: ours.close()), loop=loop)
    assert caught == []


def test_exit_with_open_sockets_is_silent_without_debug(peers):
    run(lambda: peers.link(lambda *_: asynctcp.exit_event_loop()))


@pytest.mark.parametrize(("value", "warned"), [("1", True), ("0", False), ("", False)])
def test_environment_switches_debug_on_for_every_loop(value, warned):
    error = python(LEAKY, ASYNCTCP_DEBUG=value)
    assert ("ResourceWarning: unclosed <asynctcp.Socket" in error) == warned
    assert ("in leak" in error) == warned


def test_socket_tells_state_and_peer(peers):
    seen = []

    def look(ours, _raw):
        seen.append(repr(ours))
        ours.close()

    def start():
        seen.append(repr(peers.link(look)))

    run(start)
    host, port = peers.address
    assert seen[0] == f"<asynctcp.Socket connecting -> {host}:{port}>"
    assert seen[1].startswith("<asynctcp.Socket open ")
    assert seen[1].endswith(f" -> {host}:{port}>")
