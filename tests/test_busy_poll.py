"""``EventLoop.set_busy_poll``: looking for events instead of sleeping."""

from __future__ import annotations

import time

import pytest

import asynctcp
from asynctcp import EventLoop, tcp_connect
from helpers import LOOPBACK, SOON, echo, run


@pytest.mark.parametrize("io_threads", [0, 1])
def test_echo_goes_on_while_the_loop_spins(io_threads):
    loop, told = EventLoop(io_threads=io_threads), []
    loop.set_busy_poll(0.0005)

    def read(socket, data):
        told.append(data)
        if len(told) < 200:
            socket.write(b"x")
        else:
            asynctcp.exit_event_loop()

    def start():
        server = asynctcp.tcp_server(LOOPBACK, 0, echo)
        tcp_connect(*server.address, read, data=b"x")

    run(start, loop=loop)
    assert told == [b"x"] * 200


def cpu_of_an_idle_loop(seconds, spin):
    loop = EventLoop()
    loop.set_busy_poll(spin)
    begun = time.thread_time()
    run(lambda: asynctcp.delay(int, seconds), loop=loop)
    return time.thread_time() - begun


def test_spinning_takes_cpu_time_for_as_long_as_it_was_told():
    # Beside busy processes it does not get a whole core, and in one try perhaps hardly any of it.
    assert any(cpu_of_an_idle_loop(0.2, 0.15) > 4 * cpu_of_an_idle_loop(0.2, 0) for _ in range(5))


def test_timer_is_on_time_while_the_loop_spins():
    begun = time.monotonic()
    loop = EventLoop()
    loop.set_busy_poll(2 * SOON)
    run(lambda: asynctcp.delay(int, 0.05), loop=loop)
    assert 0.05 <= time.monotonic() - begun < SOON


def test_it_can_be_switched_off_again():
    loop = EventLoop()
    loop.set_busy_poll(1)
    loop.set_busy_poll(None)
    begun = time.thread_time()
    run(lambda: asynctcp.delay(int, 0.2), loop=loop)
    assert time.thread_time() - begun < 0.1


@pytest.mark.parametrize(
    ("seconds", "error"), [("1", TypeError), (float("nan"), ValueError), (-1, ValueError)]
)
def test_bad_times_are_refused(seconds, error):
    with pytest.raises(error, match="seconds"):
        EventLoop().set_busy_poll(seconds)
