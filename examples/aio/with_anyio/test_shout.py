"""A fixture and a test of anyio's on this library's loop: ``pytest examples/aio/with_anyio``."""

import asyncio
from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from asynctcp import aio


@pytest.fixture
async def stream() -> AsyncIterator[SocketStream]:
    async def serve(client: SocketStream) -> None:
        async with client:
            await client.send((await client.receive()).upper())

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        async with await anyio.connect_tcp("127.0.0.1", listener.extra(SocketAttribute.local_port)) as stream:
            yield stream
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_answer_is_in_capitals(stream: SocketStream) -> None:
    await stream.send(b"hello")
    assert await stream.receive() == b"HELLO"


@pytest.mark.anyio
async def test_loop_is_ours() -> None:
    assert isinstance(asyncio.get_running_loop(), aio.Loop)
