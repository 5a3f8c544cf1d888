"""``EventLoop.fileno()`` and ``pump()``: a foreign loop drives ours (docs/contract.md, section 1)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import threading
import time

import pytest

import asynctcp
from asynctcp import EventLoop, EventLoopError, tcp_server
from foreign import drain, echo_server, exchange, is_readable, pump_until, setup
from helpers import DEADLINE, LOOPBACK, SOON, echo, fail, ignore

# --- readable when events wait ------------------------------------------------------------------------------


def test_descriptor_is_the_same_each_time(loop):
    assert loop.fileno() == loop.fileno()


def test_posted_call_makes_the_descriptor_readable(loop):
    drain(loop)
    loop.call_soon_threadsafe(ignore)
    assert is_readable(loop, DEADLINE)


def test_call_posted_before_the_first_fileno_makes_it_readable(loop):
    loop.call_soon_threadsafe(ignore)
    assert is_readable(loop, DEADLINE)


def test_pump_makes_a_quiet_loop_silent(loop):
    setup(loop, ignore)
    drain(loop)
    assert not is_readable(loop)


def test_connection_makes_the_descriptor_readable(loop, peers):
    server = echo_server(loop)
    drain(loop)
    peers.connect(server)
    assert is_readable(loop, DEADLINE)


def test_due_timer_makes_the_descriptor_readable(loop):
    told = []
    setup(loop, lambda: asynctcp.delay(lambda: told.append("timer"), 0.03))
    pump_until(loop, lambda: told)
    assert told == ["timer"]


def test_interval_beats_go_on(loop):
    told = []
    setup(loop, lambda: asynctcp.interval(lambda: told.append("beat"), 0.005))
    pump_until(loop, lambda: len(told) == 5)


def test_timer_earlier_than_the_one_before_is_on_time(loop):
    told = []

    def start():
        asynctcp.delay(ignore, 60)
        loop.call_soon_threadsafe(lambda: asynctcp.delay(lambda: told.append("early"), 0.01))

    setup(loop, start)
    pump_until(loop, lambda: told)


# --- what pump does -----------------------------------------------------------------------------------------


def test_echo_through_pump(loop, peers):
    server = echo_server(loop)
    assert exchange(loop, peers.connect(server), b"hello") == b"hello"


def test_large_echo_through_pump(loop, peers, spawn):
    data, got = os.urandom(1 << 20), bytearray()
    raw = peers.connect(echo_server(loop))

    def read():
        while len(got) < len(data):
            got.extend(raw.recv(1 << 16))

    spawn(raw.sendall, data)
    reader = spawn(read)
    pump_until(loop, lambda: not reader.is_alive())
    assert bytes(got) == data


def test_what_a_callback_wrote_is_sent_when_pump_returns(loop, peers):
    server = echo_server(loop)
    raw = peers.connect(server)
    raw.sendall(b"x")
    read = []
    pump_until(loop, lambda: read or select.select([raw], [], [], 0)[0] != [])
    assert raw.recv(10) == b"x"


def test_write_from_outside_of_pump_is_sent(loop, peers):
    sockets = []
    server = setup(loop, lambda: tcp_server(LOOPBACK, 0, None, connect_cb=sockets.append))
    raw = peers.connect(server)
    pump_until(loop, lambda: sockets)
    sockets[0].write(b"from outside")
    pump_until(loop, lambda: select.select([raw], [], [], 0)[0] != [])
    assert raw.recv(100) == b"from outside"


def test_write_cb_runs_in_a_pump(loop, peers):
    told = []
    setup(
        loop,
        lambda: asynctcp.tcp_connect(
            *peers.address, None, data=b"x", write_cb=lambda socket: told.append(socket.write_buffer_size)
        ),
    )
    pump_until(loop, lambda: told)
    assert told == [0]


def test_pump_counts_what_it_dispatched(loop):
    drain(loop)
    for _ in range(3):
        loop.call_soon_threadsafe(ignore)
    assert loop.pump() == 3


def test_pump_with_nothing_to_do_counts_none(loop):
    drain(loop)
    assert loop.pump() == 0


def test_pump_does_not_wait_by_default(loop):
    drain(loop)
    began = time.monotonic()
    loop.pump()
    assert time.monotonic() - began < SOON


def test_pump_waits_for_its_timeout(loop):
    drain(loop)
    began = time.monotonic()
    assert loop.pump(0.05) == 0
    assert time.monotonic() - began >= 0.05


def test_first_pump_of_a_loop_waits_too(loop):
    began = time.monotonic()
    assert loop.pump(0.05) == 0
    assert time.monotonic() - began >= 0.05


def test_first_pump_does_what_was_posted_before_without_waiting(loop):
    told = []
    loop.call_soon_threadsafe(told.append, 1)
    loop.pump(DEADLINE)
    assert told == [1]


@pytest.mark.parametrize("timeout", [None, DEADLINE, float("inf")])
def test_pump_waits_until_something_is_to_be_done(timeout, loop, spawn):
    drain(loop)
    told = []
    spawn(loop.call_soon_threadsafe, told.append, 1)
    while not told:
        loop.pump(timeout)
    assert told == [1]


@pytest.mark.parametrize(
    ("timeout", "error"), [("1", TypeError), (True, TypeError), (float("nan"), ValueError), (-1, ValueError)]
)
def test_pump_refuses_a_bad_timeout(timeout, error, loop):
    with pytest.raises(error, match="timeout"):
        loop.pump(timeout)


def test_quiet_loop_goes_on(loop):
    drain(loop)
    assert setup(loop, lambda: "still there") == "still there"


def test_write_cb_that_writes_again_and_again_starves_nobody(loop, peers):
    told = []

    def again(socket):
        socket.write(b"x", write_cb=again)

    def start():
        server = tcp_server(LOOPBACK, 0, lambda _socket, data: told.append(data))
        asynctcp.tcp_connect(*peers.address, None, data=b"x", write_cb=again)
        return server

    server = setup(loop, start)
    reader = peers.accept()
    peers.connect(server).sendall(b"heard")
    reader.settimeout(0)

    def heard():
        with contextlib.suppress(BlockingIOError):
            reader.recv(1 << 20)
        return told

    pump_until(loop, heard)
    assert told == [b"heard"]


def test_many_short_timers_beside_a_long_one_leave_nothing_behind(loop):
    setup(loop, lambda: asynctcp.delay(ignore, 3600))
    for _ in range(50):
        told = []
        setup(loop, lambda told=told: asynctcp.delay(lambda: told.append(1), 0.001))
        pump_until(loop, lambda told=told: told)


def test_blackholed_raw_listener_is_no_busy_loop(loop, peers):
    """A loop that waits for a connection attempt keeps its descriptor silent."""
    setup(loop, lambda: asynctcp.tcp_connect(*peers.black_hole(), None))
    drain(loop)
    assert not is_readable(loop, 0.05)


# --- the current loop ---------------------------------------------------------------------------------------


def test_loop_is_current_inside_pump_only(loop):
    assert setup(loop, asynctcp.current_event_loop) is loop
    with pytest.raises(EventLoopError):
        asynctcp.current_event_loop()


def test_native_functions_find_no_loop_outside_of_pump(loop):
    setup(loop, ignore)
    with pytest.raises(EventLoopError):
        asynctcp.delay(ignore)


def test_two_loops_are_pumped_in_one_thread(loop, peers):
    other = EventLoop()
    one, two = echo_server(loop), echo_server(other)
    assert exchange(loop, peers.connect(one), b"one") == b"one"
    assert exchange(other, peers.connect(two), b"two") == b"two"
    other.exit()


def test_pump_in_a_callback_of_its_own_is_an_error(loop):
    def nested():
        with pytest.raises(EventLoopError):
            loop.pump()
        return asynctcp.current_event_loop()

    assert setup(loop, nested) is loop


def test_pump_inside_of_another_loop_is_an_error(loop):
    def start():
        outer = asynctcp.current_event_loop()
        with pytest.raises(EventLoopError):
            loop.pump()
        assert asynctcp.current_event_loop() is outer

    asynctcp.start_event_loop(start)


def test_start_event_loop_in_a_pumped_callback_is_an_error(loop):
    def nested():
        with pytest.raises(EventLoopError):
            asynctcp.start_event_loop(fail)
        return "refused"

    assert setup(loop, nested) == "refused"


def test_pump_in_a_second_thread_is_an_error(loop, spawn):
    setup(loop, ignore)

    def elsewhere():
        with pytest.raises(EventLoopError):
            loop.pump()

    spawn(elsewhere).join(DEADLINE)


def test_loop_may_be_pumped_in_another_thread_than_that_of_fileno(loop, spawn):
    loop.fileno()
    told = []
    loop.call_soon_threadsafe(lambda: told.append(threading.get_ident()))
    ended = []

    def elsewhere():
        loop.pump()
        loop.exit()
        ended.append(threading.get_ident())

    spawn(elsewhere).join(DEADLINE)
    assert told == ended


def test_run_of_a_pumped_loop_is_an_error(loop):
    loop.fileno()
    with pytest.raises(EventLoopError):
        loop.run(fail)


@pytest.mark.parametrize("use", [EventLoop.fileno, EventLoop.pump])
def test_fileno_and_pump_of_a_running_loop_are_errors(use):
    loop = EventLoop()

    def start():
        with pytest.raises(EventLoopError):
            use(loop)

    loop.run(start)


# --- under asyncio ------------------------------------------------------------------------------------------


def test_asyncio_drives_an_echo_server():
    async def main():
        ours = EventLoop()
        asyncio.get_running_loop().add_reader(ours.fileno(), ours.pump)
        ready = asyncio.get_running_loop().create_future()
        ours.call_soon_threadsafe(lambda: ready.set_result(tcp_server(LOOPBACK, 0, echo)))
        server = await ready
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"through asyncio")
        got = await reader.readexactly(15)
        writer.close()
        await writer.wait_closed()
        asyncio.get_running_loop().remove_reader(ours.fileno())
        ours.exit()
        return got

    assert asyncio.run(asyncio.wait_for(main(), DEADLINE)) == b"through asyncio"


def test_asyncio_goes_on_after_the_loop_ended_itself():
    async def main():
        ours = EventLoop()
        loop = asyncio.get_running_loop()
        loop.add_reader(ours.fileno(), ours.pump)
        ended = loop.create_future()

        def start():
            asynctcp.add_event_loop_exit_callback(lambda: ended.set_result(None))
            asynctcp.exit_event_loop()

        ours.call_soon_threadsafe(start)
        await ended
        loop.remove_reader(ours.fileno())
        near, far = socket.socketpair()
        with far:
            reader, writer = await asyncio.open_connection(sock=near)
            far.sendall(b"hi")
            got = await reader.readexactly(2)
            writer.close()
            await writer.wait_closed()
        return got

    assert asyncio.run(asyncio.wait_for(main(), DEADLINE)) == b"hi"
