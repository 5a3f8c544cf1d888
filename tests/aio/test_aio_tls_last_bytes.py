"""What was written last over TLS, and what has come last, arrives although the connection ends at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import pytest

from certificates import authority
from helpers import LOOPBACK, Oops
from loops import Recorder, run, turn, until
from secured import OURS, Link

WORDS = b"last words"


def below(transport):
    """The transport below, as asyncio's servers have it."""
    return transport._ssl_protocol._transport


ENDS = {
    "abort": lambda transport: transport.abort(),
    "abort-below": lambda transport: below(transport).abort(),
    "close-below": lambda transport: below(transport).close(),
    "eof-below": lambda transport: below(transport).write_eof(),
    "shutdown": lambda transport: transport.get_extra_info("socket").shutdown(socket.SHUT_WR),
}


def last_bytes(link, count):
    """What the peer gets before an end without close_notify, or a reset."""
    with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
        link.receives(count)
    # Received together with the reset.
    with contextlib.suppress(ssl.SSLError):
        while piece := link.peer.session.read(1 << 20):
            link.peer.got += piece
    return bytes(link.peer.got)


def last_words(link):
    """The same of a few words."""
    return last_bytes(link, len(WORDS))


class Small(asyncio.BufferedProtocol):
    """A protocol with a small buffer."""

    def __init__(self):
        self.buffer = bytearray(1000)
        self.count = 0
        self.pauses_at = None
        self.told = []

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, _):
        return self.buffer

    def buffer_updated(self, count):
        self.count += count
        if self.count == self.pauses_at:
            self.transport.pause_reading()

    def eof_received(self):
        self.told.append("eof")

    def connection_lost(self, exc):
        self.told.append(("lost", exc and type(exc).__name__))


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_was_written_is_sent_before_an_end_in_the_same_step(world, side, end):
    def say(transport):
        transport.write(WORDS)
        end(transport)

    link = Link.open(world, **side)
    world.loop.call_soon(say, link.transport)
    assert last_words(link) == WORDS
    link.close()
    link.lost()


@pytest.mark.parametrize("error", [Oops, asyncio.CancelledError])
def test_what_was_written_is_sent_before_the_exception_ends_the_connection(world, side, error):
    class Fails(Recorder):
        def data_received(self, _):
            self.transport.write(WORDS)
            raise error

    link = Link.open(world, Fails(), **side)
    link.peer.write(b"data")
    assert last_words(link) == WORDS
    assert link.lost()[-1] == ("lost", error.__name__)
    link.close()


