"""How a server of the loop's ends: cancelled, left by an exception, over TLS, with streams nobody closed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys

import pytest

from asynctcp.aio import _server
from certificates import authority
from helpers import DEADLINE, LOOPBACK, MUCH
from loops import Recorder, peer_of, run, until

#: What `ssl=` may be, on both ends; None: plain.
TLS = {
    "plain": lambda: (None, None),
    "context": lambda: (authority().server_context(), authority().client_context()),
    "config": lambda: (authority().server(), authority().client()),
}

CTRL_C = """
import asyncio, socket
from asynctcp import aio

async def handle(reader, writer):
    print("ready", flush=True)
    await reader.read()
    writer.close()

async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()):
        async with server:
            await server.serve_forever()

aio.run(main())
"""


@pytest.fixture
def loop(ours_without_tasks):
    return ours_without_tasks


@pytest.fixture(params=TLS)
def tls(request):
    return TLS[request.param]()


async def accepted(server, protocols, count=1):
    """Plain peers of it, whose connections are made."""
    peers = [peer_of(server) for _ in range(count)]
    await until(lambda: len(protocols) == count and all(each.transport for each in protocols))
    return peers


async def recording(loop, **options):
    protocols = []

    def make():
        protocols.append(Recorder())
        return protocols[-1]

    return await loop.create_server(make, LOOPBACK, 0, **options), protocols


async def serving_forever(loop, server):
    serving = loop.create_task(server.serve_forever())
    await asyncio.sleep(0)
    return serving


async def cancelled(serving):
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


def test_program_with_a_connected_client_ends_by_ctrl_c():
    with subprocess.Popen(
        [sys.executable, "-c", CTRL_C], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"ready\n"
        os.kill(child.pid, signal.SIGINT)
        try:
            _, errors = child.communicate(timeout=DEADLINE)
        finally:
            child.kill()
    assert errors.splitlines()[-1] == b"KeyboardInterrupt"


def test_cancelled_serve_forever_ends_the_connections(loop):
    async def main():
        server, protocols = await recording(loop)
        (peer,) = await accepted(server, protocols)
        serving = await serving_forever(loop, server)
        await cancelled(serving)
        assert protocols[0].told[-1] == ("lost", None)
        assert not server.is_serving()
        assert await loop.sock_recv(peer, 1) == b""
        peer.close()

    run(loop, main())


def test_cancelled_serve_forever_does_not_wait_for_a_peer_that_takes_nothing(loop, monkeypatch):
    monkeypatch.setattr(_server, "LAST_WORDS", 0.01)

    async def main():
        server, protocols = await recording(loop)
        (peer,) = await accepted(server, protocols)
        protocols[0].transport.write(bytes(MUCH))
        serving = await serving_forever(loop, server)
        await cancelled(serving)
        assert protocols[0].told[-1] == ("lost", None)
        peer.close()

    run(loop, main())


def test_serve_forever_of_a_server_that_is_closed_lets_the_connections_go_on(loop):
    async def main():
        server, protocols = await recording(loop)
        (peer,) = await accepted(server, protocols)
        serving = await serving_forever(loop, server)
        server.close()
        peer.send(b"x")
        await until(lambda: protocols[0].data)
        assert not serving.done()
        peer.close()
        with pytest.raises(asyncio.CancelledError):
            await serving

    run(loop, main())


def test_serve_forever_refuses_in_asyncios_words(loop):
    async def main():
        server, _ = await recording(loop)
        serving = await serving_forever(loop, server)
        with pytest.raises(RuntimeError, match=r"is already being awaited on serve_forever\(\)"):
            await server.serve_forever()
        await cancelled(serving)
        with pytest.raises(RuntimeError, match="is closed"):
            await server.serve_forever()

    run(loop, main())


def test_block_that_raises_ends_the_connections(loop):
    async def main():
        server, protocols = await recording(loop)
        (peer,) = await accepted(server, protocols)
        with pytest.raises(ZeroDivisionError):
            async with server:
                raise ZeroDivisionError
        assert protocols[0].told[-1] == ("lost", None)
        peer.close()

    run(loop, main())


@pytest.mark.parametrize(("count", "is_closed"), [(0, False), (1, False), (0, True)])
def test_block_in_a_coroutine_that_is_closed_ends_without_waiting(ours, count, is_closed):
    async def hold(server):
        async with server:
            await asyncio.Event().wait()

    async def main():
        server, protocols = await recording(ours)
        holding = hold(server)
        holding.send(None)
        return holding, server, await accepted(server, protocols, count)

    holding, server, peers = run(ours, main())
    if is_closed:
        ours.close()
    holding.close()
    assert not server.is_serving()
    for peer in peers:
        run(ours, ended(peer))
        peer.close()


async def ended(peer):
    async with asyncio.timeout(DEADLINE):
        assert await asyncio.get_running_loop().sock_recv(peer, 1) == b""


def test_block_that_ends_waits_for_the_connections(loop):
    async def main():
        server, protocols = await recording(loop)
        (peer,) = await accepted(server, protocols)
        async with server:
            loop.call_later(0.01, peer.close)
        assert protocols[0].told[-1] == ("lost", None)

    run(loop, main())


@pytest.mark.parametrize("kind", ["context", "config"])
def test_close_clients_tells_the_peer_over_tls(loop, kind):
    ours, _ = TLS[kind]()

    async def main():
        server, protocols = await recording(loop, ssl=ours)
        address = server.sockets[0].getsockname()
        opened = loop.create_connection(
            Recorder, *address, ssl=authority().client(), server_hostname="localhost"
        )
        _, client = await opened
        await until(lambda: protocols[0].transport)
        server.close()
        server.close_clients()
        await server.wait_closed()
        await until(lambda: client.told[-1] != "made")
        # Without a close_notify it would be lost by an error.
        assert client.told == ["made", "eof", ("lost", None)]

    run(loop, main())


async def half_served(tls, handler):
    """A server of asyncio's streams, and a client that was answered."""
    ours, theirs = tls
    server = await asyncio.start_server(handler, LOOPBACK, 0, ssl=ours)
    address = server.sockets[0].getsockname()
    name = "localhost" if theirs else None
    reader, writer = await asyncio.open_connection(*address, ssl=theirs, server_hostname=name)
    writer.write(b"x")
    assert await reader.read(1) == b"x"
    return server, writer


