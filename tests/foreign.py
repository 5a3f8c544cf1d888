"""What a foreign loop does with `asynctcp.EventLoop.fileno` and `asynctcp.EventLoop.pump`."""

from __future__ import annotations

import contextlib
import select
import time

from asynctcp import tcp_server
from helpers import DEADLINE, LOOPBACK, DeadlineMissed, echo


def is_readable(loop, timeout=0.0):
    return select.select([loop.fileno()], [], [], timeout)[0] != []


def pump_until(loop, condition):
    """What a foreign loop does: pump whenever the descriptor is readable, until ``condition()``."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise DeadlineMissed
        if is_readable(loop, 1.0):
            loop.pump()


def drain(loop):
    """Pump until the descriptor is silent."""
    pump_until(loop, lambda: not is_readable(loop))


def setup(loop, function):
    """Run ``function()`` in the loop; return what it returned."""
    results = []
    loop.call_soon_threadsafe(lambda: results.append(function()))
    pump_until(loop, lambda: results)
    return results[0]


def echo_server(loop, **keywords):
    return setup(loop, lambda: tcp_server(LOOPBACK, 0, echo, **keywords))


def exchange(loop, raw, data):
    """Send ``data`` and pump until as much came back."""
    raw.sendall(data)
    raw.setblocking(False)
    got = bytearray()

    def come():
        with contextlib.suppress(BlockingIOError):
            got.extend(raw.recv(1 << 16))
        return len(got) == len(data)

    pump_until(loop, come)
    return bytes(got)
