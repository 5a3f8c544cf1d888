"""Stream transports of `asynctcp.aio`, each behaviour as on asyncio's own loop."""

from __future__ import annotations

import array
import asyncio
import contextlib
import contextvars
import ctypes
import errno
import fcntl
import gc
import io
import logging
import os
import re
import select
import socket
import sys
import traceback
import warnings
import weakref
from unittest import mock

import pytest

import asynctcp.aio
from asynctcp.aio import _transport
from helpers import DEADLINE, LOOPBACK, MUCH, Oops, descriptors, ignore
from loops import LOOPS, Recorder, connected, run, turn, turn_until


@pytest.fixture(params=LOOPS)
def loop(request):
    loop = LOOPS[request.param]()
    yield loop
    loop.close()


@pytest.fixture
def ours():
    """Our loop alone, where asyncio does something else or there is something native to look at."""
    loop = asynctcp.aio.new_event_loop()
    yield loop
    loop.close()


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


@pytest.fixture
def connect(loop):
    made = []

    def connect(protocol=None):
        made.append(Connection(loop, protocol))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


def drain(peer, count):
    """Receive exactly so many bytes."""
    data = bytearray()
    while len(data) < count:
        piece = peer.recv(1 << 20)
        assert piece
        data += piece
    return bytes(data)


# --- receiving ---


def test_protocol_gets_what_comes_and_the_end(loop, connect):
    it = connect()
    it.peer.sendall(b"hello")
    turn_until(loop, lambda: it.protocol.data == b"hello")
    it.peer.close()
    turn_until(loop, lambda: it.protocol.told[-1] == ("lost", None))
    assert it.protocol.told == ["made", "data", "eof", ("lost", None)]


def test_end_that_the_protocol_keeps_leaves_the_transport_writable(loop, connect):
    class Keeps(Recorder):
        def eof_received(self):
            super().eof_received()
            return True

    it = connect(Keeps())
    it.peer.shutdown(socket.SHUT_WR)
    turn_until(loop, lambda: "eof" in it.protocol.told)
    it.transport.write(b"still here")
    turn(loop)
    assert drain(it.peer, 10) == b"still here"
    assert not it.transport.is_closing()


def test_paused_transport_delivers_nothing_until_it_is_resumed(loop, connect):
    it = connect()
    it.transport.pause_reading()
    assert not it.transport.is_reading()
    it.peer.sendall(b"waits")
    for _ in range(5):
        turn(loop)
    assert it.protocol.data == b""
    it.transport.resume_reading()
    turn_until(loop, lambda: it.protocol.data == b"waits")


def test_pause_within_data_received_holds_from_then_on(loop, connect):
    class PausesAtOnce(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    it = connect(PausesAtOnce())
    it.peer.sendall(b"x" * 1_000_000)
    turn_until(loop, lambda: it.protocol.data)
    for _ in range(5):
        turn(loop)
    assert it.protocol.told.count("data") == 1
    it.transport.resume_reading()
    turn_until(loop, lambda: it.protocol.told.count("data") == 2)


def test_buffered_protocol_receives_into_its_own_memory(loop, connect):
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self):
            self.memory, self.got = bytearray(4), b""

        def get_buffer(self, _):
            return self.memory

        def buffer_updated(self, nbytes):
            self.got += self.memory[:nbytes]

    it = connect(Buffered())
    it.peer.sendall(b"more than four")
    turn_until(loop, lambda: it.protocol.got == b"more than four")


BUFFERS = {
    "signed": lambda: array.array("b", bytes(64)),
    "words": lambda: array.array("I", bytes(64)),
    "of ctypes": ctypes.c_char * 64,
    "characters": lambda: memoryview(bytearray(64)).cast("c"),
    "a table": lambda: memoryview(bytearray(64)).cast("B", (8, 8)),
}


@pytest.mark.parametrize("kind", BUFFERS)
def test_protocols_buffer_may_be_of_anything(loop, connect, kind):
    class Typed(asyncio.BufferedProtocol):
        memory, got = BUFFERS[kind](), b""

        def get_buffer(self, _):
            return self.memory

        def buffer_updated(self, count):
            self.got += bytes(memoryview(self.memory).cast("B")[:count])

    it = connect(Typed())
    it.peer.sendall(b"hello")
    turn_until(loop, lambda: it.protocol.got == b"hello")


