"""The loops that the tests of `asynctcp.aio` run on, and connections: asyncio's own loop beside ours."""

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


#: What a protocol is told of the end when its peer has left.
LOST = [("lost", name) for name in ("ConnectionResetError", "BrokenPipeError", None)]


class Connection:
    """A transport of the loop, its protocol and the other end as a plain socket."""

    def __init__(self, loop, protocol=None):
        self.loop = loop
        self.protocol = protocol or Recorder()
        self.protocol.told = getattr(self.protocol, "told", [])
        self.transport, self.peer = connected(loop, self.protocol)

    def take(self, count=None):
        """Receive so many bytes, or all until the end, while the loop takes its turns."""
        self.peer.setblocking(False)
        got = bytearray()

        def is_done():
            try:
                piece = self.peer.recv(1 << 20)
            except BlockingIOError:
                return False
            got.extend(piece)
            return not piece if count is None else len(got) == count

        turn_until(self.loop, is_done)
        return got

    def close(self):
        self.peer.close()
        # asyncio's own cannot be aborted again.
        if ("lost", None) not in self.protocol.told:
            self.transport.abort()
        turn_until(self.loop, lambda: self.transport.get_extra_info("socket").fileno() == -1)


def drain(peer, count):
    """Receive exactly so many bytes."""
    data = bytearray()
    while len(data) < count:
        piece = peer.recv(1 << 20)
        assert piece
        data += piece
    return bytes(data)


async def until(condition):
    """Wait until the condition holds, within the deadline."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - of a protocol, which sets no event
            await asyncio.sleep(0.001)


def peer_of(server):
    """Connect a plain socket to a server of asyncio's kind."""
    peer = socket.create_connection(server.sockets[0].getsockname(), timeout=DEADLINE)
    peer.setblocking(False)
    return peer
