"""How a transport over TLS ends, by an `ssl.SSLContext` and a `TlsConfig`, as on asyncio's own loop."""

from __future__ import annotations

import array
import asyncio
import gc
import logging
import ssl
import warnings
import weakref
from asyncio import sslproto

import pytest

from helpers import Oops
from loops import Recorder, run, turn, turn_until
from secured import OURS, Link, World, tcp_pair


def write_much(link):
    """More than the kernel and the transport below take."""
    for _ in range(2):
        link.transport.write(b"x" * (32 << 20))


class Words(asyncio.BufferedProtocol):
    """A protocol with a buffer of numbers."""

    def __init__(self):
        self.buffer = array.array("I", bytes(4096))
        self.data = b""

    def get_buffer(self, _):
        return self.buffer

    def buffer_updated(self, count):
        self.data += bytes(memoryview(self.buffer).cast("B")[:count])


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
