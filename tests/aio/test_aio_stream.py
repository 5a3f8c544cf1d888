"""`asynctcp.aio.connect` and `serve`: sockets of this library to await."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket

import pytest

import asynctcp
from asynctcp import aio
from asynctcp.aio import _options, _stream
from certificates import authority
from helpers import DEADLINE, LOOPBACK, MUCH, ignore
from loops import run


@pytest.fixture
def loop(ours_without_tasks):
    return ours_without_tasks


async def echo(stream):
    async for piece in stream:
        await stream.send(piece)


async def receive_all(stream):
    return b"".join([piece async for piece in stream])


def test_stream_echoes_and_ends(loop):
    async def main():
        async with (
            await aio.serve(echo, LOOPBACK, 0) as server,
            await aio.connect(server.host, server.port) as stream,
        ):
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"
            await stream.send_eof()
            return await receive_all(stream)

    assert run(loop, main()) == b""


def test_more_than_the_buffers_hold_arrives_whole(loop):
    payload = bytes(range(256)) * (MUCH // 256)

    async def main():
        async with (
            await aio.serve(echo, LOOPBACK, 0) as server,
            await aio.connect(server.host, server.port) as stream,
        ):

            async def send():
                await stream.send(payload)
                await stream.send_eof()

            sending = asyncio.create_task(send())
            got = await receive_all(stream)
            await sending
            return got == payload

    assert run(loop, main())


def test_receive_returns_no_more_than_it_is_asked_for(loop):
    async def main():
        async with (
            await aio.serve(echo, LOOPBACK, 0) as server,
            await aio.connect(server.host, server.port) as stream,
        ):
            await stream.send(b"abcdef")
            return [await stream.receive(4), await stream.receive(1), await stream.receive(9)]

    assert run(loop, main()) == [b"abcd", b"e", b"f"]


def test_receive_at_the_end_raises_the_condition_each_time(loop):
    async def nothing(_):
        pass

    async def main():
        async with (
            await aio.serve(nothing, LOOPBACK, 0) as server,
            await aio.connect(server.host, server.port) as stream,
        ):
            for _ in range(2):
                with pytest.raises(asynctcp.TcpEof):
                    await stream.receive()

    run(loop, main())


def test_read_timeout_is_raised_where_one_waits(loop):
    async def silent(stream):
        await stream.receive()

    async def main():
        async with (
            await aio.serve(silent, LOOPBACK, 0) as server,
            await aio.connect(server.host, server.port, read_timeout=0.02) as stream,
        ):
            for _ in range(2):
                with pytest.raises(asynctcp.TcpTimeout):
                    await stream.receive()

    run(loop, main())


def test_sender_is_held_back_by_a_peer_that_does_not_read(loop):
    async def main():
        with socket.create_server((LOOPBACK, 0)) as listener:
            stream = await aio.connect(*listener.getsockname())
            peer, _ = listener.accept()
        # What the app is told of by this says nothing to who waits.
        stream.socket.set_write_buffer_limits(1, 0)
        with peer:
            sending = asyncio.create_task(stream.send(b"x" * MUCH))
            done, _ = await asyncio.wait([sending], timeout=0.05)
            assert not done
            peer.close()
            with pytest.raises((asynctcp.TcpReset, asynctcp.TcpBrokenPipe)):
                await sending

    run(loop, main())


def test_refused_connection_raises_its_condition(loop):
    with socket.create_server((LOOPBACK, 0)) as listener:
        address = listener.getsockname()

    async def main():
        with pytest.raises(asynctcp.TcpRefused):
            await aio.connect(*address)

    run(loop, main())


def test_cancelled_connect_leaves_no_socket(loop):
    async def main():
        with socket.create_server((LOOPBACK, 0)) as listener:
            task = asyncio.create_task(aio.connect(*listener.getsockname()))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return loop.tcp.stats()["outgoing_tcp_connections"]

    assert run(loop, main()) == 0


def test_closed_stream_says_so(loop):
    async def main():
        async with await aio.serve(echo, LOOPBACK, 0) as server:
            stream = await aio.connect(server.host, server.port)
            await stream.aclose()
            await stream.aclose()
            for use in (stream.receive(), stream.send(b"x"), stream.send_eof()):
                with pytest.raises(asynctcp.SocketClosed):
                    await use

    run(loop, main())


def test_close_wakes_the_task_that_receives(loop):
    async def main():
        async with await aio.serve(echo, LOOPBACK, 0) as server:
            stream = await aio.connect(server.host, server.port)
            receiving = asyncio.create_task(stream.receive())
            await asyncio.sleep(0)
            await stream.aclose()
            with pytest.raises(asynctcp.SocketClosed):
                await receiving

    run(loop, main())


def test_two_tasks_cannot_receive_at_once(loop):
    async def main():
        async with (
            await aio.serve(echo, LOOPBACK, 0) as server,
            await aio.connect(server.host, server.port) as stream,
        ):
            first = asyncio.create_task(stream.receive())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task"):
                await stream.receive()
            first.cancel()

    run(loop, main())


def test_exception_of_a_handler_is_told_and_resets_the_connection(loop):
    got = []
    loop.set_exception_handler(lambda _, context: got.append(context["exception"]))

    async def bad(stream):
        await stream.receive()
        raise ZeroDivisionError

    async def main():
        async with (
            await aio.serve(bad, LOOPBACK, 0) as server,
            await aio.connect(server.host, server.port) as stream,
        ):
            await stream.send(b"x")
            with pytest.raises(asynctcp.TcpReset):
                await stream.receive()

    run(loop, main())
    assert [type(each) for each in got] == [ZeroDivisionError]


def test_end_of_a_connection_in_a_handler_is_no_exception_to_tell(loop):
    got, ended = [], []
    loop.set_exception_handler(lambda _, context: got.append(context["exception"]))

    async def careless(stream):
        try:
            while True:
                await stream.receive()
        except asynctcp.TcpEof:
            ended.append(stream)
            raise

    async def main():
        server = await aio.serve(careless, LOOPBACK, 0)
        async with await aio.connect(server.host, server.port) as stream:
            await stream.send(b"x")
            await stream.send_eof()
            await receive_all(stream)
        assert await server.drain(DEADLINE)

    run(loop, main())
    assert (len(ended), got) == (1, [])


def test_drain_waits_for_handlers_that_return(loop):
    async def once(stream):
        await stream.send(await stream.receive())

    async def main():
        server = await aio.serve(once, LOOPBACK, 0)
        async with await aio.connect(server.host, server.port) as stream:
            await stream.send(b"x")
            assert await stream.receive() == b"x"
            return await server.drain(DEADLINE)

    assert run(loop, main()) is True


def test_drain_cancels_and_awaits_handlers_at_the_deadline(loop):
    ended = []

    async def stubborn(stream):
        try:
            await stream.receive()
        finally:
            ended.append(1)

    async def main():
        server = await aio.serve(stubborn, LOOPBACK, 0)
        async with await aio.connect(server.host, server.port) as stream:
            while not server._tasks:  # noqa: ASYNC110 - of the server's, which sets no event
                await asyncio.sleep(0.001)
            await asyncio.sleep(0)
            drained = await server.drain(0.01)
            with pytest.raises(asynctcp.TcpEof):
                await stream.receive()
        return drained

    assert run(loop, main()) is False
    assert ended == [1]


def test_stream_over_tls_knows_what_was_agreed_on(loop):
    ca = authority()

    async def main():
        async with (
            await aio.serve(echo, LOOPBACK, 0, tls=ca.server()) as server,
            await aio.connect(server.host, server.port, tls=ca.client()) as stream,
        ):
            await stream.send(b"sealed")
            return await stream.receive(), stream.tls.version

    assert run(loop, main()) == (b"sealed", "TLSv1.3")


def test_stream_over_a_unix_socket(loop, tmp_path):
    async def main():
        async with (
            await aio.serve_unix(echo, tmp_path / "socket"),
            await aio.connect_unix(tmp_path / "socket") as stream,
        ):
            await stream.send(b"local")
            return await stream.receive(), stream.peername

    assert run(loop, main()) == (b"local", str(tmp_path / "socket"))


def test_connect_outside_of_our_loop_says_so():
    async def main():
        with pytest.raises(asynctcp.EventLoopError):
            await aio.connect(LOOPBACK, 1)

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())


def test_bad_max_bytes_is_refused(loop):
    async def main():
        async with (
            await aio.serve(echo, LOOPBACK, 0) as server,
            await aio.connect(server.host, server.port) as stream,
        ):
            assert "StreamServer" in repr(server)
            with pytest.raises(ValueError, match="max_bytes must be 1 or more, not 0"):
                await stream.receive(0)

    run(loop, main())


# --- options that are not for streams ---


@pytest.mark.parametrize(
    "name", ["read_cb", "connect_cb", "close_cb", "allow_half_open", "stream", "dont_drain_read_buffer"]
)
def test_option_that_a_stream_sets_itself_is_refused_at_the_call(loop, name):
    for begin in (
        lambda **options: aio.connect(LOOPBACK, 1, **options),
        lambda **options: aio.serve(ignore, LOOPBACK, 0, **options),
    ):
        with pytest.raises(TypeError, match=f"{name} is no option here"):
            run(loop, begin(**{name: None}))


KEYWORD = inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (asynctcp.tcp_connect, _options.ConnectOptions),
        (asynctcp.pipe_connect, _options.ConnectUnixOptions),
        (asynctcp.tcp_server, _options.ServeOptions),
        (asynctcp.pipe_server, _options.ServeUnixOptions),
    ],
)
def test_options_that_a_type_checker_knows_are_those_of_the_sockets(function, options):
    keywords = {one.name for one in inspect.signature(function).parameters.values() if one.kind is KEYWORD}
    assert set(options.__annotations__) == keywords - _stream._OWN - {"tls"}


def test_loop_options_that_a_type_checker_knows_are_those_of_the_loop():
    keywords = set(inspect.signature(asynctcp.EventLoop.__init__).parameters)
    assert set(_options.LoopOptions.__annotations__) == keywords - {"self", "catch_app_errors"}


BEGINNINGS = ["connect", "serve", "connect_unix", "serve_unix"]


def begin(name, path, **options):
    return {
        "connect": lambda: aio.connect(LOOPBACK, 1, **options),
        "serve": lambda: aio.serve(ignore, LOOPBACK, 0, **options),
        "connect_unix": lambda: aio.connect_unix(path, **options),
        "serve_unix": lambda: aio.serve_unix(ignore, path, **options),
    }[name]()


@pytest.mark.parametrize("name", BEGINNINGS)
def test_no_framing_may_be_said(loop, name, tmp_path):
    async def main():
        # Nobody listens.
        with contextlib.suppress(OSError):
            made = await begin(name, tmp_path / "socket", framing=None)
            made.close()

    run(loop, main())


@pytest.mark.parametrize("name", BEGINNINGS)
def test_framing_is_refused_for_there_is_none_yet(loop, name, tmp_path):
    with pytest.raises(TypeError, match="framing must be None, not bytes: there is no framing yet"):
        run(loop, begin(name, tmp_path / "socket", framing=b"\n"))
