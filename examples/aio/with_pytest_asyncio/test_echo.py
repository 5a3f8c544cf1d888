"""A fixture and a test that share this library's loop: ``pytest examples/aio/with_pytest_asyncio``."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from asynctcp import aio


@pytest_asyncio.fixture
async def server() -> AsyncIterator[aio.Server]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    assert isinstance(server, aio.Server)
    yield server
    assert await server.drain(timeout=5)


@pytest.mark.asyncio
async def test_line_comes_back(server: aio.Server) -> None:
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\n")
    assert await reader.read() == b"hello\n"
    writer.close()
    await writer.wait_closed()


@pytest.mark.asyncio
async def test_loop_is_ours() -> None:
    assert isinstance(asyncio.get_running_loop(), aio.Loop)
