"""Transports over TLS, by an `ssl.SSLContext` and a `TlsConfig`: each behaviour as on asyncio's own loop."""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import logging
import ssl
import tempfile
import time
import warnings
import weakref
from asyncio import sslproto

import pytest

from helpers import DEADLINE, MUCH, Oops, descriptors
from loops import Recorder, run, turn, turn_until
from secured import OURS, WORLDS, Link, Peer, World, tcp_pair, until


@pytest.fixture(params=WORLDS)
def world(request):
    world = World(request.param)
    before = descriptors()
    yield world
    if not world.loop.is_closed():
        turn_until(world.loop, lambda: descriptors() == before)
        world.loop.close()


@pytest.fixture(params=["client", "server"])
def side(request):
    return {"server_side": request.param == "server"}


def write_much(link):
    """More than the kernel and the transport below take."""
    for _ in range(2):
        link.transport.write(b"x" * (32 << 20))


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


class Words(asyncio.BufferedProtocol):
    """A protocol with a buffer of numbers."""

    def __init__(self):
        self.buffer = array.array("I", bytes(4096))
        self.data = b""

    def get_buffer(self, _):
        return self.buffer

    def buffer_updated(self, count):
        self.data += bytes(memoryview(self.buffer).cast("B")[:count])


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


# --- how it ends --------------------------------------------------------------------------------------------


def test_end_of_the_peers_is_told_once(world, side):
    link = Link.open(world, **side)
    link.peer.write(b"last")
    link.peer.says_end()
    link.until(link.peer.unwrap)
    assert link.lost() in (["made", "data", "eof", ("lost", None)], ["made", "eof", ("lost", None)])
    assert link.protocol.data == b"last"
    link.close()


def test_close_sends_all_and_the_end(world, side):
    link = Link.open(world, **side)
    link.transport.write(b"x" * 3_000_000)
    link.transport.close()
    assert link.transport.is_closing()
    link.transport.close()
    link.until(link.peer.read)
    assert len(link.peer.got) == 3_000_000
    link.until(link.peer.unwrap)
    assert link.lost()[-1] == ("lost", None)
    link.close()


def test_close_in_a_callback_sends_what_that_wrote(world, side):
    class Once(Recorder):
        def data_received(self, data):
            self.transport.write(data * 2)
            self.transport.close()

    link = Link.open(world, Once(), **side)
    link.peer.write(b"word")
    link.until(link.peer.read)
    assert link.peer.got == b"wordword"
    link.until(link.peer.unwrap)
    assert link.lost() == ["made", "eof", ("lost", None)]
    link.close()


def test_all_is_sent_although_the_peer_has_said_its_end(world):
    link = Link.open(world)
    world.loop.call_soon(link.transport.write, b"x" * 2_000_000)
    turn(world.loop)
    link.peer.says_end()
    link.until(lambda: "eof" in link.protocol.told)
    link.until(lambda: link.peer.read() or len(link.peer.got) == 2_000_000)
    assert len(link.peer.got) == 2_000_000
    link.lost()
    link.close()


def test_reset_is_told_as_one(world, side):
    link = Link.open(world, **side)
    link.peer.reset()
    assert link.lost() == ["made", ("lost", "ConnectionResetError")]


def test_abort_sends_no_end(world):
    link = Link.open(world)
    link.transport.abort()
    assert link.lost() == ["made", ("lost", None)]
    # What the peer sends on its own, a ticket, may be answered by a reset.
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        link.until(link.peer.read)
    link.close()


def test_writes_after_the_end_are_dropped_and_warned_of(world, caplog):
    link = Link.open(world)
    link.transport.abort()
    link.lost()
    with caplog.at_level(logging.WARNING, "asyncio"):
        for _ in range(20):
            link.transport.write(b"nothing")
    assert {record.message for record in caplog.records} == {"SSL connection is closed"}
    assert 10 < len(caplog.records) < 20
    assert link.transport.get_protocol() is None
    link.transport.resume_reading()
    link.transport.close()
    link.transport.abort()
    link.close()


def test_peer_that_does_not_answer_the_end_is_left_in_time(world):
    link = Link.open(world, ssl_shutdown_timeout=0.05)
    link.transport.close()
    assert link.lost() == ["made", ("lost", "TimeoutError")]
    assert str(link.protocol.error) == "SSL shutdown timed out"
    link.close()


def test_unread_data_is_delivered_before_the_end(world):
    link = Link.open(world)
    link.transport.pause_reading()
    link.peer.write(b"unread")
    link.peer.says_end()
    link.peer.end()
    for _ in range(10):
        turn(world.loop)
    assert link.protocol.told == ["made"]
    link.transport.resume_reading()
    assert link.lost() == ["made", "data", "eof", ("lost", None)]
    assert link.protocol.data == b"unread"
    link.close()


def test_garbage_after_the_handshake_ends_the_connection(world):
    link = Link.open(world)
    link.peer.raw.send(b"\x17\x03\x03\x00\x20" + b"garbage!" * 4)
    ((_, _error),) = link.lost()[1:]
    assert isinstance(link.protocol.error, ssl.SSLError)
    assert world.told == []
    link.close()


