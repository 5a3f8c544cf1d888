"""Transports over TLS, by an `ssl.SSLContext` and a `TlsConfig`: each behaviour as on asyncio's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import ssl
import tempfile
import time

import pytest

from helpers import DEADLINE, MUCH, Oops
from loops import Recorder, run, turn, turn_until, until
from secured import OURS, Link, Peer, World, tcp_pair


class Buffered(asyncio.BufferedProtocol):
    """A protocol with a buffer of so many bytes."""

    def __init__(self, size):
        self.buffer = bytearray(size)
        self.data = b""
        self.told = []

    def get_buffer(self, _):
        return memoryview(self.buffer) if isinstance(self.buffer, bytearray) else self.buffer

    def buffer_updated(self, count):
        self.data += self.buffer[:count]

    def connection_lost(self, exc):
        self.told.append(("lost", type(exc).__name__ if exc else None))


class Echo(Recorder):
    """Sends back what comes, and heeds backpressure."""

    def data_received(self, data):
        super().data_received(data)
        self.transport.write(data)

    def pause_writing(self):
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self):
        super().resume_writing()
        self.transport.resume_reading()


# --- what a transport looks like ----------------------------------------------------------------------------


def test_transport_looks_like_asyncios(world, side):
    link = Link.open(world, **side)
    transport = link.transport
    assert isinstance(transport, asyncio.Transport)
    assert "SSL" in type(transport).__name__ or "SSL" in transport.__class__.__name__
    assert transport.get_protocol() is link.protocol
    assert transport.is_reading()
    assert not transport.is_closing()
    assert not transport.can_write_eof()
    with pytest.raises(NotImplementedError):
        transport.write_eof()
    assert transport.get_write_buffer_limits() == (128 * 1024, 512 * 1024)
    assert transport.get_read_buffer_limits() == (64 * 1024, 256 * 1024)
    assert transport.get_write_buffer_size() == transport.get_read_buffer_size() == 0
    assert transport.get_extra_info("socket").fileno() > 0
    assert transport.get_extra_info("peername") == link.peer.raw.getsockname()
    assert transport.get_extra_info("sslcontext") is not None
    assert transport.get_extra_info("cipher")[1:] == ("TLSv1.3", 256)
    assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert transport.get_extra_info("compression") is None
    assert transport.get_extra_info("nothing", 5) == 5
    names = {"subjectAltName": (("DNS", "localhost"), ("IP Address", "127.0.0.1"), ("IP Address", "::1"))}
    peercert = transport.get_extra_info("peercert")
    assert (
        peercert is None if side["server_side"] else peercert["subjectAltName"][0] in names["subjectAltName"]
    )
    assert transport._ssl_protocol._sslcontext is transport.get_extra_info("sslcontext")
    assert transport._ssl_protocol._app_transport is transport
    link.close()
    assert transport.is_closing()


def test_limits_are_set_as_asyncio_sets_them(world):
    link = Link.open(world)
    transport = link.transport
    transport.set_write_buffer_limits(high=1000)
    assert transport.get_write_buffer_limits() == (250, 1000)
    transport.set_write_buffer_limits(low=1000)
    assert transport.get_write_buffer_limits() == (1000, 4000)
    transport.set_read_buffer_limits(high=1000, low=1)
    assert transport.get_read_buffer_limits() == (1, 1000)
    for bad in ({"high": 1, "low": 2}, {"high": -1}):
        with pytest.raises(ValueError, match="must be >= low"):
            transport.set_write_buffer_limits(**bad)
        with pytest.raises(ValueError, match="must be >= low"):
            transport.set_read_buffer_limits(**bad)
    link.close()


def test_protocol_is_replaced(world):
    link = Link.open(world)
    new = Recorder()
    link.transport.set_protocol(new)
    link.peer.write(b"for the new one")
    link.until(lambda: new.data)
    assert link.protocol.data == b""
    assert link.transport.get_protocol() is new
    link.close()


@pytest.mark.parametrize("name", OURS)
def test_transport_is_printed_with_its_state(name):
    world = World(name)
    link = Link.open(world)
    assert repr(link.transport).startswith("<TlsTransport WRAPPED over <Transport fd=")
    link.close()
    turn_until(world.loop, lambda: link.transport._transport is None)
    assert repr(link.transport) == "<TlsTransport UNWRAPPED over None>"
    world.loop.close()


# --- both ways ----------------------------------------------------------------------------------------------


def test_data_goes_both_ways(world, side):
    link = Link.open(world, **side)
    link.transport.write(b"one")
    link.transport.writelines([b", two", bytearray(b", three"), memoryview(b", four"), b""])
    assert link.receives(21) == b"one, two, three, four"
    link.peer.write(b"answer")
    link.until(lambda: link.protocol.data == b"answer")
    link.close()
    assert link.lost() == ["made", "data", ("lost", None)]


def test_what_is_no_bytes_is_refused(world):
    link = Link.open(world)
    with pytest.raises(TypeError, match="expecting a bytes-like instance, got str"):
        link.transport.write("text")
    link.close()


def test_what_is_written_before_the_handshake_goes_after_it(world, side):
    class Early(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()
            transport.write(b"early")

    link = Link.open(world, Early(), **side)
    assert link.receives(5) == b"early"
    link.close()


@pytest.mark.parametrize("size", [1, 1000, 16384, 20000, MUCH])
def test_echo_of_any_size_is_whole(world, side, size):
    link = Link.open(world, Echo(), **side)
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    link.peer.write(data)
    assert link.receives(size) == data
    link.close()


def test_many_small_writes_of_one_step_arrive_in_order(world):
    link = Link.open(world)
    pieces = [bytes([number % 256]) * (number % 700) for number in range(400)]
    world.loop.call_soon(lambda: [link.transport.write(piece) for piece in pieces])
    whole = b"".join(pieces)
    assert link.receives(len(whole)) == whole
    link.close()


@pytest.mark.parametrize("name", OURS)
def test_what_one_step_writes_is_one_record(name):
    world = World(name)
    link = Link.open(world)
    link.peer.move()

    def write():
        link.transport.write(b"head")
        link.transport.write(b"body")

    world.loop.call_soon(write)
    turn(world.loop)
    link.until(lambda: link.peer.attempt(link.peer.session.read, 100) == b"headbody")
    link.close()
    turn_until(world.loop, lambda: link.transport._transport is None)
    world.loop.close()


def test_writer_is_paused_and_told_to_go_on(world, side):
    link = Link.open(world, **side)
    size = 0
    while "pause" not in link.protocol.told:
        link.transport.write(b"x" * 100_000)
        size += 100_000
        assert size < 100 << 20
    assert link.transport.get_write_buffer_size() >= 512 * 1024
    assert len(link.receives(size)) == size
    link.until(lambda: link.protocol.told[-1] == "resume")
    assert link.protocol.told == ["made", "pause", "resume"]
    link.close()


def test_nothing_is_delivered_while_reading_is_paused(world):
    link = Link.open(world)
    link.transport.pause_reading()
    assert not link.transport.is_reading()
    link.peer.write(b"x" * 600_000)
    for _ in range(50):
        turn(world.loop)
        link.peer.move()
    assert link.protocol.data == b""
    assert 0 < link.transport.get_read_buffer_size() < 600_000
    link.transport.resume_reading()
    link.until(lambda: link.peer.move() or len(link.protocol.data) == 600_000)
    link.close()


@pytest.mark.parametrize("size", [10, 1000, 100_000])
def test_protocol_with_a_buffer_of_its_own_gets_all(world, size):
    link = Link.open(world, Buffered(size))
    link.peer.write(b"abcdefg" * 10_000)
    link.until(lambda: link.peer.move() or len(link.protocol.data) == 70_000)
    assert link.protocol.data == b"abcdefg" * 10_000
    link.peer.says_end()
    assert link.lost() == [("lost", None)]
    link.close()


def test_protocol_with_a_buffer_of_its_own_is_not_read_for_while_paused(world):
    link = Link.open(world, Buffered(10))
    link.transport.pause_reading()
    link.peer.write(b"x" * 30)
    link.until(lambda: link.transport.get_read_buffer_size() > 0)
    assert link.protocol.data == b""
    link.transport.resume_reading()
    link.until(lambda: len(link.protocol.data) == 30)
    link.close()


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("buffer", [b"", b"read-only", "no buffer"])
def test_bad_buffer_ends_the_connection(name, buffer):
    world = World(name)
    protocol = Buffered(1)
    link = Link.open(world, protocol)
    protocol.buffer = buffer
    link.peer.write(b"data")
    ((_what, error),) = link.lost()
    assert error in {"RuntimeError", "TypeError", "BufferError", "ValueError"}
    assert [context["message"] for context in world.told] == ["Fatal error on SSL protocol"]
    link.close()
    world.loop.close()


def test_file_is_sent(world):
    link = Link.open(world)
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789" * 50_000)
        file.seek(0)
        sending = world.loop.create_task(world.loop.sendfile(link.transport, file))
        assert len(link.receives(500_000)) == 500_000
        link.until(sending.done)
        assert sending.result() == 500_000
    link.close()


def test_what_a_long_step_wrote_is_sent_meanwhile(world, side):
    link = Link.open(world, **side)
    pieces = [bytes([number]) * size for number, size in enumerate([1, 5000, 200_000, 3, 40_000])]

    def step():
        whole = b""
        for piece in pieces:
            whole += piece
            link.transport.write(piece)
            end = time.monotonic() + DEADLINE
            while len(link.peer.got) < len(whole):
                assert time.monotonic() < end
                link.peer.read()
                time.sleep(0.001)
        done.append(whole)

    done = []
    world.loop.call_soon(step)
    link.until(lambda: done)
    assert link.peer.got == done[0]
    link.close()


@pytest.mark.parametrize("name", OURS)
def test_step_that_writes_on_and_on_is_sent_in_order(name):
    """The thread that sends meanwhile and the step take turns at one session."""
    world = World(name)
    link = Link.open(world)
    link.peer.raw.setblocking(False)

    def step():
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            sent.append(bytes([len(sent) % 256]) * (len(sent) * 37 % 9000))
            link.transport.write(sent[-1])
            link.peer.read()

    sent = []
    world.loop.call_soon(step)
    link.until(lambda: sent)
    whole = b"".join(sent)
    assert link.receives(len(whole)) == whole
    link.close()
    link.lost()
    world.loop.close()


# --- handshakes ---------------------------------------------------------------------------------------------


def test_handshake_that_takes_too_long_is_given_up(world, side):
    link = Link(world, **side, ssl_handshake_timeout=0.05)
    link.until(link.attempt.done)
    error = link.attempt.exception()
    assert isinstance(error, ConnectionAbortedError)
    assert "SSL handshake is taking longer than 0.05 seconds: aborting the connection" in str(error)
    assert link.protocol.told == []
    link.close()


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
def test_timeouts_must_be_positive(world, name):
    own, other = tcp_pair()
    with pytest.raises(ValueError, match=f"{name} should be a positive number, got 0"):
        run(
            world.loop,
            world.loop.create_connection(
                Recorder, sock=own, ssl=world.client(), server_hostname="localhost", **{name: 0}
            ),
        )
    own.close()
    other.close()


def test_peer_that_ends_in_the_handshake_is_told_of(world, side):
    link = Link(world, **side)
    link.peer.end()
    link.until(link.attempt.done)
    assert isinstance(link.attempt.exception(), ConnectionResetError)
    link.close()


def test_garbage_in_the_handshake_is_told_of(world, side):
    link = Link(world, **side)
    link.peer.raw.send(b"GET / HTTP/1.0\r\n\r\n" * 10)
    link.until(link.attempt.done)
    assert isinstance(link.attempt.exception(), ssl.SSLError)
    assert link.protocol.told == []
    assert world.told == []
    link.close()


def test_garbage_to_a_server_is_told_to_the_handler_in_debug_mode(world):
    world.loop.set_debug(True)

    async def main():
        server = await world.loop.create_server(Recorder, "127.0.0.1", 0, ssl=world.server())
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await reader.read()
        await until(lambda: world.told)
        writer.close()
        server.close()

    run(world.loop, main())
    (context,) = world.told
    assert context["message"] == "Error on transport creation for incoming connection"
    assert isinstance(context["exception"], ssl.SSLError)


def test_attempt_that_is_cancelled_in_the_handshake_closes_its_connection(world, side):
    link = Link(world, **side)
    for _ in range(5):
        turn(world.loop)
    link.attempt.cancel()
    link.until(link.attempt.done)
    assert link.attempt.cancelled()
    link.until(lambda: link.peer.move() or link.peer.has_ended)
    assert link.protocol.told == []
    link.close()


def test_exception_of_connection_made_ends_the_connection(world):
    class Bad(Recorder):
        def connection_made(self, _):
            raise Oops

    link = Link(world, Bad())
    with pytest.raises(ssl.SSLEOFError):
        link.until(lambda: link.peer.shakes_hands() and link.attempt.done())
    link.until(link.attempt.done)
    assert isinstance(link.attempt.exception(), Oops)
    assert world.told[0]["message"] == "Fatal error: protocol.buffer_updated() call failed."
    link.close()


def test_handshake_and_end_are_logged_in_debug_mode(world, caplog):
    world.loop.set_debug(True)
    with caplog.at_level(logging.DEBUG, "asyncio"):
        link = Link.open(world)
        link.peer.says_end()
        link.peer.end()
        link.lost()
        link.close()
        bad = Link(world)
        bad.peer.end()
        bad.until(bad.attempt.done)
        bad.attempt.exception()
        bad.close()
    text = caplog.text
    for words in ("starts SSL handshake", "SSL handshake took", "received EOF", "SSL handshake failed"):
        assert words in text


def test_connection_is_wrapped_twice(world):
    """TLS over TLS, by `start_tls`."""
    link = Link.open(world)
    inner = Recorder()
    upgrade = world.loop.create_task(
        world.loop.start_tls(link.transport, inner, world.client(), server_hostname="localhost")
    )
    peer = Peer.__new__(Peer)
    own, other = tcp_pair()
    Peer.__init__(peer, other)

    def relay():
        """What is in the outer session is the inner one's bytes, by a pair of sockets."""
        link.peer.read()
        if link.peer.got:
            own.send(link.peer.got)
            link.peer.got.clear()
        peer.shakes_hands()
        own.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            link.peer.write(own.recv(1 << 16))

    link.until(lambda: relay() or upgrade.done())
    upgrade.result().write(b"inside")
    link.until(lambda: relay() or peer.read() or peer.got)
    assert peer.got == b"inside"
    upgrade.result().abort()
    link.until(lambda: inner.told)
    link.close()
    own.close()
    peer.close()


@pytest.mark.slow
def test_connections_leave_nothing(world):
    """Many in a row, ended in each way."""
    before = len(gc.get_objects())
    for number in range(60):
        link = Link.open(world, Echo())
        link.peer.write(b"x" * 1000)
        link.receives(1000)
        if number % 3 == 0:
            link.transport.close()
            link.until(link.peer.unwrap)
        elif number % 3 == 1:
            link.peer.says_end()
        else:
            link.peer.reset()
        link.lost()
        link.close()
    del link
    gc.collect()
    assert len(gc.get_objects()) - before < 600
