"""The life of the loop of callbacks in an asyncio loop, where other threads ask for it or end it."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings

import pytest

import asynctcp
from asynctcp import aio
from helpers import LOOPBACK, ignore
from loops import run


@pytest.fixture(params=[0, 1], ids=["one thread", "io_threads"])
def loop(request):
    loop = aio.new_event_loop(io_threads=request.param)
    yield loop
    loop.close()


def elsewhere(function):
    """What the function returns or raises in a thread of its own."""
    came = []

    def call():
        try:
            came.append(function())
        except BaseException as error:  # noqa: BLE001 - whatever it is
            came.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return came[0]


def set_up(loop, ended):
    """A server of callbacks, and a connection to it."""

    async def main():
        asynctcp.add_event_loop_exit_callback(lambda: ended.append("exit"))
        server = asynctcp.tcp_server(LOOPBACK, 0, ignore)
        connected = loop.create_future()
        client = asynctcp.tcp_connect(
            server.host,
            server.port,
            ignore,
            connect_cb=connected.set_result,
            close_cb=lambda *_: ended.append("closed"),
        )
        await connected
        return server, client

    return run(loop, main())


def test_loop_that_another_thread_closes_closes_its_sockets(loop):
    ended = []
    opened = set_up(loop, ended)
    assert elsewhere(loop.close) is None
    assert loop.is_closed()
    assert [each.closed for each in opened] == [True, True]
    assert ended == ["closed", "exit"]


def test_loop_is_not_that_of_another_thread_that_asks_for_it(loop):
    def ask():
        tcp = loop.tcp
        with pytest.raises(asynctcp.EventLoopError, match="no event loop runs in this thread"):
            asynctcp.delay(ignore)
        # Nor is a loop of that thread's own refused.
        asynctcp.start_event_loop(ignore)
        return tcp

    async def main():
        tcp = await asyncio.to_thread(ask)
        assert asynctcp.current_event_loop() is tcp is loop.tcp
        called = loop.create_future()
        asynctcp.delay(lambda: called.set_result(threading.get_ident()))
        assert await called == threading.get_ident()

    run(loop, main())


def test_loop_that_sleeps_learns_of_what_another_thread_asks_for(loop):
    async def main():
        called = loop.create_future()

        def ask():
            loop.tcp.call_soon_threadsafe(lambda: called.set_result(threading.get_ident()))

        # Nothing else wakes it: its sleep is as long as the deadline.
        asker = threading.Timer(0.02, ask)
        asker.start()
        assert await called == threading.get_ident()
        asker.join()

    run(loop, main())


def test_exit_by_the_thread_that_asked_first_is_done_in_the_loops(loop):
    ended = []

    def ask():
        loop.tcp._add_exit_callback(lambda: ended.append(threading.get_ident()))
        loop.tcp.exit()

    threading.Timer(0.02, ask).start()
    with pytest.raises(RuntimeError, match="stopped before Future completed"):
        run(loop, asyncio.Event().wait())
    assert ended == [threading.get_ident()]


def test_threads_that_ask_at_once_get_the_same(loop):
    class Meanwhile:
        """Stands for the lock: another thread has asked while this one waits."""

        def __enter__(self):
            loop._making = threading.RLock()
            self.made = elsewhere(lambda: loop.tcp)

        def __exit__(self, *_):
            pass

    meanwhile = loop._making = Meanwhile()
    assert loop.tcp is meanwhile.made


@pytest.mark.parametrize("where", ["exit callback", "close_cb"])
def test_loop_is_closed_although_a_last_callback_raises_system_exit(loop, where):
    def leave(*_):
        raise SystemExit(3)

    async def main():
        if where == "exit callback":
            asynctcp.add_event_loop_exit_callback(leave)
        server = asynctcp.tcp_server(LOOPBACK, 0, ignore)
        close_cb = leave if where == "close_cb" else None
        asynctcp.tcp_connect(server.host, server.port, ignore, close_cb=close_cb)

    run(loop, main())
    with pytest.raises(SystemExit):
        loop.close()
    assert loop.is_closed()


def test_loop_in_debug_mode_that_is_collected_closes_its_sockets():
    loop = aio.new_event_loop(debug=True)
    ended = []
    set_up(loop, ended)
    del loop
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gc.collect()
    assert ended == ["closed", "exit"]
    assert len([each for each in told if str(each.message).startswith("unclosed <asynctcp.")]) == 3
