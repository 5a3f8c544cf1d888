"""asyncio's own streams, whose readers the loop feeds itself, unless a program put something there."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from unittest import mock

import pytest

from helpers import DEADLINE
from loops import FACTORIES, connected, run, turn, turn_until


class Streamed:
    """A connection of asyncio's stream protocol, and its peer."""

    def __init__(self, loop, reader, protocol=None):
        self.reader = reader
        self.protocol = protocol or asyncio.StreamReaderProtocol(reader, loop=loop)
        self.transport, self.peer = connected(loop, self.protocol)


@pytest.fixture
def streamed(loop):
    made = []

    def make(reader=None, **options):
        reader = reader or asyncio.StreamReader(loop=loop, limit=options.pop("limit", 2**16))
        made.append(Streamed(loop, reader, **options))
        return made[-1]

    yield make
    for one in made:
        one.transport.abort()
        one.peer.close()
    turn(loop)


def test_reader_that_waits_is_woken(loop, streamed):
    it = streamed()
    reading = loop.create_task(it.reader.readline())
    turn(loop)
    it.peer.sendall(b"a line\nmore")
    assert run(loop, reading) == b"a line\n"
    assert run(loop, it.reader.readexactly(4)) == b"more"


def test_reader_that_gave_up_waiting_gets_it_later(loop, streamed):
    it = streamed()
    reading = loop.create_task(it.reader.read(10))
    turn(loop)
    reading.cancel()
    it.peer.sendall(b"late")
    turn_until(loop, lambda: it.reader._buffer)
    assert reading.cancelled()
    assert run(loop, it.reader.read(10)) == b"late"


def test_transport_is_paused_at_twice_the_limit_and_goes_on_when_it_is_read(loop, streamed):
    it = streamed(limit=16)
    it.peer.sendall(bytes(32))
    turn_until(loop, lambda: len(it.reader._buffer) == 32)
    assert it.transport.is_reading()
    it.peer.sendall(b"x")
    turn_until(loop, lambda: not it.transport.is_reading())
    assert len(run(loop, it.reader.readexactly(33))) == 33
    assert it.transport.is_reading()


def test_transport_that_cannot_pause_is_not_asked_again(loop, streamed):
    it = streamed(limit=4)
    it.reader._transport = mock.Mock(pause_reading=mock.Mock(side_effect=NotImplementedError))
    it.peer.sendall(bytes(9))
    turn_until(loop, lambda: it.reader._transport is None)
    it.reader._transport = it.transport


def test_error_of_pausing_ends_the_connection(loop, streamed):
    loop.set_exception_handler(lambda *_: None)
    it = streamed(limit=4)
    it.reader._transport = mock.Mock(pause_reading=mock.Mock(side_effect=ZeroDivisionError))
    it.peer.sendall(bytes(9))
    turn_until(loop, it.transport.is_closing)


@pytest.mark.parametrize("limit", [10**30, 2.5], ids=["huge", "not_whole"])
def test_limit_is_compared_as_python_does(loop, streamed, limit):
    it = streamed(limit=limit)
    it.peer.sendall(b"four" if limit == 2.5 else b"x")
    turn_until(loop, lambda: it.reader._buffer)
    assert it.transport.is_reading()
    it.peer.sendall(b"xx")
    turn_until(loop, lambda: len(it.reader._buffer) in (3, 6))
    assert it.transport.is_reading() is (limit != 2.5)


def test_method_that_a_program_put_into_the_protocol_is_called(loop, streamed):
    it = streamed()
    it.protocol.data_received = mock.Mock()
    it.peer.sendall(b"x")
    turn_until(loop, lambda: it.protocol.data_received.called)
    assert not it.reader._buffer


def test_method_that_a_program_put_into_the_class_is_called(loop, streamed):
    it = streamed()
    with mock.patch.object(asyncio.StreamReaderProtocol, "data_received") as received:
        it.peer.sendall(b"x")
        turn_until(loop, lambda: received.called)
    assert not it.reader._buffer


def test_method_that_a_program_put_into_the_reader_is_called(loop, streamed):
    it = streamed()
    it.reader.feed_data = mock.Mock()
    it.peer.sendall(b"x")
    turn_until(loop, lambda: it.reader.feed_data.called)
    it.reader.feed_data.assert_called_once_with(b"x")


def test_reader_of_a_programs_class_is_fed_by_its_method(loop, streamed):
    class Reader(asyncio.StreamReader):
        def feed_data(self, data):
            super().feed_data(data.upper())

    it = streamed(Reader(loop=loop))
    it.peer.sendall(b"loud\n")
    assert run(loop, it.reader.readline()) == b"LOUD\n"


def test_protocol_of_a_programs_class_is_called(loop, streamed):
    class Protocol(asyncio.StreamReaderProtocol):
        def data_received(self, data):
            super().data_received(data[::-1])

    reader = asyncio.StreamReader(loop=loop)
    it = streamed(reader, protocol=Protocol(reader, loop=loop))
    it.peer.sendall(b"drawer\n")
    assert run(loop, asyncio.wait_for(it.reader.readuntil(b"d"), DEADLINE)) == b"\nreward"


def test_buffer_of_another_kind_is_asyncios_affair(loop, streamed):
    class Buffer(bytearray):
        pass

    it = streamed()
    it.reader._buffer = Buffer()
    it.peer.sendall(b"x")
    turn_until(loop, lambda: it.reader._buffer == b"x")


def test_buffer_that_is_lent_ends_the_connection_as_in_asyncio(loop, streamed):
    told = []
    loop.set_exception_handler(lambda _, context: told.append(type(context["exception"])))
    it = streamed()
    it.reader._buffer.extend(b"lent")
    view = memoryview(it.reader._buffer)
    it.peer.sendall(b"x" * 100)
    turn_until(loop, it.transport.is_closing)
    view.release()
    assert told == [BufferError]


def test_what_comes_after_the_reader_was_told_of_the_end_ends_the_connection(loop, streamed):
    told = []
    loop.set_exception_handler(lambda _, context: told.append(type(context["exception"])))
    it = streamed()
    it.reader.feed_eof()
    it.peer.sendall(b"x")
    turn_until(loop, it.transport.is_closing)
    assert told == [AssertionError]


def test_what_comes_when_nobody_has_the_reader_is_dropped(loop, streamed):
    told = []
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))
    it = streamed()
    it.reader = None
    gc.collect()
    it.protocol.eof_received = mock.Mock(return_value=False)
    it.peer.sendall(b"x")
    it.peer.close()
    turn_until(loop, it.transport.is_closing)
    # Only what asyncio says of a reader that was let go of.
    assert not [message for message in told if "Fatal" in message]


PATCHED = """
import asyncio
from {module} import {factory}

seen, original = [], asyncio.StreamReader.feed_data

def feed_data(self, data):
    seen.append(data)
    original(self, data)

asyncio.StreamReader.feed_data = feed_data

async def main():
    async def answer(reader, writer):
        writer.write(await reader.readline())
        writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"line\\n")
    await reader.read()
    writer.close()
    server.close()

with asyncio.Runner(loop_factory={factory}) as runner:
    runner.run(main())
print(seen)
"""


@pytest.mark.parametrize("name", FACTORIES)
def test_function_in_the_place_of_asyncios_before_the_first_connection_is_called(name):
    module, factory = FACTORIES[name].split(":")
    done = subprocess.run(
        [sys.executable, "-c", PATCHED.format(module=module, factory=factory)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[b'line\\n', b'line\\n']\n", "")
