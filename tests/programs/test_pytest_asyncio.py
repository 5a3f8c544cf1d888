"""pytest-asyncio runs its tests and fixtures on our loop, by its hook for loop factories or by a policy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from services import needs_package

pytestmark = needs_package("pytest_asyncio")

TEST_FILE = """
import asyncio

import pytest
import pytest_asyncio

from asynctcp import aio


@pytest_asyncio.fixture
async def server():
    async def serve(reader, writer):
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server
    assert await server.drain(timeout=5)


@pytest.mark.asyncio
async def test_fixture_and_test_share_our_loop(server):
    assert isinstance(asyncio.get_running_loop(), aio.Loop)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\\n")
    assert await reader.read() == b"hello\\n"
    writer.close()
    await writer.wait_closed()


@pytest.mark.asyncio(loop_scope="module")
async def test_loop_of_a_module_is_ours():
    assert isinstance(asyncio.get_running_loop(), aio.Loop)
"""

HOOK = """
from asynctcp import aio


def pytest_asyncio_loop_factories(config, item):
    return {"asynctcp": aio.new_event_loop}
"""

POLICY = """
import asyncio

import pytest

from asynctcp import aio


class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        return aio.new_event_loop()


@pytest.fixture(scope="session")
def event_loop_policy():
    return Policy()
"""


def run_tests(folder, conftest, *options):
    (folder / "test_it.py").write_text(TEST_FILE)
    (folder / "conftest.py").write_text(conftest)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, "-p", "no:anyio", "-p", "no:cacheprovider", folder],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout + done.stderr


def test_loop_of_the_hook_is_used(tmp_path):
    assert "2 passed" in run_tests(tmp_path, HOOK, "-W", "error")


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="asyncio's policies are deprecated from CPython 3.14 on"
)
def test_loop_of_a_policy_is_used(tmp_path):
    assert "2 passed" in run_tests(tmp_path, POLICY)
