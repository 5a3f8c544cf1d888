"""anyio's asyncio backend on our loop, by the option that it has for that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from certificates import authority
from helpers import LOOPBACK
from loops import LOOPS
from peers import EXAMPLES
from services import needs_package

pytestmark = needs_package("anyio")


def run(main, loop_name):
    import anyio

    async def bounded():
        with anyio.fail_after(10):
            return await main()

    return anyio.run(bounded, backend_options={"loop_factory": LOOPS[loop_name]})


def test_loop_is_the_one_that_was_asked_for(loop_name):
    import asyncio

    async def main():
        return type(asyncio.get_running_loop()).__module__.partition(".")[0]

    assert run(main, loop_name) == loop_name


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_streams_over_tcp_end_whole(loop_name, tls):
    import anyio
    from anyio.streams.tls import TLSListener

    data = os.urandom(1 << 20)

    async def echo(client):
        async with client:
            async for piece in client:
                await client.send(piece)

    async def main():
        listener = await anyio.create_tcp_listener(local_host=LOOPBACK)
        host, port = listener.extra(anyio.abc.SocketAttribute.local_address)
        options = {}
        if tls:
            listener = TLSListener(listener, authority().server_context())
            options = {"tls": True, "ssl_context": authority().client_context()}
        got = bytearray()
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, echo)
            async with await anyio.connect_tcp(host, port, **options) as client:
                group.start_soon(client.send, data)
                while len(got) < len(data):
                    got += await client.receive()
            group.cancel_scope.cancel()
        return bytes(got)

    assert run(main, loop_name) == data


def test_unix_sockets_datagrams_threads_and_processes(loop_name, tmp_path):
    import anyio

    async def answer(client):
        async with client:
            await client.send(await client.receive())

    async def main():
        said = []
        listener = await anyio.create_unix_listener(tmp_path / "socket")
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, answer)
            async with await anyio.connect_unix(tmp_path / "socket") as client:
                await client.send(b"unix")
                said.append(await client.receive())
            group.cancel_scope.cancel()
        async with await anyio.create_udp_socket(local_host=LOOPBACK) as udp:
            address = udp.extra(anyio.abc.SocketAttribute.local_address)
            async with await anyio.create_connected_udp_socket(*address) as sender:
                await sender.send(b"datagram")
                said.append((await udp.receive())[0])
        said.append(
            await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(anyio.sleep, 0) or b"thread")
        )
        said.append((await anyio.run_process(["cat"], input=b"process")).stdout)
        return said

    assert run(main, loop_name) == [b"unix", b"datagram", b"thread", b"process"]


def test_signals_are_received_and_scopes_cancelled(loop_name):
    import anyio

    async def main():
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            os.kill(os.getpid(), signal.SIGUSR1)
            number = await anext(signals)
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        return number, scope.cancelled_caught

    assert run(main, loop_name) == (signal.SIGUSR1, True)


def test_pytest_plugin_runs_tests_and_fixtures_on_our_loop():
    folder = EXAMPLES / "aio" / "with_anyio"
    options = ["-W", "error", "-c", "/dev/null", "-p", "no:asyncio", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, folder],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
