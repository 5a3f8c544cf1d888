"""What stream transports of `asynctcp.aio` receive, each behaviour as on asyncio's own loop."""

from __future__ import annotations

import array
import asyncio
import contextvars
import ctypes
import errno
import socket
import sys
import traceback

import pytest

from helpers import LOOPBACK, ignore
from loops import Recorder, drain, run, turn, turn_until


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
