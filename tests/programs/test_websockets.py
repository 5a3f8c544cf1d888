"""websockets does its work on our loop as on asyncio's own, both sides."""

from __future__ import annotations

import asyncio
import os

import pytest

from certificates import authority
from helpers import LOOPBACK
from loops import run
from services import needs_package

pytestmark = needs_package("websockets")


async def echo(connection):
    async for message in connection:
        await connection.send(message)


def uri_of(server, scheme="ws"):
    return "{}://{}:{}/".format(scheme, *server.sockets[0].getsockname())


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_messages_of_all_sizes_come_back(loop, tls):
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    messages = ["", "text", b"bytes", os.urandom(200_000), "x" * 900_000]

    async def main():
        contexts = (authority().server_context(), authority().client_context()) if tls else (None, None)
        async with serve(echo, LOOPBACK, 0, ssl=contexts[0]) as server:
            uri = uri_of(server, "wss" if tls else "ws")
            async with connect(uri, ssl=contexts[1]) as client:
                for message in messages:
                    await client.send(message)
                return [await client.recv() for _ in messages]

    assert run(loop, main()) == messages


def test_many_clients_are_told_what_is_broadcast(loop):
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import broadcast, serve

    async def main():
        async with serve(echo, LOOPBACK, 0) as server:
            clients = await asyncio.gather(*(connect(uri_of(server)) for _ in range(30)))
            broadcast(server.connections, "news")
            told = await asyncio.gather(*(client.recv() for client in clients))
            await asyncio.gather(*(client.close() for client in clients))
            return told

    assert run(loop, main()) == ["news"] * 30


def test_peer_that_does_not_answer_pings_is_given_up(loop):
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve
    from websockets.exceptions import ConnectionClosedError

    async def main():
        ended = loop.create_future()

        async def wait(connection):
            try:
                await connection.recv()
            except ConnectionClosedError as error:
                ended.set_result(str(error))

        async with (
            serve(wait, LOOPBACK, 0, ping_interval=0.05, ping_timeout=0.05, close_timeout=0.05) as server,
            connect(uri_of(server), ping_interval=None) as client,
        ):
            client.transport.pause_reading()
            told = await ended
            client.transport.abort()
            return told

    assert "keepalive ping timeout" in run(loop, main())