@pytest.mark.parametrize("buffer", [b"read", memoryview(bytearray(9))[::2]], ids=["constant", "in pieces"])
def test_protocols_buffer_that_cannot_be_received_into_ends_the_connection(loop, connect, buffer):
    loop.set_exception_handler(ignore)

    class Wrong(asyncio.BufferedProtocol):
        def get_buffer(self, _):
            return buffer

        def connection_lost(self, exc):
            self.told.append(type(exc))

    it = connect(Wrong())
    it.peer.sendall(b"hello")
    turn_until(loop, lambda: it.protocol.told)
    assert issubclass(it.protocol.told.pop(), (TypeError, BufferError))


def test_protocol_that_is_set_gets_what_follows(loop, connect):
    it, second = connect(), Recorder()
    it.peer.sendall(b"one")
    turn_until(loop, lambda: it.protocol.data == b"one")
    it.transport.set_protocol(second)
    assert it.transport.get_protocol() is second
    it.peer.sendall(b"two")
    turn_until(loop, lambda: second.data == b"two")


def test_exception_of_data_received_ends_the_connection_and_is_told(loop, connect):
    got = []
    loop.set_exception_handler(lambda _, context: got.append(context))

    class Fails(Recorder):
        def data_received(self, _):
            raise ZeroDivisionError

    it = connect(Fails())
    it.peer.sendall(b"x")
    turn_until(loop, lambda: it.protocol.told[-1] == ("lost", "ZeroDivisionError"))
    assert [context["message"] for context in got] == ["Fatal error: protocol.data_received() call failed."]
    assert got[0]["protocol"] is it.protocol
    assert traceback.extract_tb(got[0]["exception"].__traceback__)[-1].name == "data_received"


def test_reset_is_the_reason_of_the_loss(loop, connect):
    it = connect()
    it.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    it.peer.close()
    turn_until(loop, lambda: it.protocol.told[-1] == ("lost", "ConnectionResetError"))
    assert it.protocol.error.errno == errno.ECONNRESET


