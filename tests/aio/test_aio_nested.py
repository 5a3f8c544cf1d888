"""A thread runs one loop at a time, of asyncio's kind or of this library's."""

from __future__ import annotations

import asyncio
import threading

import pytest

import asynctcp
from asynctcp import aio
from helpers import DEADLINE, ignore
from loops import run

ALREADY = "another event loop runs in this thread already"


@pytest.fixture
def loop():
    loop = aio.new_event_loop()
    yield loop
    loop.close()


def enter_block():
    with asynctcp.event_loop():
        pass


BEGINNINGS = {
    "start_event_loop": lambda: asynctcp.start_event_loop(ignore),
    "event_loop": enter_block,
    "run": lambda: asynctcp.EventLoop().run(ignore),
}


@pytest.mark.parametrize("begin", BEGINNINGS.values(), ids=BEGINNINGS)
@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_loop_of_callbacks_cannot_begin_in_an_asyncio_loop_whatever_that_was_used_for(loop, begin, used):
    async def main():
        if used:
            asynctcp.current_event_loop()
        with pytest.raises(asynctcp.EventLoopError, match=ALREADY):
            begin()
        # And it goes on.
        done = asyncio.get_running_loop().create_future()
        asynctcp.delay(lambda: done.set_result(True), 0)
        return await done

    assert run(loop, main())


def in_callback_loop(call):
    """What it raises in a callback of a loop that runs."""
    raised = []

    def attempt():
        try:
            call()
        except RuntimeError as error:
            raised.append(str(error))

    asynctcp.start_event_loop(lambda: asynctcp.delay(attempt, 0))
    return raised


def test_run_in_a_callback_of_a_running_loop_is_refused():
    async def main():
        pass

    coroutine = main()
    said = in_callback_loop(lambda: aio.run(coroutine))
    coroutine.close()
    assert said == ["asynctcp.aio.run() cannot be called from a running event loop"]


def test_run_in_a_running_asyncio_loop_is_refused_in_asyncios_words(loop):
    async def nothing():
        pass

    coroutine = nothing()

    async def main():
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            aio.run(coroutine)

    run(loop, main())
    coroutine.close()


def test_asyncio_loop_cannot_run_in_a_callback_of_a_running_loop(loop):
    future = loop.create_future()
    refused = "Cannot run the event loop while another loop is running"
    assert in_callback_loop(loop.run_forever) == [refused]
    assert in_callback_loop(lambda: loop.run_until_complete(future)) == [refused]
    loop.call_soon(future.set_result, 1)
    assert loop.run_until_complete(future) == 1


def test_asyncio_loop_runs_in_the_callback_of_a_loop_that_is_pumped(loop):
    async def main():
        return 1

    got = []
    pumped = asynctcp.EventLoop()
    pumped.call_soon_threadsafe(lambda: got.append(run(loop, main())))
    pumped.pump(DEADLINE)
    pumped.exit()
    assert got == [1]


def test_loops_of_other_threads_are_no_hindrance(loop):
    got = []

    async def main():
        thread = threading.Thread(
            target=asynctcp.start_event_loop,
            args=(lambda: got.append(1),),
        )
        thread.start()
        await asyncio.to_thread(thread.join, DEADLINE)

    run(loop, main())
    assert got == [1]


def test_loop_of_callbacks_runs_beside_an_asyncio_loop_that_is_not_running(loop):
    async def main():
        asynctcp.current_event_loop()

    run(loop, main())
    got = []
    asynctcp.start_event_loop(lambda: got.append(1))
    assert got == [1]
    run(loop, main())


def test_foreign_asyncio_loop_hinders_nobody():
    got = []

    async def main():
        asynctcp.start_event_loop(lambda: got.append(1))

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())
    assert got == [1]