@pytest.mark.filterwarnings("ignore:unclosed <StreamWriter:ResourceWarning")
def test_server_does_not_wait_for_a_handler_that_returned_without_closing(loop, tls):
    async def handle(reader, writer):
        writer.write(await reader.read(1))

    async def main():
        server, writer = await half_served(tls, handle)
        server.close()
        await server.wait_closed()
        writer.close()

    run(loop, main())


@pytest.mark.filterwarnings("ignore:unclosed <StreamWriter:ResourceWarning")
@pytest.mark.parametrize("order", ["close first", "wait first"])
def test_server_waits_for_a_handler_that_runs_and_returns_without_closing(loop, tls, order):
    async def main():
        goes_on = asyncio.Event()

        async def handle(reader, writer):
            writer.write(await reader.read(1))
            await goes_on.wait()

        server, writer = await half_served(tls, handle)
        if order == "close first":
            server.close()
        waiting = loop.create_task(server.wait_closed())
        await asyncio.sleep(0)
        server.close()
        await asyncio.sleep(0)
        assert not waiting.done()
        goes_on.set()
        await waiting
        writer.close()

    run(loop, main())


def test_unix_server_that_is_cancelled_ends_the_connections(loop, tmp_path):
    async def main():
        protocol = Recorder()
        server = await loop.create_unix_server(lambda: protocol, tmp_path / "socket")
        serving = await serving_forever(loop, server)
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(tmp_path / "socket"))
            await until(lambda: protocol.transport)
            await cancelled(serving)
        assert protocol.told[-1] == ("lost", None)

    run(loop, main())