@pytest.mark.parametrize("name", ["data_received", "eof_received"])
def test_exception_of_the_protocol_ends_the_connection(world, name):
    protocol = Recorder()
    link = Link.open(world, protocol)

    def fail(*_):
        raise Oops

    setattr(protocol, name, fail)
    link.peer.write(b"data")
    link.peer.says_end()
    assert link.lost()[-1] == ("lost", "Oops")
    words = {"data_received": "Fatal error on SSL protocol", "eof_received": "Error calling eof_received()"}
    assert world.told[0]["message"] == words[name]
    assert isinstance(world.told[0]["exception"], Oops)
    link.close()


@pytest.mark.parametrize("name", ["data_received", "eof_received", "pause_writing"])
def test_exception_that_ends_a_program_goes_on(world, name):
    protocol = Recorder()
    link = Link.open(world, protocol)

    def leave(*_):
        raise SystemExit

    setattr(protocol, name, leave)
    if name == "pause_writing":
        with pytest.raises(SystemExit):
            write_much(link)
    else:
        link.peer.write(b"data")
        link.peer.says_end()
        with pytest.raises(SystemExit):
            turn_until(world.loop, lambda: False)
    link.close()
    link.until(lambda: link.transport.get_protocol() is None)


def test_answer_of_a_peer_that_left_while_writing_was_blocked_is_delivered_before_the_loss(world):
    link = Link.open(world)
    write_much(link)
    turn_until(world.loop, lambda: link.protocol.told[-1] == "pause")
    # Sealed and sent, and nothing received: its close is a reset.
    link.peer.session.write(b"413 too large")
    link.peer.raw.sendall(link.peer.outgoing.read())
    link.peer.close()
    assert isinstance(link.lost()[-1], tuple)
    assert link.protocol.data == b"413 too large"


@pytest.mark.parametrize("world", OURS, indirect=True)
def test_records_follow_one_another_in_a_protocols_buffer_of_numbers(world):
    # asyncio's own loses the second one.
    link = Link.open(world, Words())
    for piece in (b"one ", b"two"):
        link.peer.session.write(piece)
    link.peer.move()
    link.until(lambda: len(link.protocol.data) == 7)
    assert link.protocol.data == b"one two"
    link.close()


@pytest.mark.parametrize("world", OURS, indirect=True)
def test_lines_with_a_bad_one_are_not_sent(world):
    link = Link.open(world)
    with pytest.raises(TypeError, match="bytes-like object"):
        link.transport.writelines([b"x", "text"])
    link.transport.writelines([b"g", array.array("H", b"oo"), b"d"])
    assert link.receives(4) == b"good"
    link.close()
    link.lost()


def test_protocol_that_fails_to_pause_is_told_of(world):
    protocol = Recorder()
    link = Link.open(world, protocol)

    def fail():
        raise Oops

    protocol.pause_writing = fail
    write_much(link)
    (context,) = world.told
    assert context["message"] == "protocol.pause_writing() failed"
    assert context["transport"] is link.transport
    link.close()
    link.lost()


def test_cancelled_error_of_the_protocol_ends_the_connection(world):
    protocol = Recorder()
    link = Link.open(world, protocol)

    def cancel():
        raise asyncio.CancelledError

    protocol.eof_received = cancel
    link.peer.says_end()
    link.lost()
    assert world.told == []
    link.close()


def test_true_of_eof_received_has_no_effect_and_is_warned_of(world, caplog):
    protocol = Recorder()
    protocol.eof_received = lambda: True
    link = Link.open(world, protocol)
    with caplog.at_level(logging.WARNING, "asyncio"):
        link.peer.says_end()
        link.lost()
    assert [record.message for record in caplog.records] == [
        "returning true from eof_received() has no effect when using ssl"
    ]
    link.close()


def test_transport_that_was_closed_twice_keeps_no_context(world):
    class Keeper(Recorder):
        def eof_received(self):
            self.transport.close()

    context = world.client()
    link = Link.open(world, Keeper(), ssl=context)
    link.peer.says_end()
    link.lost()
    link.transport.close()
    link.close()
    if not world.by_config:
        context = weakref.ref(context)
        link.attempt = None
        assert context() is None
    assert link.transport.is_closing()


@pytest.mark.parametrize("name", OURS)
def test_what_waits_unsealed_is_sent_before_the_end(name):
    world = World(name)
    link = Link.open(world)
    link.transport._test__append_write_backlog(b"x" * 100_000)
    link.peer.says_end()
    assert len(link.receives(100_000)) == 100_000
    link.lost()
    link.close()
    world.loop.close()


def test_start_tls_over_a_closed_connection_gives_none(world):
    own, other = tcp_pair()

    async def main():
        transport, protocol = await world.loop.create_connection(Recorder, sock=own)
        transport.close()
        return await world.loop.start_tls(transport, protocol, world.client(), server_hostname="localhost")

    assert run(world.loop, main()) is None
    other.close()


def test_protocol_in_the_place_of_asyncios_is_used(world, monkeypatch):
    seen = []
    made = sslproto.SSLProtocol.connection_made

    def note(protocol, transport):
        seen.append(protocol)
        made(protocol, transport)

    monkeypatch.setattr(sslproto.SSLProtocol, "connection_made", note)
    link = Link.open(world)
    assert len(seen) == (not world.by_config)
    link.close()
    link.lost()


def test_unclosed_transport_is_warned_of(world):
    link = Link.open(world)
    link.peer.close()
    world.loop.set_exception_handler(None)
    world.loop.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del link
        gc.collect()
    words = [str(one.message) for one in caught if one.category is ResourceWarning]
    assert any("Transport" in word and "unclosed" in word for word in words)
    assert len(words) >= 2


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
