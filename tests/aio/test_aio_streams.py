"""`asynctcp.aio.open_connection` and `start_server`: asyncio's streams, whose behaviour they have."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import struct
import warnings

import pytest

import asynctcp.aio
from certificates import authority
from helpers import LOOPBACK, MUCH
from loops import LOOPS, run, turn, turn_until

STREAMS = {"asyncio": asyncio, "asynctcp": asynctcp.aio}


@pytest.fixture(
    params=[("asyncio", "asyncio"), ("asyncio", "asynctcp"), ("asynctcp", "asynctcp")], ids="-".join
)
def loop_and_streams(request):
    loop = LOOPS[request.param[0]]()
    yield loop, STREAMS[request.param[1]]
    ended(loop)


@pytest.fixture
def loop():
    loop = asynctcp.aio.new_event_loop()
    yield loop
    ended(loop)


def ended(loop):
    """Close it when its tasks have ended and its connections are lost."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
    turn_until(loop, lambda: not asyncio.all_tasks(loop))
    turn(loop)
    loop.close()


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def address_of(server):
    return server.sockets[0].getsockname()


class Pair:
    """A client's reader and writer, and the server's."""

    def __init__(self, loop, streams, **options):
        self.loop = loop
        self.accepted = loop.create_future()
        self.served = run(loop, streams.start_server(self._connected, LOOPBACK, 0, **options))
        made = streams.open_connection(*address_of(self.served), **options)
        self.reader, self.writer = run(loop, made)
        self.server_reader, self.server_writer = run(loop, self.accepted)

    def _connected(self, reader, writer):
        self.accepted.set_result((reader, writer))

    def close(self):
        for writer in (self.writer, self.server_writer):
            writer.close()
        self.served.close()
        turn_until(self.loop, lambda: self.writer.transport.get_extra_info("socket").fileno() == -1)
        turn_until(self.loop, lambda: self.server_writer.transport.get_extra_info("socket").fileno() == -1)


@pytest.fixture
def pair(loop_and_streams):
    pair = Pair(*loop_and_streams)
    yield pair
    pair.close()


@pytest.fixture
def native_pair(loop):
    pair = Pair(loop, asynctcp.aio)
    yield pair
    pair.close()


def test_what_is_written_comes_back(loop_and_streams):
    loop, streams = loop_and_streams

    async def main():
        async with await streams.start_server(echo, LOOPBACK, 0) as server:
            reader, writer = await streams.open_connection(*address_of(server))
            writer.writelines([b"hel", b"lo\n"])
            line = await reader.readline()
            writer.write_eof()
            rest = await reader.read()
            writer.close()
            await writer.wait_closed()
            return line, rest

    assert run(loop, main()) == (b"hello\n", b"")


def test_more_than_the_buffers_hold_arrives_whole(loop_and_streams):
    loop, streams = loop_and_streams
    payload = os.urandom(MUCH)

    async def main():
        async with await streams.start_server(echo, LOOPBACK, 0) as server:
            reader, writer = await streams.open_connection(*address_of(server))

            async def send():
                for start in range(0, MUCH, 100_000):
                    writer.write(payload[start : start + 100_000])
                    await writer.drain()
                writer.write_eof()

            sending = asyncio.create_task(send())
            back = await reader.read()
            await sending
            writer.close()
            await writer.wait_closed()
            return back

    assert run(loop, main()) == payload


