"""The loops that pollers are tried in; each ends when no poller is left."""

from __future__ import annotations

import asyncio

import asynctcp
import asynctcp.aio
from asynctcp import EventLoop
from foreign import pump_until, setup
from helpers import DEADLINE, run


def in_loop_of_its_own(start):
    run(start)


def with_io_threads(start):
    run(start, loop=EventLoop(io_threads=2))


def pumped(start):
    """In a foreign loop; over once nothing is left alive but that loop."""
    loop = EventLoop()
    setup(loop, start)
    pump_until(loop, lambda: not loop.stats()["pollers"])
    loop.exit()


async def ended(loop):
    """No poller is left."""
    while loop.tcp.stats()["pollers"]:  # noqa: ASYNC110 (nothing tells)
        await asyncio.sleep(0.001)


def in_asyncio(start):
    async def main():
        loop = asyncio.get_running_loop()
        start()
        await ended(loop)

    asynctcp.aio.run(asyncio.wait_for(main(), DEADLINE))


LOOPS = [in_loop_of_its_own, with_io_threads, pumped, in_asyncio]
