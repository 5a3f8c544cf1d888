"""How stream transports of `asynctcp.aio` end, each behaviour as on asyncio's own loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import warnings
import weakref

import pytest

import asynctcp.aio
from asynctcp.aio import _transport
from helpers import LOOPBACK, MUCH
from loops import LOOPS, LOST, Connection, Recorder, drain, run, turn, turn_until


def test_close_sends_what_was_written_and_tells_the_protocol_in_a_later_step(loop, connect):
    it = connect()

    async def close():
        it.transport.write(b"goodbye")
        it.transport.close()
        assert it.transport.is_closing()
        assert it.protocol.told == ["made"]

    run(loop, close())
    turn_until(loop, lambda: it.protocol.told[-1] == ("lost", None))
    assert drain(it.peer, 7) == b"goodbye"
    assert it.peer.recv(1) == b""


def test_close_with_much_to_send_sends_it_all(loop, connect):
    it = connect()
    it.transport.write(b"x" * MUCH)
    it.transport.close()
    assert len(it.take()) == MUCH
    turn_until(loop, lambda: it.protocol.told[-1] == ("lost", None))


class FailsAtItsEnd(Recorder):
    def connection_lost(self, exc):
        super().connection_lost(exc)
        raise ZeroDivisionError


@pytest.mark.parametrize("size", [1, MUCH])
def test_exception_of_connection_lost_is_told_with_its_handle_and_the_loop_goes_on(loop, connect, size):
    got = []
    loop.set_exception_handler(lambda _, context: got.append(context))
    it = connect(FailsAtItsEnd())
    it.transport.write(b"x" * size)
    it.transport.close()
    assert len(it.take()) == size
    turn_until(loop, lambda: got)
    (context,) = got
    assert context["message"].startswith("Exception in callback ")
    assert isinstance(context["exception"], ZeroDivisionError)
    assert isinstance(context["handle"], asyncio.Handle)
    assert it.transport.get_extra_info("socket").fileno() == -1


def test_what_a_closing_transport_writes_as_it_may_go_on_is_sent_before_the_end(loop, connect):
    class SaysMore(Recorder):
        def resume_writing(self):
            self.transport.write(b"one thing more")

    it = connect(SaysMore())
    it.transport.write(b"x" * MUCH)
    it.transport.close()
    assert it.take().endswith(b"one thing more")
    turn_until(loop, lambda: it.protocol.told[-1] == ("lost", None))


def test_abort_drops_what_the_kernel_did_not_take(loop, connect):
    it = connect()
    it.transport.write(b"x" * MUCH)
    it.transport.abort()
    turn_until(loop, lambda: it.protocol.told[-1] == ("lost", None))
    received = 0
    try:
        while piece := it.peer.recv(1 << 20):
            received += len(piece)
    except ConnectionResetError:
        pass
    assert received < MUCH


def test_abort_after_a_small_write_has_sent_it(loop, connect):
    it = connect()

    async def main():
        it.transport.write(b"seen")
        it.transport.abort()

    run(loop, main())
    turn(loop)
    assert drain(it.peer, 4) == b"seen"


def test_nothing_is_delivered_after_close(loop, connect):
    it = connect()
    it.peer.sendall(b"too late")
    it.transport.close()
    turn_until(loop, lambda: it.protocol.told[-1] == ("lost", None))
    assert it.protocol.data == b""


def test_lost_transport_knows_its_addresses_and_lets_go_of_the_rest(loop, connect):
    it = connect()
    names = [it.transport.get_extra_info(name) for name in ("peername", "sockname")]
    it.transport.abort()
    turn_until(loop, lambda: it.protocol.told[-1] == ("lost", None))
    assert [it.transport.get_extra_info(name) for name in ("peername", "sockname")] == names
    assert it.transport.get_extra_info("no such thing", 5) == 5
    assert "closed" in repr(it.transport)


def test_transport_has_what_asyncios_tests_look_at(connect):
    transport = connect().transport
    assert transport._read_ready_cb is not None
    assert (transport._paused, transport._closing, transport._eof, transport._conn_lost) == (0, 0, 0, 0)


def test_transport_is_printed_with_what_it_is_doing(ours):
    it = Connection(ours)
    turn(ours)
    assert "read=polling write=<idle, bufsize=0>" in repr(it.transport)
    it.transport.write(b"x" * MUCH)
    it.transport.close()
    assert "closing" in repr(it.transport)
    it.close()
    assert "closed" in repr(it.transport)


def test_debug_mode_logs_why_a_connection_was_lost(ours, caplog):
    ours.set_debug(True)
    it = Connection(ours)
    with caplog.at_level(logging.DEBUG, "asyncio"):
        it.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        it.peer.close()
        turn_until(ours, lambda: it.protocol.told[-1] == ("lost", "ConnectionResetError"))
    assert "Fatal read error on socket transport" in caplog.text


def test_addresses_that_the_kernel_does_not_know_are_none():
    with socket.create_server((LOOPBACK, 0)) as listener:
        assert _transport.extra_of(None, listener, None)["peername"] is None


def test_transport_that_is_dropped_unclosed_warns_and_closes_its_socket():
    loop = asynctcp.aio.new_event_loop()
    it = Connection(loop)
    loop.close()
    peer = it.peer
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del it
        gc.collect()
    # The socket may be the first to be collected, and then warns, too.
    assert any("unclosed transport" in str(each.message) for each in told)
    del told
    gc.collect()
    assert peer.recv(1) == b""
    peer.close()


def collected(loop, held):
    """Whether the transport of a connection is gone, with a warning, after the last reference to it."""
    number = held[0].transport.get_extra_info("socket").fileno()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        held.clear()
        turn(loop)
        gc.collect()
    if not any("unclosed transport" in str(each.message) for each in told):
        return False
    # Which have it.
    del told
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    return True


@pytest.mark.parametrize("something_comes", [False, True])
@pytest.mark.parametrize("writes", [False, True])
def test_paused_transport_that_nobody_has_is_collected_unless_it_has_to_send(loop, writes, something_comes):
    held = [Connection(loop)]
    peer, told = held[0].peer, held[0].protocol.told
    held[0].transport.pause_reading()
    if something_comes:
        # Ours tells the selector of the pause now only.
        peer.send(b"x")
        turn(loop)
    if writes:
        held[0].transport.write(b"x" * MUCH)
    assert collected(loop, held) is not writes
    peer.close()
    if writes:
        turn_until(loop, lambda: told[-1] in LOST)


def test_transport_that_nobody_has_after_the_peers_end_is_collected(loop):
    class Keeps(Recorder):
        def eof_received(self):
            super().eof_received()
            return True

    held = [Connection(loop, Keeps())]
    peer = held[0].peer
    peer.shutdown(socket.SHUT_WR)
    turn_until(loop, lambda: held[0].protocol.told[-1] == "eof")
    assert collected(loop, held)
    assert peer.recv(1) == b""
    peer.close()


def test_transport_that_reads_is_kept_though_nobody_has_it(loop):
    held = [Connection(loop)]
    peer, told = held[0].peer, held[0].protocol.told
    held.clear()
    gc.collect()
    peer.close()
    turn_until(loop, lambda: told[-1] == ("lost", None))


def watch_for_a_moment(loop, socket):
    loop.add_reader(socket.fileno(), print)
    loop.remove_reader(socket.fileno())


def watch_until_writable(loop, socket):
    loop.add_writer(socket.fileno(), lambda: loop.remove_writer(socket.fileno()))


@pytest.mark.parametrize(
    ("name", "watch"),
    [
        ("asyncio", watch_for_a_moment),
        ("asynctcp", watch_for_a_moment),
        # asyncio's own transport loses its place to the program's callback.
        ("asynctcp", watch_until_writable),
    ],
)
def test_closing_transport_whose_descriptor_the_program_watches_sends_the_rest(name, watch):
    loop = LOOPS[name]()
    it = Connection(loop)
    it.transport.write(b"x" * MUCH)
    it.transport.close()
    watch(loop, it.transport.get_extra_info("socket"))
    assert len(it.take()) == MUCH
    it.close()
    loop.close()


@pytest.mark.parametrize("something_comes", [False, True])
def test_transport_that_is_resumed_is_kept_again(loop, something_comes):
    held = [Connection(loop)]
    protocol, peer = held[0].protocol, held[0].peer
    held[0].transport.pause_reading()
    if something_comes:
        peer.send(b"x")
        turn(loop)
    held[0].transport.resume_reading()
    told = protocol.told
    del protocol
    held.clear()
    gc.collect()
    peer.send(b"y")
    turn_until(loop, lambda: "data" in told)
    peer.close()
    turn_until(loop, lambda: told[-1] == ("lost", None))


def test_transport_that_was_lost_while_its_descriptor_was_lent_has_that_no_more(ours):
    it = Connection(ours)
    number = it.transport.get_extra_info("socket").fileno()
    ours._lend(it.transport, is_lent=True)
    it.close()
    ours._lend(it.transport, is_lent=False)
    assert ours._transport_of(number) is None


def test_closed_connections_leave_no_cycle(ours):
    gone = []
    gc.disable()
    try:
        for _ in range(3):
            it = Connection(ours)
            gone.append(weakref.ref(it.transport))
            it.protocol.transport = None
            it.close()
            del it
        turn(ours)
        assert [each() for each in gone] == [None] * 3
    finally:
        gc.enable()