def test_over_a_unix_socket_it_is_the_same(loop_and_streams, tmp_path):
    loop, streams = loop_and_streams
    path = str(tmp_path / "socket")

    async def main():
        async with await streams.start_unix_server(echo, path):
            reader, writer = await streams.open_unix_connection(path)
            writer.write(b"hello\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return line

    assert run(loop, main()) == b"hello\n"


def test_drain_waits_while_too_much_is_to_be_sent(pair):
    pair.writer.write(bytes(MUCH))
    draining = pair.loop.create_task(pair.writer.drain())
    turn(pair.loop)
    assert not draining.done()
    run(pair.loop, pair.server_reader.readexactly(MUCH))
    run(pair.loop, draining)


def test_two_may_drain_at_once(pair):
    pair.writer.write(bytes(MUCH))
    tasks = [pair.loop.create_task(pair.writer.drain()) for _ in range(2)]
    turn(pair.loop)
    run(pair.loop, pair.server_reader.readexactly(MUCH))
    run(pair.loop, asyncio.gather(*tasks))


def test_a_drain_that_is_cancelled_leaves_the_other(pair):
    pair.writer.write(bytes(MUCH))
    cancelled, other = (pair.loop.create_task(pair.writer.drain()) for _ in range(2))
    turn(pair.loop)
    cancelled.cancel()
    run(pair.loop, pair.server_reader.readexactly(MUCH))
    run(pair.loop, other)
    with pytest.raises(asyncio.CancelledError):
        run(pair.loop, cancelled)


def test_drain_after_the_loss_of_the_connection_says_so(pair):
    pair.writer.transport.abort()
    turn(pair.loop)
    with pytest.raises(ConnectionResetError, match="Connection lost"):
        run(pair.loop, pair.writer.drain())


def test_drain_gives_a_closing_connection_the_time_to_be_lost(pair):
    async def main():
        pair.writer.close()
        with pytest.raises(ConnectionResetError, match="Connection lost"):
            await pair.writer.drain()

    run(pair.loop, main())


def test_drain_that_waits_is_told_of_a_reset(pair):
    pair.writer.write(bytes(MUCH))
    draining = pair.loop.create_task(pair.writer.drain())
    turn(pair.loop)
    pair.server_writer.transport.abort()
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        run(pair.loop, draining)


def test_drain_raises_what_reading_failed_with(pair):
    pair.reader.set_exception(ZeroDivisionError("broken"))
    with pytest.raises(ZeroDivisionError, match="broken"):
        run(pair.loop, pair.writer.drain())


def test_a_reset_is_raised_where_one_reads(pair):
    reset(pair.server_writer)
    with pytest.raises(ConnectionResetError):
        run(pair.loop, pair.reader.read(1))


def reset(writer):
    """End the connection by RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_wait_closed_raises_what_the_connection_was_lost_by(pair):
    waiting = pair.loop.create_task(pair.writer.wait_closed())
    turn(pair.loop)
    reset(pair.server_writer)
    with pytest.raises(ConnectionResetError):
        run(pair.loop, waiting)
    with pytest.raises(ConnectionResetError):
        run(pair.loop, pair.writer.wait_closed())


def test_wait_closed_that_is_cancelled_can_be_called_again(native_pair):
    pair = native_pair
    waiting = pair.loop.create_task(pair.writer.wait_closed())
    turn(pair.loop)
    waiting.cancel()
    turn(pair.loop)
    pair.writer.close()
    run(pair.loop, pair.writer.wait_closed())
    run(pair.loop, pair.writer.wait_closed())


def test_the_writer_says_what_it_stands_on(pair):
    writer = pair.writer
    assert writer.get_extra_info("peername") == address_of(pair.served)
    assert writer.get_extra_info("nothing", 5) == 5
    assert writer.can_write_eof()
    assert not writer.is_closing()
    writer.close()
    assert writer.is_closing()


def test_the_writer_knows_how_much_waits(native_pair):
    writer = native_pair.writer
    assert writer.write_buffer_size == 0
    assert writer.tls is None
    writer.write(bytes(MUCH))
    assert 0 < writer.write_buffer_size < MUCH


def test_the_writer_is_printed_with_its_parts(pair):
    words = repr(pair.writer)
    assert words.startswith("<StreamWriter transport=<")
    assert "reader=<StreamReader" in words
    pair.writer.close()
    assert "reader" not in repr(
        type(pair.writer)(pair.writer.transport, pair.writer._protocol, None, pair.loop)
    )


def test_a_drain_is_taken_for_a_coroutine(native_pair):
    writer = native_pair.writer
    at_once = writer.drain()
    writer.write(bytes(MUCH))
    later = writer.drain()
    for drain in (at_once, later):
        assert asyncio.iscoroutine(drain)
        assert repr(drain) == "<coroutine object StreamWriter.drain>"
        assert drain.__qualname__ == "StreamWriter.drain"
        drain.close()
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        run(native_pair.loop, later)


def test_a_drain_that_is_driven_by_hand_ends(native_pair):
    drain = native_pair.writer.drain()
    for iterator in (drain, iter(drain)):
        with pytest.raises(StopIteration):
            iterator.send(None)
    native_pair.writer.write(bytes(MUCH))
    later = iter(native_pair.writer.drain())
    assert asyncio.isfuture(later.send(None))
    for ended in (drain, later):
        with pytest.raises(ZeroDivisionError):
            ended.throw(ZeroDivisionError)


def test_a_drain_that_waits_and_that_nobody_awaits_is_warned_of(native_pair):
    native_pair.writer.write(bytes(MUCH))
    with pytest.warns(RuntimeWarning, match=r"coroutine 'StreamWriter.drain' was never awaited"):
        native_pair.writer.drain()


def test_a_bad_limit_is_told_at_once(loop):
    for made in (
        asynctcp.aio.start_server(echo, LOOPBACK, 0, limit=0),
        asynctcp.aio.open_connection(limit=-1),
    ):
        with pytest.raises(ValueError, match="Limit cannot be <= 0"):
            run(loop, made)


def test_the_limit_is_the_reader_s(loop_and_streams):
    pair = Pair(*loop_and_streams, limit=10)
    pair.server_writer.write(b"a line of more than ten bytes\n")
    with pytest.raises(ValueError, match="longer than limit"):
        run(pair.loop, pair.reader.readline())
    pair.close()


def test_a_handler_that_fails_is_told_and_its_connection_closed(loop_and_streams):
    loop, streams = loop_and_streams
    told = []
    loop.set_exception_handler(lambda _, context: told.append(context))

    async def fail(*_):
        raise ZeroDivisionError("broken")

    async def main():
        async with await streams.start_server(fail, LOOPBACK, 0) as server:
            reader, writer = await streams.open_connection(*address_of(server))
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(loop, main())
    assert told[0]["message"] == "Unhandled exception in client_connected_cb"
    assert isinstance(told[0]["exception"], ZeroDivisionError)


def test_the_connection_of_a_handler_that_is_cancelled_is_closed(loop):
    # asyncio's own has it so from CPython 3.12 on.
    streams = asynctcp.aio

    async def cancel(*_):
        raise asyncio.CancelledError

    async def main():
        async with await streams.start_server(cancel, LOOPBACK, 0) as server:
            reader, writer = await streams.open_connection(*address_of(server))
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(loop, main())


def test_a_writer_that_is_dropped_open_is_closed_and_told_of(loop):
    async def main():
        async with await asynctcp.aio.start_server(echo, LOOPBACK, 0) as server:
            reader, writer = await asynctcp.aio.open_connection(*address_of(server))
            dropped = [writer]
            del writer
            with pytest.warns(ResourceWarning, match="unclosed <StreamWriter"):
                dropped.clear()
            assert await reader.read() == b""

    run(loop, main())


def test_a_writer_that_is_dropped_after_its_loop_is_told_of():
    loop = asynctcp.aio.new_event_loop()
    pair = Pair(loop, asynctcp.aio)
    pair.served.close()
    loop.close()
    with pytest.warns(ResourceWarning, match="loop is closed"):
        vars(pair).pop("writer")
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        del pair
        gc.collect()


def contexts():
    server = authority().server_context()
    client = authority().client_context()
    client.check_hostname = False
    return server, client


def test_over_tls_it_is_the_same(loop_and_streams):
    loop, streams = loop_and_streams
    server_context, client_context = contexts()

    async def main():
        async with await streams.start_server(echo, LOOPBACK, 0, ssl=server_context) as server:
            reader, writer = await streams.open_connection(*address_of(server), ssl=client_context)
            assert not writer.can_write_eof()
            writer.write(b"hello\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return line

    assert run(loop, main()) == b"hello\n"


def test_tls_is_another_name_for_ssl(loop):
    server_context, client_context = contexts()

    async def main():
        async with await asynctcp.aio.start_server(echo, LOOPBACK, 0, tls=server_context) as server:
            reader, writer = await asynctcp.aio.open_connection(*address_of(server), tls=client_context)
            writer.write(b"hello\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return line

    assert run(loop, main()) == b"hello\n"
    with pytest.raises(TypeError, match="ssl and tls exclude each other"):
        run(loop, asynctcp.aio.open_connection(LOOPBACK, 1, tls=client_context, ssl=client_context))


def test_both_ends_go_on_over_tls(loop_and_streams):
    loop, streams = loop_and_streams
    server_context, client_context = contexts()

    async def upgrade(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go on\n")
        await writer.start_tls(server_context)
        await echo(reader, writer)

    async def main():
        async with await streams.start_server(upgrade, LOOPBACK, 0) as server:
            reader, writer = await streams.open_connection(*address_of(server))
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go on\n"
            await writer.start_tls(client_context, server_hostname="localhost")
            assert writer.get_extra_info("ssl_object") is not None
            writer.write(b"hello\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return line

    assert run(loop, main()) == b"hello\n"


def test_a_config_is_taken_where_a_context_is(loop):
    ca = authority()

    async def main():
        async with await asynctcp.aio.start_server(echo, LOOPBACK, 0, tls=ca.server()) as server:
            port = address_of(server)[1]
            reader, writer = await asynctcp.aio.open_connection("localhost", port, tls=ca.client())
            writer.write(b"hello\n")
            line = await reader.readline()
            version = writer.tls.version
            writer.close()
            await writer.wait_closed()
            return line, version, await reader.read()

    assert run(loop, main()) == (b"hello\n", "TLSv1.3", b"")


def test_true_is_a_config_with_the_trust_of_the_system(loop, tmp_path, monkeypatch):
    ca, store = authority(), tmp_path / "store.pem"
    store.write_bytes(ca.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(store))

    async def main():
        async with await asynctcp.aio.start_server(echo, LOOPBACK, 0, tls=ca.server()) as server:
            _, writer = await asynctcp.aio.open_connection("localhost", address_of(server)[1], tls=True)
            version = writer.tls.version
            writer.close()
            await writer.wait_closed()
            return version

    assert run(loop, main()) == "TLSv1.3"


def test_both_ends_go_on_over_tls_by_a_config(loop):
    ca = authority()

    async def upgrade(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        await writer.start_tls(ca.server())
        await echo(reader, writer)

    async def main():
        async with await asynctcp.aio.start_server(upgrade, LOOPBACK, 0) as server:
            reader, writer = await asynctcp.aio.open_connection(*address_of(server))
            assert writer.tls is None
            writer.write(b"STARTTLS\n")
            await writer.start_tls(ca.client(), server_hostname="localhost")
            assert writer.tls.server_name == "localhost"
            writer.write(bytes(MUCH))
            await writer.drain()
            data = await reader.readexactly(MUCH)
            writer.close()
            await writer.wait_closed()
            return data

    assert run(loop, main()) == bytes(MUCH)


def test_streams_end_without_garbage(loop):
    async def main():
        async with await asynctcp.aio.start_server(echo, LOOPBACK, 0) as server:
            for _ in range(10):
                reader, writer = await asynctcp.aio.open_connection(*address_of(server))
                writer.write(b"x")
                assert await reader.read(1) == b"x"
                writer.close()
                await writer.wait_closed()

    run(loop, main())
    gc.collect()
    kinds = (asynctcp.aio.StreamReader, asynctcp.aio.StreamWriter, asynctcp.aio.Transport)
    # By their type: the transport says that it is of asyncio's class.
    assert not [it for it in gc.get_objects() if type(it) in kinds]
