"""The loops that the tests of `asynctcp.aio` run on: asyncio's own, which says what is right, and ours."""

from __future__ import annotations

import asyncio
import socket

import asynctcp.aio
from helpers import DEADLINE, LOOPBACK

LOOPS = {"asyncio": asyncio.SelectorEventLoop, "asynctcp": asynctcp.aio.new_event_loop}
#: The same by name, for programs that want one.
FACTORIES = {"asyncio": "asyncio:SelectorEventLoop", "asynctcp": "asynctcp.aio:new_event_loop"}


def run(loop, coroutine, deadline=DEADLINE):
    """Run it to its end, which must come in time."""

    async def bounded():
        async with asyncio.timeout(deadline):
            return await coroutine

    return loop.run_until_complete(bounded())


def turn(loop):
    """One turn: what is ready now is called."""
    loop.call_soon(loop.stop)
    loop.run_forever()


def turn_until(loop, condition):
    """Turns until the condition holds, within the deadline."""
    end = loop.time() + DEADLINE
    while not condition():
        assert loop.time() < end
        loop.call_later(0.001, loop.stop)
        loop.run_forever()


class Recorder(asyncio.Protocol):
    """A protocol that notes what it is told."""

    def __init__(self):
        self.told = []
        self.transport = None
        self.data = b""

    def connection_made(self, transport):
        self.transport = transport
        self.told.append("made")

    def data_received(self, data):
        self.data += data
        self.told.append("data")

    def eof_received(self):
        self.told.append("eof")

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")

    def connection_lost(self, exc):
        self.error = exc
        self.told.append(("lost", type(exc).__name__ if exc else None))


def connected(loop, protocol):
    """Connect a protocol to a plain blocking socket; returns transport and socket."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        async def connect():
            made = loop.create_connection(lambda: protocol, *listener.getsockname())
            transport, _ = await made
            return transport

        transport = run(loop, connect())
        peer, _ = listener.accept()
    peer.settimeout(DEADLINE)
    return transport, peer
