"""The process ends in silence, with status 0, while a daemon thread is in a loop of `asynctcp.aio`."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: How many processes. Before CPython 3.14 a thread is ended in whatever call of Python it makes: where native
#: code made it, that ended one process in three by SIGABRT.
TRIES = 8

PROGRAM = """
import asyncio, socket, threading
from asynctcp import aio

def busy():
    sum(range(100))

{start}

async def main():
    kept = await start(asyncio.get_running_loop())
    asyncio.get_running_loop().call_later(0.02, running.set)
    await asyncio.sleep(60)

running = threading.Event()
threading.Thread(target=lambda: aio.run(main()), daemon=True).start()
running.wait()
"""

CALLS = """
async def start(loop):
    def again():
        busy()
        loop.call_soon(again)
    again()
"""

TIMERS_IN_DEBUG_MODE = """
async def start(loop):
    loop.set_debug(True)
    loop.slow_callback_duration = 3600  # a busy machine makes any call slow
    def again():
        busy()
        loop.call_later(0, again)
    again()
"""

PROTOCOLS = """
class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"x")
    def data_received(self, data):
        busy()
        self.transport.write(data)

async def start(loop):
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    return server, [await loop.create_connection(Echo, *address) for _ in range(10)]
"""

DATAGRAMS = """
class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, address):
        busy()
        self.transport.sendto(data, address)

async def start(loop):
    server, _ = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
    address = server.get_extra_info("sockname")
    clients = [await loop.create_datagram_endpoint(Echo, remote_addr=address) for _ in range(10)]
    for client, _ in clients:
        client.sendto(b"x")
    return server, clients
"""

STREAMS = """
async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()

async def ask(reader, writer):
    while True:
        writer.write(b"x")
        await reader.readexactly(1)

async def start(loop):
    server = await aio.start_server(echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    return server, [asyncio.create_task(ask(*await aio.open_connection(*address))) for _ in range(10)]
"""

CALLBACKS = """
async def start(loop):
    import asynctcp
    server = asynctcp.tcp_server("127.0.0.1", 0, lambda sock, data: (busy(), sock.write(data)))
    def again(sock, data):
        sock.write(data)
    return [asynctcp.tcp_connect(server.host, server.port, again, data="x") for _ in range(10)]
"""

READERS = """
async def start(loop):
    ours, theirs = socket.socketpair()
    def read():
        busy()
        theirs.send(ours.recv(1))
    loop.add_reader(ours, read)
    theirs.send(b"x")
    return ours, theirs
"""
PROGRAMS = {
    "calls": CALLS,
    "timers in debug mode": TIMERS_IN_DEBUG_MODE,
    "protocols": PROTOCOLS,
    "datagrams": DATAGRAMS,
    "streams": STREAMS,
    "readers": READERS,
    "callbacks": CALLBACKS,
}


@pytest.mark.slow
@pytest.mark.parametrize("start", PROGRAMS.values(), ids=PROGRAMS)
def test_process_ends_while_a_daemon_thread_is_in_the_loop(start):
    for _ in range(TRIES):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(start=start)],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