def test_what_was_written_in_connection_made_is_sent_before_its_exception_ends_the_connection(world):
    class Fails(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(WORDS)
            raise Oops

    link = Link(world, Fails(), server_side=True)
    link.until(link.peer.shakes_hands)
    assert last_words(link) == WORDS
    link.lost()
    link.until(link.attempt.done)
    link.attempt.exception()
    link.close()


@pytest.mark.parametrize("world", OURS, indirect=True)
def test_all_that_waits_is_sent_where_the_transport_below_closes(world):
    # asyncio's own loses it.
    link = Link.open(world)
    for _ in range(2):
        link.transport.write(b"x" * (8 << 20))
    assert link.transport.get_write_buffer_size() > 0
    below(link.transport).close()
    assert len(last_bytes(link, 16 << 20)) == 16 << 20
    link.close()
    link.lost()


def test_nothing_is_sent_behind_what_the_kernel_did_not_take(world):
    link = Link.open(world)
    link.transport.write(b"x" * (32 << 20))
    world.loop.call_soon(lambda: (link.transport.write(WORDS), link.transport.abort()))
    link.lost()
    assert last_bytes(link, 33 << 20).strip(b"x") == b""
    link.close()


@pytest.mark.parametrize("world", OURS, indirect=True)
@pytest.mark.parametrize("end", ["data_received", "abort"])
def test_over_tls_over_tls_what_was_written_is_sent_before_the_end(world, end):
    class Fails(Recorder):
        def data_received(self, _):
            self.transport.write(WORDS)
            if end == "abort":
                below(below(self.transport)).abort()
            else:
                raise Oops

    async def main():
        loop, hostname = world.loop, {"server_hostname": "localhost"}
        accepted = loop.create_future()

        class First(Recorder):
            def connection_made(self, transport):
                accepted.set_result(transport)

        server = await loop.create_server(First, LOOPBACK, 0, ssl=world.server())
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(Recorder, *address, ssl=world.client(), **hostname)
        served, client = Fails(), Recorder()
        served.transport, client.transport = await asyncio.gather(
            loop.start_tls(await accepted, served, authority().server(), server_side=True),
            loop.start_tls(transport, client, authority().client(), **hostname),
        )
        client.transport.write(b"data")
        await until(lambda: client.told and isinstance(client.told[-1], tuple))
        server.close()
        return client.data

    assert run(world.loop, main()) == WORDS


@pytest.mark.parametrize("world", OURS, indirect=True)
@pytest.mark.parametrize("notifies", [True, False])
def test_what_has_come_before_the_end_goes_to_a_small_buffer_to_the_last_byte(world, notifies):
    # asyncio's own loses what did not fit.
    link = Link.open(world, Small())
    link.peer.session.write(b"x" * 10_000)
    if notifies:
        link.peer.says_end()
    link.peer.move()
    link.peer.end()
    link.lost()
    assert link.protocol.count == 10_000
    assert link.protocol.told[0] == "eof" or not notifies
    link.close()


@pytest.mark.parametrize("world", OURS, indirect=True)
@pytest.mark.parametrize("notifies", [True, False])
def test_rest_of_what_came_before_the_end_goes_to_a_protocol_of_another_kind(world, notifies):
    class Handing(Small):
        def buffer_updated(self, count):
            super().buffer_updated(count)
            if self.count == 3000:
                self.transport.set_protocol(rest)

    rest, link = Recorder(), Link.open(world, Handing())
    link.peer.session.write(b"x" * 10_000)
    if notifies:
        link.peer.says_end()
    link.peer.move()
    link.peer.end()
    link.until(lambda: rest.told and isinstance(rest.told[-1], tuple))
    assert (link.protocol.count, rest.data) == (3000, b"x" * 7000)
    link.close()


@pytest.mark.parametrize("world", OURS, indirect=True)
def test_protocol_that_pauses_on_what_came_before_the_end_gets_the_rest_when_it_goes_on(world):
    link = Link.open(world, Small())
    link.protocol.pauses_at = 3000
    link.peer.session.write(b"x" * 10_000)
    link.peer.says_end()
    link.peer.end()
    link.until(lambda: link.protocol.count == 3000)
    for _ in range(10):
        turn(world.loop)
    assert (link.protocol.count, link.protocol.told) == (3000, [])
    link.transport.resume_reading()
    assert link.lost() == ["eof", ("lost", None)]
    assert link.protocol.count == 10_000
    link.close()


@pytest.mark.parametrize("world", OURS, indirect=True)
def test_close_ends_a_connection_whose_end_has_come_while_reading_was_paused(world):
    # asyncio's own stays until it reads again.
    link = Link.open(world)
    link.transport.pause_reading()
    link.peer.says_end()
    link.peer.end()
    link.until(lambda: link.transport._phase == "FLUSHING")
    link.transport.close()
    link.lost()
    link.close()


@pytest.mark.parametrize("world", OURS, indirect=True)
def test_what_was_written_is_sent_although_the_end_has_come_while_reading_is_paused(world):
    class Late(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    link = Link.open(world, Late())
    below_it = below(link.transport)
    # Both in one step, as where another connection's callback writes to this one.
    world.loop.call_soon(lambda: (link.transport.write(WORDS), below_it.get_protocol().eof_received()))
    assert last_words(link) == WORDS
    link.close()
    link.lost()
