"""Handles, timers, tasks and transports that are over leave nothing, on loops with asyncio's interface.

By turns called soon, called by a timer, cancelled, and cancelled as a timer; each callback is a bound method
of an object that has its handle, so it is in a cycle. Then connections whose protocol has its transport:
closed, aborted, ended and reset by the peer.
"""

import asyncio
import gc
import importlib
import socket
import weakref

from common import ASYNCIO_LIKE, LOOPBACK, MIB, NOTHING, OURS, Row, below, main, none_of, own_memory, reset

BATCH = 1000
KINDS = ("closed", "aborted", "peer ends", "peer resets")


class Call:
    """Has the handle of its own method."""

    def __init__(self, loop, number):
        kind = number % 4
        made = loop.call_soon(self.run) if kind % 2 else loop.call_later(0.0005, self.run)
        self.handle = made
        if kind >= 2:
            made.cancel()

    def run(self):
        """Do nothing."""


async def calls(count):
    """Make so many, a batch after another; return how many are left of each batch's last."""
    loop = asyncio.get_running_loop()
    left = []
    for first in range(0, count, BATCH):
        last = [Call(loop, first + number) for number in range(BATCH)][-4:]
        left.extend(weakref.ref(call) for call in last)
        del last
        await asyncio.create_task(asyncio.sleep(0.001))
    await asyncio.sleep(0.01)
    gc.collect()
    return sum(call() is not None for call in left)


class Session(asyncio.Protocol):
    """A protocol and its transport, in a cycle."""

    def connection_made(self, transport):
        self.transport = transport
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, _error):
        self.lost.set_result(None)


async def session(listener, number):
    """Make a connection and end it; return weak references to both."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Session, *listener.getsockname())
    peer = listener.accept()[0]
    transport.write(b"data")
    kind = KINDS[number % len(KINDS)]
    if kind == "closed":
        transport.close()
    elif kind == "aborted":
        transport.abort()
    elif kind == "peer ends":
        peer.close()
    else:
        reset(peer)
    await protocol.lost
    peer.close()
    return [weakref.ref(protocol), weakref.ref(transport)]


async def sessions(count):
    """Return how many objects are left of so many connections."""
    left = []
    with socket.create_server((LOOPBACK, 0)) as listener:
        for number in range(count):
            left += await session(listener, number)
    await asyncio.sleep(0.01)
    gc.collect()
    return sum(each() is not None for each in left)


def measure(server, n):
    if server == OURS:
        yield Row("handles", n, NOTHING, NOTHING, None)
        return
    loop = importlib.import_module(server.replace("-", ".")).new_event_loop()
    loop.run_until_complete(calls(n // 10))
    before = own_memory()
    left = loop.run_until_complete(calls(n))
    yield below("handles: memory", n, (own_memory() - before) / MIB, 5, " MiB")
    yield none_of("handles: objects in cycles left", n // BATCH * 4, left)
    yield none_of("transports and protocols: left", n // 50, loop.run_until_complete(sessions(n // 100)))
    loop.close()


if __name__ == "__main__":
    main(measure, quick=100_000, full=1_000_000, peers=ASYNCIO_LIKE)
