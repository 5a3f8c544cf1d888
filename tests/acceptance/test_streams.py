"""Lines of a stream, and what streams hold."""

from __future__ import annotations

import contextlib
import pickle

import pytest

import asynctcp
from asynctcp import AsyncIOStream, LineTooLong, exit_event_loop, tcp_connect, tcp_server
from helpers import LOOPBACK, after_quiet, ignore, run, when


def served(sent, use, **keywords):
    """A server whose client sends; ``use(socket, stream)`` is its read_cb."""

    def read(ours, stream):
        use(ours, stream)

    def start():
        server = tcp_server(
            LOOPBACK, 0, read, ignore, stream=True, close_cb=lambda *_: server.close(), **keywords
        )
        tcp_connect(*server.address, None, ignore, data=sent, connect_cb=lambda ours: ours.close())

    run(start)


def lines_until_too_long(sent, call, **keywords):
    got = []

    def use(ours, stream):
        try:
            while (line := call(stream)) is not None and line:
                got.append(line)
        except LineTooLong as error:
            got.append(error)
            got.append(stream.read())
            ours.close()

    served(sent, use, **keywords)
    return got


def test_longer_line_than_the_limit_raises_line_too_long():
    got = lines_until_too_long(b"short\n" + b"x" * 20 + b"\n", lambda stream: stream.readline(limit=10))
    assert got[0] == b"short\n"
    assert isinstance(got[1], LineTooLong)


def test_line_too_long_is_a_value_error_with_what_was_read():
    _, error, _ = lines_until_too_long(b"\n" + b"x" * 20 + b"\n", lambda stream: stream.readline(limit=10))
    assert isinstance(error, ValueError)
    assert error.partial.startswith(b"x" * 10)
    copy = pickle.loads(pickle.dumps(error))
    assert copy.partial == error.partial


def test_buffer_is_kept_after_line_too_long():
    *_, left = lines_until_too_long(b"x" * 20 + b"\nrest", lambda stream: stream.readline(limit=10))
    assert left.startswith(b"x" * 20)


def test_limit_is_65536_unless_something_else_is_said():
    got = lines_until_too_long(b"x" * 65_535 + b"\n" + b"y" * 70_000 + b"\n", AsyncIOStream.readline)
    assert got[0] == b"x" * 65_535 + b"\n"
    assert isinstance(got[1], LineTooLong)


@pytest.mark.parametrize("through", ["readline", "iteration"])
def test_max_line_of_a_server_is_the_default(through):
    call = AsyncIOStream.readline if through == "readline" else lambda stream: next(stream, None)
    got = lines_until_too_long(b"short\n" + b"x" * 20 + b"\n", call, max_line=10)
    assert got[0] == b"short\n"
    assert isinstance(got[1], LineTooLong)


def test_max_line_of_a_client_is_the_default(peers):
    told = []

    def read(ours, stream):
        with contextlib.suppress(LineTooLong):
            told.append(stream.readline())
            return
        told.append("too long")
        ours.close()

    run(lambda: peers.link(lambda _ours, raw: raw.sendall(b"x" * 20), read, stream=True, max_line=10))
    assert told[-1] == "too long"


def test_limit_given_goes_before_max_line():
    got = lines_until_too_long(b"x" * 20 + b"\n", lambda stream: stream.readline(limit=30), max_line=10)
    assert got == [b"x" * 20 + b"\n"]


def test_unread_streams_hold_no_more_than_the_memory_limit(peers, spawn):
    streams = []

    def pour(raw):
        with contextlib.suppress(OSError):
            raw.sendall(bytes(4 << 20))

    def use(ours, raw):
        streams.append(ours.stream)
        spawn(pour, raw)

    def look():
        held.append(sum(stream.buffered for stream in streams))
        exit_event_loop()

    def start():
        for _ in range(5):
            peers.link(use, ignore, ignore, stream=True)
        when(
            lambda: sum(stream.buffered for stream in streams) >= 1 << 20,
            lambda: after_quiet(look),
        )

    held = []
    run(start, loop=asynctcp.EventLoop(memory_limit=1 << 20))
    assert held[0] <= (1 << 20) + 5 * 262_144


def test_stream_that_ended_by_a_timeout_gives_what_is_left_and_then_its_end(peers):
    seen = []

    def end(condition):
        stream = condition.socket.stream
        seen.extend([type(condition).__name__, stream.readline(), stream.readline()])

    run(
        lambda: peers.link(
            lambda _ours, raw: raw.sendall(b"half"), ignore, end, stream=True, read_timeout=0.05
        )
    )
    assert seen == ["TcpTimeout", b"half", b""]
