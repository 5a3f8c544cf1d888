"""Stream transports of `asynctcp.aio`, as programs and servers have them: as on asyncio's own loop."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import warnings
from unittest import mock

import pytest

from helpers import DEADLINE, LOOPBACK, MUCH, descriptors
from loops import Recorder, run, turn_until


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
