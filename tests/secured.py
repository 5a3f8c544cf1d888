"""TLS of asyncio protocols; the other end is Python's own `ssl`, which steps as a loop turns."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import pytest

import asynctcp.aio
from certificates import authority
from helpers import LOOPBACK, descriptors, reset
from loops import Recorder, turn_until


class World:
    """A loop, and what `ssl=` gets there: asyncio's own says what is right."""

    def __init__(self, name):
        kind_of_loop, _, kind = name.partition("-")
        self.loop = (
            asyncio.SelectorEventLoop() if kind_of_loop == "asyncio" else asynctcp.aio.new_event_loop()
        )
        self.by_config = kind == "config"
        self.told = []
        self.loop.set_exception_handler(lambda _, context: self.told.append(context))

    def server(self, **keywords):
        """For a server."""
        return authority().server(**keywords) if self.by_config else authority().server_context()

    def client(self, **keywords):
        """For a client."""
        return authority().client(**keywords) if self.by_config else authority().client_context()


WORLDS = ["asyncio-context", "asynctcp-context", "asynctcp-config"]
OURS = WORLDS[1:]


def worlds(name):
    """One of them for a fixture, with as many descriptors at the end as at the beginning."""
    world = World(name)
    before = descriptors()
    yield world
    if not world.loop.is_closed():
        turn_until(world.loop, lambda: descriptors() == before)
        world.loop.close()


def tcp_pair():
    """Both ends of a connection."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    for raw in (one, other):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, other


class Peer:
    """The other end."""

    def __init__(self, raw, context=None, *, server_side=True, server_hostname=None):
        raw.setblocking(False)
        self.raw = raw
        self.got = bytearray()
        self.has_ended = False
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context or (authority().server_context() if server_side else authority().client_context())
        if not server_side:
            server_hostname = server_hostname or "localhost"
        self.session = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._unsent = b""

    def move(self):
        """Receive and send what the kernel has and takes."""
        self._unsent += self.outgoing.read()
        try:
            while self._unsent:
                self._unsent = self._unsent[self.raw.send(self._unsent) :]
        except BlockingIOError:
            pass
        try:
            while piece := self.raw.recv(1 << 16):
                self.incoming.write(piece)
            self.has_ended = True
            self.incoming.write_eof()
        except BlockingIOError:
            pass

    def attempt(self, function, *arguments):
        """Call a method of the session. None: it wants more."""
        self.move()
        try:
            result = function(*arguments)
        except ssl.SSLWantReadError:
            result = None
        self.move()
        return result

    def shakes_hands(self):
        """Whether the handshake is done."""
        try:
            return self.attempt(lambda: self.session.do_handshake() is None) is True
        except ssl.SSLError:
            self.move()
            raise

    def write(self, data):
        """Seal and send."""
        self.session.write(data)
        self.move()

    def read(self):
        """Take what there is; all so far. False: more may come."""
        try:
            while piece := self.attempt(self.session.read, 1 << 20):
                self.got += piece
        except ssl.SSLZeroReturnError:
            return True
        return piece == b""

    def unwrap(self):
        """Whether both have said that nothing follows."""
        try:
            self.session.unwrap()
        except ssl.SSLWantReadError:
            self.move()
            return False
        self.move()
        return True

    def says_end(self):
        """Send a close_notify and wait for none."""
        self.unwrap()

    def end(self):
        """The stream ends, without a word."""
        self.raw.shutdown(socket.SHUT_WR)

    def reset(self):
        """Close with a reset."""
        reset(self.raw)

    def close(self):
        """Close the stream."""
        self.raw.close()


class Link:
    """A transport of the world's loop, its protocol, and the other end."""

    def __init__(self, world, protocol=None, *, server_side=False, peer_context=None, ssl=None, **options):
        self.world, self.loop = world, world.loop
        self.protocol = protocol or Recorder()
        own, other = tcp_pair()
        self.peer = Peer(other, peer_context, server_side=not server_side)
        if server_side:
            made = self.loop.connect_accepted_socket(
                lambda: self.protocol, own, ssl=ssl or world.server(), **options
            )
        else:
            options.setdefault("server_hostname", "localhost")
            made = self.loop.create_connection(
                lambda: self.protocol, sock=own, ssl=ssl or world.client(), **options
            )
        self.attempt = self.loop.create_task(made)

    @classmethod
    def open(cls, world, protocol=None, **options):
        """One whose handshake is done."""
        link = cls(world, protocol, **options)
        link.until(lambda: link.peer.shakes_hands() and link.attempt.done())
        link.transport, _ = link.attempt.result()
        return link

    def until(self, condition):
        """Turn the loop until then."""
        turn_until(self.loop, condition)

    def receives(self, count):
        """Wait until the peer has so many bytes; what it has."""
        self.until(lambda: self.peer.read() or len(self.peer.got) >= count)
        return bytes(self.peer.got)

    def lost(self):
        """Wait until the protocol was told of the end; what it was told."""
        self.until(lambda: self.protocol.told and isinstance(self.protocol.told[-1], tuple))
        return self.protocol.told

    def close(self):
        """Close both ends."""
        if self.attempt.done() and not self.attempt.cancelled() and self.attempt.exception() is None:
            self.attempt.result()[0].abort()
        self.peer.close()


async def echo(reader, writer):
    """Serve a connection of asyncio's streams."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def serving(config, handler=echo, **options):
    """A server of asyncio's streams, and its address."""
    server = await asyncio.start_server(handler, LOOPBACK, 0, ssl=config, **options)
    return server, server.sockets[0].getsockname()


async def refused(address, config, **options):
    """Why a client does not get through."""
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the tests say what it is
        await asyncio.open_connection(*address, ssl=config, **options)
    return caught.value
