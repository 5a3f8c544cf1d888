"""Several tasks that send to one `asynctcp.aio.Stream`: each is answered for itself."""

from __future__ import annotations

import asyncio
import socket

import pytest

import asynctcp
from asynctcp import aio
from certificates import authority
from helpers import DEADLINE, LOOPBACK, MUCH
from loops import run

BIG = b"x" * 1_000_000


@pytest.fixture
def loop(ours_without_tasks):
    return ours_without_tasks


async def count(stream):
    """Answer at the end how many bytes came."""
    total = 0
    async for piece in stream:
        total += len(piece)
    await stream.send(b"%d" % total)


async def connect_to_plain_socket(**options):
    with socket.create_server((LOOPBACK, 0)) as listener:
        # Or it grows as the peer reads, and takes in the end what is to wait.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        stream = await aio.connect(*listener.getsockname(), **options)
        peer, _ = listener.accept()
    return stream, peer


async def held_back(stream, number):
    """Tasks whose bytes the kernel does not take."""
    tasks = [asyncio.create_task(stream.send(b"x" * MUCH)) for _ in range(number)]
    while len(stream._senders) < number:  # noqa: ASYNC110 - of the stream's, which sets no event
        await asyncio.sleep(0)
    return tasks


async def take(peer, amount):
    loop = asyncio.get_running_loop()
    peer.setblocking(False)
    while amount:
        amount -= len(await loop.sock_recv(peer, min(amount, 1 << 20)))


@pytest.mark.parametrize("kind", ["plain", "tls", "unix"])
def test_all_of_several_senders_return_once_the_kernel_has_it(loop, kind, tmp_path):
    async def open_pair():
        if kind == "unix":
            server = await aio.serve_unix(count, tmp_path / "socket")
            return server, await aio.connect_unix(tmp_path / "socket")
        ca = authority()
        server_tls, client_tls = (ca.server(), ca.client()) if kind == "tls" else (None, None)
        server = await aio.serve(count, LOOPBACK, 0, tls=server_tls)
        return server, await aio.connect(server.host, server.port, tls=client_tls)

    async def main():
        server, stream = await open_pair()
        async with server, stream:
            await asyncio.gather(*(stream.send(BIG) for _ in range(5)), stream.send(b"y"))
            await stream.send_eof()
            return await stream.receive()

    assert run(loop, main()) == b"5000001"


def test_senders_and_a_receiver_of_one_task_group_all_end(loop):
    async def echo(stream):
        async for piece in stream:
            await stream.send(piece)

    async def main():
        async with (
            await aio.serve(echo, LOOPBACK, 0) as server,
            await aio.connect(server.host, server.port) as stream,
        ):

            async def receive(left):
                while left > 0:
                    left -= len(await stream.receive())
                return left

            async with asyncio.TaskGroup() as group:
                received = group.create_task(receive(3 * 100_000))
                for _ in range(3):
                    group.create_task(stream.send(b"x" * 100_000))
            return received.result()

    assert run(loop, main()) == 0


def test_sender_that_is_cancelled_leaves_the_others_waiting_and_its_bytes_sent(loop):
    async def main():
        stream, peer = await connect_to_plain_socket()
        with peer:
            first, second, third = await held_back(stream, 3)
            third.cancel()
            first.cancel()
            await asyncio.wait([first, third])
            assert not second.done()
            await take(peer, 3 * MUCH)
            await second
            assert first.cancelled()
            assert third.cancelled()
            await stream.aclose()

    run(loop, main())


def test_sender_does_not_wait_for_what_others_send_after_it(loop):
    """The buffer need not be empty between."""

    async def main():
        stream, peer = await connect_to_plain_socket()
        with peer:
            (first,) = await held_back(stream, 1)
            second = asyncio.create_task(stream.send(b"y" * MUCH))
            await asyncio.sleep(0)
            # Most of the second's is still here when the first's has left.
            await take(peer, MUCH)
            stream._on_written(stream.socket)
            await asyncio.wait_for(first, DEADLINE)
            assert not second.done()
            await take(peer, MUCH)
            await second
            await stream.aclose()

    run(loop, main())


class Slow:
    """A socket of which the test says how much the kernel has taken."""

    closed = False
    write_buffer_size = 0

    def write(self, data, **_):
        self.write_buffer_size += len(data)


def test_sender_goes_on_when_another_sends_little_after_its_bytes_have_left(loop):
    async def main():
        stream = aio.Stream()
        stream._socket = Slow()
        first = asyncio.create_task(stream.send(BIG))
        await asyncio.sleep(0)
        stream.socket.write_buffer_size = 0
        await stream.send(b"little")
        await asyncio.wait_for(first, DEADLINE)
        assert stream.socket.write_buffer_size == len(b"little")

    run(loop, main())


def test_every_sender_gets_the_condition_that_ends_the_connection(loop):
    async def main():
        stream, peer = await connect_to_plain_socket()
        tasks = await held_back(stream, 3)
        peer.close()
        return [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)]

    (kind,) = set(run(loop, main()))
    assert kind in (asynctcp.TcpReset, asynctcp.TcpBrokenPipe)


def test_every_sender_is_told_of_a_write_timeout(loop):
    async def main():
        stream, peer = await connect_to_plain_socket(write_timeout=0.05)
        with peer:
            tasks = await held_back(stream, 3)
            return [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)]

    assert run(loop, main()) == [asynctcp.TcpTimeout] * 3


def test_every_sender_is_told_that_this_side_has_closed(loop):
    async def main():
        stream, peer = await connect_to_plain_socket()
        with peer:
            tasks = await held_back(stream, 3)
            stream.socket.close(force=True)
            return [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)]

    assert run(loop, main()) == [asynctcp.SocketClosed] * 3


def test_end_of_sending_beside_senders_goes_after_their_bytes(loop):
    async def main():
        stream, peer = await connect_to_plain_socket()
        with peer:
            tasks = await held_back(stream, 3)
            await stream.send_eof()
            await take(peer, 3 * MUCH)
            await asyncio.gather(*tasks)
            assert await loop.sock_recv(peer, 1) == b""
            await stream.aclose()

    run(loop, main())
