"""This library's loop inside an asyncio loop of ours: both wait in one place, and miss nothing there."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

import asynctcp
import asynctcp.aio
from helpers import DEADLINE, LOOPBACK, SOON, ignore, is_within, wait_until
from loops import run


@pytest.fixture
def loop():
    loop = asynctcp.aio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def hosting(loop):
    """A loop that hosts one with a server."""

    async def main():
        return asynctcp.tcp_server(LOOPBACK, 0, lambda ours, data: ours.write(data))

    loop.server = run(loop, main())
    return loop


def connect(hosting, read_cb, **keywords):
    return asynctcp.tcp_connect(hosting.server.host, hosting.server.port, read_cb, **keywords)


def threads():
    """The names of this process's threads."""
    return {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}


@pytest.mark.usefixtures("hosting")
def test_io_has_no_thread_of_its_own():
    assert not any(name.startswith("asynctcp-io") for name in threads())


def test_io_has_the_threads_that_were_asked_for():
    loop = asynctcp.aio.new_event_loop(io_threads=1)
    try:
        assert loop.tcp.stats()["servers"] == 0
        # A thread names itself.
        wait_until(lambda: any(name.startswith("asynctcp-io") for name in threads()))
    finally:
        loop.close()


@pytest.mark.parametrize("io_threads", [0, 2])
def test_both_worlds_talk_to_one_another(io_threads):
    loop = asynctcp.aio.new_event_loop(io_threads=io_threads)

    async def main():
        server = asynctcp.tcp_server(LOOPBACK, 0, lambda ours, data: ours.write(data.upper()))
        reader, writer = await asyncio.open_connection(server.host, server.port)
        for _ in range(200):
            writer.write(b"ping")
            assert await reader.readexactly(4) == b"PING"
        writer.close()
        await writer.wait_closed()

    run(loop, main())
    loop.close()


def test_handler_of_a_signal_runs_while_both_wait(hosting):
    async def main():
        called = hosting.create_future()
        signal.signal(signal.SIGALRM, lambda *_: called.set_result(time.monotonic()))
        # Two waits: none is left over from before.
        await asyncio.sleep(0.01)
        due = time.monotonic() + 0.02
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        return await asyncio.wait_for(called, DEADLINE) - due

    before = signal.getsignal(signal.SIGALRM)
    try:
        assert run(hosting, main()) < SOON
    finally:
        signal.signal(signal.SIGALRM, before)


def test_call_of_another_thread_ends_the_wait(hosting):
    async def main():
        called = hosting.create_future()
        threading.Timer(0.02, hosting.call_soon_threadsafe, (called.set_result, True)).start()
        return await asyncio.wait_for(called, SOON)

    assert run(hosting, main())


def test_what_another_thread_writes_ends_the_wait(hosting):
    async def main():
        got = hosting.create_future()
        sock = connect(hosting, lambda _, data: got.set_result(data))
        threading.Timer(0.02, sock.write, (b"from elsewhere",)).start()
        return await asyncio.wait_for(got, SOON)

    assert run(hosting, main()) == b"from elsewhere"


def test_reader_is_called_as_long_as_something_is_left(hosting):
    ours, theirs = socket.socketpair()
    got = []

    def read():
        got.append(ours.recv(1))
        if len(got) == 50:
            hosting.remove_reader(ours)
            done.set_result(None)

    async def main():
        hosting.add_reader(ours, read)
        await asyncio.sleep(0.005)  # the loop waits before it comes
        theirs.sendall(bytes(range(50)))
        await asyncio.wait_for(done, SOON)

    done = hosting.create_future()
    with ours, theirs:
        run(hosting, main())
    assert b"".join(got) == bytes(range(50))


def test_reader_of_what_is_ready_already_is_called(hosting):
    reading, writing = os.pipe()

    async def main():
        await asyncio.sleep(0.005)  # the loop has waited before
        os.write(writing, b"x")
        called = hosting.create_future()
        hosting.call_later(
            0.005, hosting.add_reader, reading, lambda: called.done() or called.set_result(True)
        )
        return await asyncio.wait_for(called, SOON)

    try:
        assert run(hosting, main())
    finally:
        hosting.remove_reader(reading)
        os.close(reading)
        os.close(writing)


def test_calls_that_follow_one_another_do_not_keep_events_away(hosting):
    async def main():
        got = hosting.create_future()
        connect(hosting, lambda _, data: got.set_result(data), data=b"among calls")

        def again():
            if not got.done():
                hosting.call_soon(again)

        again()
        return await asyncio.wait_for(got, SOON)

    assert run(hosting, main()) == b"among calls"


def test_events_that_follow_one_another_do_not_keep_calls_away(hosting):
    async def main():
        sock = connect(hosting, lambda ours, data: ours.write(data), data=b"round and round")
        for _ in range(100):
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)  # a timer's call is one, too
        sock.close(force=True)

    run(hosting, asyncio.wait_for(main(), SOON))


def test_timers_of_both_are_called_in_their_order(hosting):
    async def main():
        called = []
        for number in range(0, 6, 2):
            asynctcp.delay(functools.partial(called.append, number), 0.02 * (number + 1))
            hosting.call_later(0.02 * (number + 2), called.append, number + 1)
        while len(called) < 6:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.001)
        return called

    assert run(hosting, main()) == list(range(6))


def test_what_a_step_wrote_is_sent_while_it_goes_on(hosting):
    async def write(listener):
        connected = hosting.create_future()
        sock = asynctcp.tcp_connect(*listener.getsockname(), ignore, connect_cb=connected.set_result)
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(DEADLINE)
            await connected
            sock.write(b"before it goes on")
            began = time.monotonic()
            assert peer.recv(100) == b"before it goes on"
            sock.close(force=True)
            return time.monotonic() - began

    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        assert is_within(SOON, lambda: run(hosting, write(listener)))


@pytest.mark.parametrize("name", ["pump", "fileno"])
def test_it_is_turned_by_nobody_else(hosting, name):
    with pytest.raises(asynctcp.EventLoopError):
        getattr(hosting.tcp, name)()


def test_next_one_is_made_after_exit(hosting):
    async def end():
        asynctcp.exit_event_loop()

    first = hosting.tcp
    hosting.create_task(end())
    hosting.run_forever()

    async def main():
        called = hosting.create_future()
        asynctcp.delay(lambda: called.set_result(True), 0.001)
        return await asyncio.wait_for(called, SOON)

    assert run(hosting, main())
    assert hosting.tcp is not first


def test_interrupt_in_a_callback_leaves_the_rest_for_the_next_run(loop):
    called = []

    def interrupt(*_):
        raise KeyboardInterrupt

    async def main():
        asynctcp.delay(interrupt)
        loop.call_soon(called.append, 1)
        await asyncio.sleep(0)
        await asyncio.sleep(DEADLINE)

    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert called == [1]


def test_loop_that_does_not_run_is_driven_by_the_helper(hosting):
    """Its server accepts between two runs."""
    with socket.create_connection(hosting.server.address, DEADLINE) as peer:
        peer.sendall(b"between")

        async def ask():
            return await asyncio.wait_for(hosting.sock_recv(peer, 100), SOON)

        peer.setblocking(False)
        assert run(hosting, ask()) == b"between"