@pytest.mark.parametrize("debug", [False, True])
def test_protocol_is_called_in_the_context_that_the_connection_was_made_in(loop, connect, debug):
    loop.set_debug(debug)
    variable = contextvars.ContextVar("variable", default=None)

    class Asks(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.value = variable.get()

    variable.set("at the connection")
    it = connect(Asks())
    variable.set("later")
    it.peer.sendall(b"x")
    turn_until(loop, lambda: it.protocol.data)
    assert it.protocol.value == "at the connection"


class Asking(Recorder):
    """Notes the value of a variable at each call."""

    def __init__(self, variable):
        super().__init__()
        self.values = []
        for name in ("connection_made", "data_received", "eof_received", "connection_lost"):
            setattr(self, name, self.asking(getattr(self, name), variable))

    def asking(self, method, variable):
        def ask(*arguments):
            self.values.append(variable.get())
            return method(*arguments)

        return ask


@pytest.mark.parametrize("debug", [False, True])
def test_all_calls_of_a_protocol_are_in_a_context_that_is_given(ours, debug):
    """From CPython 3.15 on asyncio gives one."""
    ours.set_debug(debug)
    variable = contextvars.ContextVar("variable", default="outside")
    context = contextvars.copy_context()
    context.run(variable.set, "given")
    protocol = Asking(variable)
    raw, peer = socket.socketpair()
    with peer:

        async def make():
            waiter = ours.create_future()
            ours._make_socket_transport(raw, protocol, waiter, context=context)
            await waiter
            peer.sendall(b"x")
            peer.shutdown(socket.SHUT_WR)

        raw.setblocking(False)
        run(ours, make())
        turn_until(ours, lambda: protocol.told[-1] == ("lost", None))
    assert protocol.values == ["given"] * 4


@pytest.mark.skipif(
    sys.version_info < (3, 15), reason="asyncio's servers have a context from CPython 3.15 on"
)
def test_connections_of_a_server_have_the_context_in_which_it_was_made(loop):
    variable = contextvars.ContextVar("variable", default="outside")
    protocol = Asking(variable)

    async def main():
        variable.set("server")
        server = await loop.create_server(lambda: protocol, LOOPBACK, 0)
        variable.set("client")
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        writer.close()
        while protocol.told[-1:] != [("lost", None)]:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        server.close()

    run(loop, main())
    assert protocol.values == ["server"] * 4


# --- sending ---


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_like_data_arrives(loop, connect, kind):
    it = connect()
    it.transport.write(kind(b"payload"))
    turn(loop)
    assert drain(it.peer, 7) == b"payload"


def test_bytearray_may_be_changed_after_the_write(loop, connect):
    it, data = connect(), bytearray(b"before")
    it.transport.write(data)
    data[:] = b"after!"
    turn(loop)
    assert drain(it.peer, 6) == b"before"


def test_write_outside_of_the_loops_turns_leaves_at_once(connect):
    it = connect()
    it.transport.write(b"now")
    assert drain(it.peer, 3) == b"now"


def test_writes_of_one_callback_leave_together_when_it_returns(ours):
    it = Connection(ours)
    got = []

    def answer():
        it.transport.write(b"head ")
        it.transport.write(b"body")
        it.peer.setblocking(False)
        try:
            got.append(it.peer.recv(100))
        except BlockingIOError:
            got.append("nothing yet")
        it.peer.settimeout(DEADLINE)

    ours.call_soon(answer)
    ours.call_soon(lambda: got.append(it.peer.recv(100)))
    turn(ours)
    assert got == ["nothing yet", b"head body"]
    it.close()


def test_what_was_written_before_an_interrupt_leaves(loop, connect):
    it = connect()

    def leave():
        it.transport.write(b"last")
        raise KeyboardInterrupt

    loop.call_soon(leave)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert drain(it.peer, 4) == b"last"


def test_order_of_small_and_large_writes_is_kept(loop, connect):
    it = connect()
    pieces = [bytes([number]) * size for number, size in enumerate([3, 40_000, 1, 70_000, 16_384, 5])]

    async def write():
        for piece in pieces:
            it.transport.write(piece)

    run(loop, write())
    assert drain(it.peer, sum(map(len, pieces))) == b"".join(pieces)


def test_writelines_writes_each(loop, connect):
    it = connect()
    it.transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
    turn(loop)
    assert drain(it.peer, 3) == b"abc"


def test_writelines_takes_all_that_has_a_buffer(loop, connect):
    it = connect()
    it.transport.writelines(iter([array.array("H", b"ab"), memoryview(b"cdef").cast("H"), b""]))
    turn(loop)
    assert drain(it.peer, 6) == b"abcdef"


def broken_off():
    """A generator that fails."""
    yield b"x"
    raise Oops


@pytest.mark.parametrize("bad", [[b"x", "text"], [b"x", 1], broken_off], ids=str)
def test_lines_with_a_bad_one_are_not_sent(loop, connect, bad):
    it = connect()
    with pytest.raises((TypeError, Oops)) as raised:
        it.transport.writelines(bad() if callable(bad) else bad)
    if not callable(bad):
        assert raised.match("bytes-like object")
    it.transport.write(b"good")
    turn(loop)
    assert drain(it.peer, 4) == b"good"


def test_no_lines_after_the_end_are_refused(connect):
    transport = connect().transport
    transport.write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        transport.writelines([])


@pytest.mark.parametrize("bad", ["text", 1, None, [b"x"]])
def test_data_that_is_not_bytes_is_refused(connect, bad):
    it = connect()
    from_314_on = sys.version_info >= (3, 14)
    kind = "a bytes, bytearray, or memoryview" if from_314_on else "a bytes-like"
    with pytest.raises(TypeError, match=f"data argument must be {kind} object, not '"):
        it.transport.write(bad)


def test_protocol_is_paused_above_the_high_water_mark_and_resumed_below_the_low(loop, connect):
    it = connect()
    it.transport.write(b"x" * MUCH)
    assert it.protocol.told[-1] == "pause"
    assert it.transport.get_write_buffer_size() > 0
    it.take(MUCH)
    turn_until(loop, lambda: it.protocol.told[-1] == "resume")
    assert it.transport.get_write_buffer_size() == 0


def test_what_is_written_after_a_full_kernel_keeps_its_order(connect):
    it = connect()
    it.transport.write(b"x" * MUCH)
    it.transport.write(b"the end")
    assert it.take(MUCH + 7).endswith(b"x" + b"the end")


def test_exception_of_pause_writing_is_told_and_the_connection_goes_on(loop, connect):
    got = []
    loop.set_exception_handler(lambda _, context: got.append(context["message"]))

    class Fails(Recorder):
        def pause_writing(self):
            raise ZeroDivisionError

    it = connect(Fails())
    it.transport.write(b"x" * MUCH)
    assert got == ["protocol.pause_writing() failed"]
    assert not it.transport.is_closing()


def test_interrupt_in_pause_writing_comes_out_of_the_write(connect):
    class Leaves(Recorder):
        def pause_writing(self):
            raise KeyboardInterrupt

    it = connect(Leaves())
    with pytest.raises(KeyboardInterrupt):
        it.transport.write(b"x" * MUCH)


def test_limits_are_what_was_set(connect):
    transport = connect().transport
    assert transport.get_write_buffer_limits() == (16384, 65536)
    transport.set_write_buffer_limits(high=1000)
    assert transport.get_write_buffer_limits() == (250, 1000)
    transport.set_write_buffer_limits(low=100)
    assert transport.get_write_buffer_limits() == (100, 400)
    for bad in ({"high": 1, "low": 2}, {"high": -1}, {"low": -1}):
        with pytest.raises(ValueError, match="must be >="):
            transport.set_write_buffer_limits(**bad)


def test_limits_may_be_any_numbers(connect):
    transport = connect().transport
    transport.set_write_buffer_limits(high=1e6)
    assert transport.get_write_buffer_limits() == (250_000, 1_000_000)
    transport.set_write_buffer_limits(high=2**70, low=1.0)
    low, high = transport.get_write_buffer_limits()
    assert low == 1
    assert high >= sys.maxsize
    transport.set_write_buffer_limits(high=float("inf"), low=0)
    transport.write(b"x" * MUCH)
    assert not transport.get_protocol().told.count("pause")
    with pytest.raises(ValueError, match=re.escape("high (1.5) must be >= low (2) must be >= 0")):
        transport.set_write_buffer_limits(high=1.5, low=2)
    with pytest.raises(TypeError):
        transport.set_write_buffer_limits(high="much")


def test_write_eof_ends_the_sending_side_after_what_was_written(loop, connect):
    it = connect()

    async def end():
        it.transport.write(b"last words")
        it.transport.write_eof()

    run(loop, end())
    assert it.transport.can_write_eof()
    assert drain(it.peer, 10) == b"last words"
    assert it.peer.recv(1) == b""
    with pytest.raises(RuntimeError, match="write_eof"):
        it.transport.write(b"more")
    it.peer.sendall(b"heard")
    turn_until(loop, lambda: it.protocol.data == b"heard")


def test_write_to_a_peer_that_has_reset_ends_the_connection(loop, connect):
    it = connect()
    it.transport.pause_reading()
    it.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    it.peer.close()
    turn_until(loop, lambda: it.transport.write(b"x") or it.protocol.told[-1] in LOST)


LOST = [("lost", name) for name in ("ConnectionResetError", "BrokenPipeError", None)]


@pytest.mark.parametrize("call", ["write", "close", "abort", "pause_reading"])
def test_socket_that_was_closed_behind_its_transport_sends_nothing_by_another_one(loop, call):
    protocol, (own, peer) = Recorder(), socket.socketpair()
    transport, _ = run(loop, loop.create_connection(lambda: protocol, sock=own))
    number = own.fileno()
    own.close()
    other, far = socket.socketpair()
    if far.fileno() == number:
        other, far = far, other
    assert other.fileno() == number
    far.settimeout(DEADLINE)
    if call == "write":
        transport.write(b"secret")
        turn_until(loop, lambda: protocol.told[-1] == ("lost", "OSError"))
        assert protocol.error.errno == errno.EBADF
    elif call == "pause_reading":
        transport.pause_reading()
        turn(loop)
        transport.abort()
    else:
        getattr(transport, call)()
    turn_until(loop, lambda: isinstance(protocol.told[-1], tuple))
    # It is as it was, and can be another transport's.
    later = Recorder()
    second, _ = run(loop, loop.create_connection(lambda: later, sock=other))
    second.write(b"open")
    far.send(b"heard")
    turn_until(loop, lambda: later.data == b"heard")
    assert far.recv(10) == b"open"
    second.abort()
    turn_until(loop, lambda: later.told[-1] == ("lost", None))
    for each in (peer, far):
        each.close()


def test_end_of_a_transport_leaves_one_that_has_its_number_alone(ours):
    first, (own, peer) = Recorder(), socket.socketpair()
    transport, _ = run(ours, ours.create_connection(lambda: first, sock=own))
    number = own.fileno()
    own.close()
    other, far = socket.socketpair()
    if far.fileno() == number:
        other, far = far, other
    second = Recorder()
    run(ours, ours.create_connection(lambda: second, sock=other))
    transport.abort()
    turn_until(ours, lambda: first.told[-1] == ("lost", None))
    far.send(b"heard")
    turn_until(ours, lambda: second.data == b"heard")
    second.transport.abort()
    turn_until(ours, lambda: second.told[-1] == ("lost", None))
    for each in (peer, far):
        each.close()


@pytest.fixture(params=["tcp", "unix"])
def either(request, loop):
    """A transport over TCP or a Unix socket, its protocol and the other end as a plain socket."""
    protocol = Recorder()
    if request.param == "tcp":
        transport, peer = connected(loop, protocol)
    else:
        own, peer = socket.socketpair()
        peer.settimeout(DEADLINE)
        transport, _ = run(loop, loop.create_connection(lambda: protocol, sock=own))
    yield transport, protocol, peer
    peer.close()
    transport.abort()
    turn_until(loop, lambda: protocol.told[-1] in LOST)


def test_answer_of_a_peer_that_left_while_writing_was_blocked_is_delivered_before_the_loss(loop, either):
    transport, protocol, peer = either
    transport.write(b"x" * MUCH)
    peer.sendall(b"413 too large")
    peer.close()
    turn_until(loop, lambda: protocol.told[-1] in LOST)
    assert protocol.data == b"413 too large"
    # The end of the flow control comes after what came before it.
    assert protocol.told[:3] == ["made", "pause", "data"]


def test_answer_of_a_peer_that_left_within_the_step_that_wrote_is_delivered_before_the_loss(loop, either):
    transport, protocol, peer = either

    def step():
        transport.write(b"x")
        peer.sendall(b"bye")
        peer.close()

    loop.call_soon(step)
    turn_until(loop, lambda: protocol.told[-1] in LOST)
    assert protocol.data == b"bye"


def test_long_answer_of_a_peer_that_left_within_the_step_that_wrote_is_delivered_whole(loop):
    protocol, (own, peer) = Recorder(), socket.socketpair()
    transport, _ = run(loop, loop.create_connection(lambda: protocol, sock=own))
    # More than is received at once.
    for raw in (own, peer):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    peer.setblocking(False)
    sent = []

    def step():
        transport.write(b"x")
        with contextlib.suppress(BlockingIOError):
            while True:
                sent.append(peer.send(b"y" * 10_000))
        peer.close()

    loop.call_soon(step)
    turn_until(loop, lambda: protocol.told[-1] in LOST)
    assert len(protocol.data) == sum(sent) > 256 * 1024


def test_loss_of_a_peer_that_left_with_bytes_unread_is_a_reset(loop):
    protocol, (own, peer) = Recorder(), socket.socketpair()
    transport, _ = run(loop, loop.create_connection(lambda: protocol, sock=own))
    transport.write(b"x" * MUCH)
    peer.close()
    turn_until(loop, lambda: protocol.told[-1] in LOST)
    assert protocol.told[-1] == ("lost", "ConnectionResetError")


# --- the end ---


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
        assert _transport.extra_of(listener, None)["peername"] is None


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
    gone, number = weakref.ref(held[0].transport), held[0].transport.get_extra_info("socket").fileno()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        held.clear()
        turn(loop)
        gc.collect()
    if gone() is not None:
        return False
    assert any("unclosed transport" in str(each.message) for each in told)
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
    ours._lend(it.transport)
    it.close()
    ours._adopt(it.transport)
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


# --- servers and streams ---


def test_transport_is_asyncios_for_whoever_asks(connect):
    transport = connect().transport
    assert isinstance(transport, asyncio.Transport)
    assert isinstance(transport.get_extra_info("socket"), asyncio.trsock.TransportSocket)


def test_methods_of_a_transport_can_be_replaced(connect):
    transport = connect().transport
    with mock.patch.object(transport, "write") as write:
        transport.write(b"never sent")
    write.assert_called_once_with(b"never sent")
    with mock.patch("asyncio.Transport.get_extra_info", return_value="mine") as asked:
        assert transport.get_extra_info("peername") == "mine"
    asked.assert_called_once_with("peername")


def test_transport_of_a_socket_with_methods_of_its_own_calls_them(loop):
    class Counting(socket.socket):
        calls = 0

        def recv(self, *arguments):
            Counting.calls += 1
            return super().recv(*arguments)

    with socket.create_server((LOOPBACK, 0)) as listener:
        ours = Counting()
        ours.connect(listener.getsockname())
        ours.setblocking(False)
        peer, _ = listener.accept()

    async def main():
        return await loop.create_connection(Recorder, sock=ours)

    transport, protocol = run(loop, main())
    peer.sendall(b"counted")
    turn_until(loop, lambda: protocol.data == b"counted")
    assert Counting.calls > 0
    peer.close()
    transport.abort()
    turn_until(loop, lambda: protocol.told[-1] == ("lost", None))


def test_streams_echo_over_a_unix_socket(loop, tmp_path):
    path = os.fspath(tmp_path / "socket")

    async def serve(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_unix_server(serve, path)
        async with server:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hello\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        return answer

    assert run(loop, main()) == b"HELLO\n"


def test_server_is_told_of_each_connections_end(loop):
    async def main():
        server = await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        server.close()
        await asyncio.wait_for(server.wait_closed(), DEADLINE)

    run(loop, main())


def test_connections_that_a_handler_forgets_are_collected_and_not_waited_for(ours):
    heard = []

    async def handle(reader, _):
        heard.append(await reader.read())

    async def main():
        server = await asyncio.start_server(handle, LOOPBACK, 0)
        before = descriptors()
        for _ in range(3):
            with socket.create_connection(server.sockets[0].getsockname()) as peer:
                peer.send(b"x")
        while len(heard) < 3 or len(descriptors()) > len(before):
            gc.collect()
            await asyncio.sleep(0.001)
        server.close()
        # CPython 3.11's own is not told of what was collected.
        await server.wait_closed()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        run(ours, main())
    assert heard == [b"x"] * 3


def test_file_is_sent_from_the_kernel_between_writes(loop, tmp_path):
    content = os.urandom(300_000)
    (tmp_path / "file").write_bytes(content)

    class Sends(asyncio.Protocol):
        def connection_made(self, transport):
            task = loop.create_task(self.send(transport))
            task.add_done_callback(lambda task: task.result())

        async def send(self, transport):
            transport.write(b"head")
            with (tmp_path / "file").open("rb") as file:
                await loop.sendfile(transport, file)
            transport.write(b"tail")
            transport.close()

    async def main():
        server = await loop.create_server(Sends, LOOPBACK, 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        got = await reader.read()
        writer.close()
        server.close()
        return got

    assert run(loop, main()) == b"head" + content + b"tail"


def test_transport_reads_on_after_a_file_was_sent(loop, connect, tmp_path):
    it = connect()
    (tmp_path / "file").write_bytes(b"content")

    async def send():
        with (tmp_path / "file").open("rb") as file:
            await loop.sendfile(it.transport, file)

    run(loop, send())
    assert drain(it.peer, 7) == b"content"
    it.peer.sendall(b"answer")
    turn_until(loop, lambda: it.protocol.data == b"answer")


class Sending:
    """A transport of our loop with a file on its way; asyncio's does not notice when it is ended."""

    def __init__(self, loop, file):
        file.truncate(MUCH)
        self.loop, self.told = loop, []
        loop.set_exception_handler(lambda _, context: self.told.append(context))
        self.protocol = Recorder()
        self.transport, self.peer = connected(loop, self.protocol)
        self.number = self.transport.get_extra_info("socket").fileno()
        self.task = loop.create_task(loop.sendfile(self.transport, file))
        turn_until(loop, lambda: select.select([self.peer], [], [], 0)[0])

    def ends(self):
        turn_until(self.loop, lambda: self.task.done() and self.protocol.told[-1] == ("lost", None))
        assert self.transport.get_extra_info("socket").fileno() == -1
        self.peer.close()


@pytest.fixture
def sending(ours, tmp_path):
    with (tmp_path / "file").open("wb+") as file:
        yield Sending(ours, file)


@pytest.mark.parametrize("end", ["abort", "close"])
def test_file_of_a_transport_that_is_ended_fails(sending, end):
    getattr(sending.transport, end)()
    sending.ends()
    assert isinstance(sending.task.exception(), BrokenPipeError)


@pytest.mark.parametrize("is_cancelled_first", [False, True])
def test_file_that_is_cancelled_as_its_transport_ends_leaves_its_number_to_the_next(
    ours, sending, is_cancelled_first
):
    near, far = socket.socketpair()
    for end in (sending.task.cancel, sending.transport.abort)[:: 1 if is_cancelled_first else -1]:
        end()
    sending.ends()
    assert sending.task.cancelled()
    same = socket.socket(fileno=fcntl.fcntl(near, fcntl.F_DUPFD, sending.number))
    near.close()
    assert same.fileno() == sending.number
    transport, protocol = run(ours, ours.create_connection(Recorder, sock=same))
    far.sendall(b"heard")
    turn_until(ours, lambda: protocol.data == b"heard")
    # It waits for the kernel, as the file did.
    transport.write(b"x" * MUCH)
    transport.write_eof()
    far.setblocking(False)
    turn_until(ours, lambda: select.select([far], [], [], 0)[0] and not far.recv(MUCH))
    far.close()
    turn_until(ours, lambda: protocol.told[-1] == ("lost", None))
    assert sending.told == []


@pytest.mark.parametrize(("end", "error"), [("close", RuntimeError), ("abort", ConnectionError)])
def test_file_that_waits_for_what_was_written_before_fails_when_its_transport_is_ended(
    ours, tmp_path, end, error
):
    it = Connection(ours)
    it.transport.write(b"x" * MUCH)
    (tmp_path / "file").write_bytes(b"content")

    async def send():
        with (tmp_path / "file").open("rb") as file:
            await ours.sendfile(it.transport, file)

    sending = ours.create_task(send())
    turn(ours)
    getattr(it.transport, end)()
    it.take()
    turn_until(ours, sending.done)
    assert isinstance(sending.exception(), error)
    it.close()


def test_file_that_is_cancelled_while_it_waits_leaves_a_transport_that_works(ours, tmp_path):
    it = Connection(ours)
    it.transport.write(b"x" * MUCH)
    with (tmp_path / "file").open("wb+") as file:
        sending = ours.create_task(ours.sendfile(it.transport, file))
        turn(ours)
        sending.cancel()
        turn_until(ours, sending.done)
    it.transport.write(b"more")
    assert it.take(MUCH + 4).endswith(b"xmore")
    it.peer.sendall(b"answer")
    turn_until(ours, lambda: it.protocol.data == b"answer")
    it.close()


def test_file_without_a_descriptor_is_sent_too_and_the_transport_reads_on(loop, connect):
    it = connect()
    content = os.urandom(300_000)
    assert run(loop, loop.sendfile(it.transport, io.BytesIO(content), 10, 200_000)) == 200_000
    assert it.take(200_000) == content[10:200_010]
    it.peer.sendall(b"answer")
    turn_until(loop, lambda: it.protocol.data == b"answer")


def test_file_without_a_descriptor_is_read_no_faster_than_the_peer_takes_it(loop, connect):
    it, file = connect(), io.BytesIO(b"x" * 2 * MUCH)
    sending = loop.create_task(loop.sendfile(it.transport, file))
    turn_until(loop, lambda: it.transport.get_write_buffer_size() > 65536)
    assert file.tell() < 2 * MUCH
    assert len(it.take(2 * MUCH)) == 2 * MUCH
    turn_until(loop, sending.done)
    assert sending.result() == 2 * MUCH


@pytest.mark.parametrize("size", [1, MUCH])
def test_transport_says_whether_its_protocol_is_paused(loop, connect, size):
    it = connect()
    it.transport.write(b"x" * size)
    assert it.transport._protocol_paused == (size == MUCH)
    it.take(size)
    turn_until(loop, lambda: not it.transport._protocol_paused)


def test_descriptor_of_a_transport_cannot_be_watched(loop, connect):
    it = connect()
    number = it.transport.get_extra_info("socket").fileno()
    with pytest.raises(RuntimeError, match="is used by transport"):
        loop.add_reader(number, print)


def test_debug_mode_serves_connections(loop, connect):
    loop.set_debug(True)
    it = connect()
    it.peer.sendall(b"in debug")
    turn_until(loop, lambda: it.protocol.data == b"in debug")
