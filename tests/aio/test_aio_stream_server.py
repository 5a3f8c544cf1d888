"""`asynctcp.aio.serve`: what it refuses, and what its server tells."""

from __future__ import annotations

import asyncio
import socket

import pytest

import asynctcp
from asynctcp import aio
from certificates import authority
from helpers import DEADLINE, LOOPBACK, fail
from loops import LOOPS, run, until


@pytest.fixture
def loop(ours_without_tasks):
    return ours_without_tasks


async def until_end(stream):
    async for _ in stream:
        pass


@pytest.mark.parametrize("handler", [None, 5, "handler"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_handler_that_cannot_be_called_is_refused_at_the_call(loop, handler, kind, tmp_path):
    kinds = {
        "tcp": lambda: aio.serve(handler, LOOPBACK, 0),
        "unix": lambda: aio.serve_unix(handler, tmp_path / "socket"),
    }
    with pytest.raises(TypeError, match="handler must be an async def, not"):
        run(loop, kinds[kind]())


def test_call_of_a_handler_is_refused(loop):
    coroutine = until_end(None)
    with pytest.raises(TypeError, match="handler must be an async def, not coroutine"):
        run(loop, aio.serve(coroutine, LOOPBACK, 0))
    coroutine.close()


@pytest.mark.parametrize("tls", ["x", 5])
def test_tls_that_is_no_config_is_refused_at_the_call(loop, tls):
    for begun in (aio.connect(LOOPBACK, 1, tls=tls), aio.serve(until_end, LOOPBACK, 0, tls=tls)):
        with pytest.raises(TypeError, match="tls must be a TlsConfig"):
            run(loop, begun)


@pytest.mark.parametrize("ssl", ["x", 5, object()])
def test_ssl_that_is_no_context_is_refused_in_asyncios_words_before_anything_is_tried(loop, ssl, tmp_path):
    factory, path = asyncio.Protocol, tmp_path / "socket"
    for begun in (
        loop.create_connection(factory, LOOPBACK, 1, ssl=ssl),
        loop.create_server(factory, LOOPBACK, 0, ssl=ssl),
        loop.create_unix_connection(factory, path, ssl=ssl, server_hostname="x"),
        loop.create_unix_server(factory, path, ssl=ssl),
        aio.open_connection(LOOPBACK, 1, tls=ssl),
        aio.start_server(until_end, LOOPBACK, 0, tls=ssl),
    ):
        with pytest.raises(TypeError, match="ssl argument must be an SSLContext or None"):
            run(loop, begun)


@pytest.mark.parametrize("name", LOOPS)
def test_server_without_a_context_for_true_says_so_on_both_loops(name):
    loop = LOOPS[name]()
    with pytest.raises(TypeError, match="ssl argument must be an SSLContext or None"):
        run(loop, loop.create_server(asyncio.Protocol, LOOPBACK, 0, ssl=True))
    loop.close()


def test_server_tells_where_it_listens_and_whether(loop):
    async def main():
        async with await aio.serve(until_end, LOOPBACK, 0) as server:
            assert server.addresses == [(LOOPBACK, server.port)]
            assert server.is_serving()
            server.close()
            assert not server.is_serving()
            assert server.addresses == [(LOOPBACK, server.port)]

    run(loop, main())


def test_unix_server_tells_its_path(loop, tmp_path):
    async def main():
        async with await aio.serve_unix(until_end, tmp_path / "socket") as server:
            return server.addresses, server.host, server.port

    path = str(tmp_path / "socket")
    assert run(loop, main()) == ([path], path, 0)


def test_sockets_of_a_server_are_those_of_its_open_connections(loop):
    async def main():
        async with await aio.serve(until_end, LOOPBACK, 0) as server:
            assert server.sockets == []
            async with await aio.connect(server.host, server.port) as stream:
                while not server.sockets:  # noqa: ASYNC110 - of the server's, which sets no event
                    await asyncio.sleep(0.001)
                (sock,) = server.sockets
                assert isinstance(sock, asynctcp.Socket)
                assert sock.peername == stream.socket.sockname
            assert await server.drain(DEADLINE)
            assert server.sockets == []

    run(loop, main())


def test_wait_closed_returns_when_closed_and_all_handlers_have_returned(loop):
    ended = []

    async def handler(stream):
        await until_end(stream)
        ended.append(1)

    async def main():
        server = await aio.serve(handler, LOOPBACK, 0)
        waiting = asyncio.create_task(server.wait_closed())
        streams = [await aio.connect(server.host, server.port) for _ in range(2)]
        while len(server._tasks) < 2:  # noqa: ASYNC110 - of the server's, which sets no event
            await asyncio.sleep(0.001)
        assert not waiting.done()
        server.close()
        await asyncio.sleep(0)
        assert not waiting.done()
        for stream in streams:
            await stream.aclose()
        await waiting
        # Of one that is over: at once.
        await server.wait_closed()

    run(loop, main())
    assert ended == [1, 1]


def test_wait_closed_of_a_closed_server_without_connections_returns_at_once(loop):
    async def main():
        server = await aio.serve(until_end, LOOPBACK, 0)
        server.server.close()
        await server.wait_closed()

    run(loop, main())


def test_wait_closed_returns_when_the_server_below_is_closed(loop):
    async def main():
        server = await aio.serve(until_end, LOOPBACK, 0)
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.sleep(0)
        server.server.close()
        await waiting

    run(loop, main())


def test_wait_closed_returns_when_the_loop_of_callbacks_ends(loop):
    async def main():
        server = await aio.serve(until_end, LOOPBACK, 0)
        waiting.append(asyncio.create_task(server.wait_closed()))
        await asyncio.sleep(0)
        asynctcp.exit_event_loop()
        await waiting[0]

    waiting = []
    with pytest.raises(RuntimeError, match="Event loop stopped before Future completed"):
        run(loop, main())
    run(loop, asyncio.wait(waiting))


UNANNOUNCED = {"TLS": lambda: {"tls": authority().server()}, "PROXY": lambda: {"proxy_protocol": "require"}}


async def unannounced(kind, handler):
    """A server, and a connection to it whose handshake or PROXY header is under way."""
    server = await aio.serve(handler, LOOPBACK, 0, **UNANNOUNCED[kind]())
    peer = socket.create_connection((server.host, server.port), timeout=DEADLINE)
    await until(lambda: server.server.connections)
    assert server.sockets == []
    peer.setblocking(False)
    return server, peer


@pytest.mark.parametrize("name", ["drain", "wait_closed"])
def test_closed_server_waits_for_a_tls_handshake_that_is_under_way(loop, name):
    served = []

    async def handler(stream):
        served.append(await stream.receive())

    async def main():
        server, peer = await unannounced("TLS", handler)
        server.close()
        draining = server.drain(DEADLINE) if name == "drain" else server.wait_closed()
        waiting = asyncio.create_task(draining)
        context = authority().client_context()
        _, writer = await asyncio.open_connection(sock=peer, ssl=context, server_hostname="localhost")
        assert not waiting.done()
        writer.write(b"x")
        assert await waiting is not False
        writer.close()

    run(loop, main())
    assert served == [b"x"]


def test_drained_server_waits_for_a_proxy_header_that_is_under_way(loop):
    served = []

    async def handler(stream):
        served.append(stream.peername)

    async def main():
        server, peer = await unannounced("PROXY", handler)
        waiting = asyncio.create_task(server.drain(DEADLINE))
        await asyncio.sleep(0)
        peer.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
        assert await waiting is True
        peer.close()

    run(loop, main())
    assert served == [("192.0.2.1", 1)]


def test_drained_server_resets_at_the_deadline_what_is_not_announced(loop):
    async def main():
        server, peer = await unannounced("PROXY", fail)
        assert await server.drain(0) is False
        peer.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
        with pytest.raises(ConnectionResetError):
            await loop.sock_recv(peer, 1)
        await server.wait_closed()
        peer.close()

    run(loop, main())


def test_drained_server_without_connections_needs_no_time(loop):
    async def main():
        server = await aio.serve(until_end, LOOPBACK, 0)
        assert await server.drain(0) is True

    run(loop, main())


def test_connection_whose_handler_is_cancelled_before_it_begins_is_closed(loop):
    def make(loop, coroutine, **options):
        task = asyncio.Task(coroutine, loop=loop, **options)
        if coroutine.__name__ == "_serve":
            # As `drain` does in the same turn.
            task.cancel()
        return task

    async def main():
        async with await aio.serve(until_end, LOOPBACK, 0) as server:
            loop.set_task_factory(make)
            with socket.create_connection((LOOPBACK, server.port), timeout=DEADLINE) as peer:
                peer.setblocking(False)
                async with asyncio.timeout(DEADLINE):
                    assert await loop.sock_recv(peer, 1) == b""

    run(loop, main())
