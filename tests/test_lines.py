"""How long a line of a stream may be: ``limit``, ``max_line`` and ``LineTooLong``."""

from __future__ import annotations

import copy
import pickle

import pytest

import asynctcp
from asynctcp import AsyncIOStream, LineTooLong, init_tcp_socket, tcp_connect, tcp_server
from asynctcp._read_buffer import UNREAD_LIMIT
from helpers import LOOPBACK, ignore, in_loop, run

USUAL = 65_536


@pytest.fixture
def made():
    """``made(*pieces, ended=False, **keywords)`` makes a stream with these pieces, without a peer."""

    def made(*pieces, ended=False, **keywords):
        stream = init_tcp_socket(None, stream=True, **keywords)
        for piece in pieces:
            stream._feed(piece)
        if ended:
            stream._end()
        return stream

    with asynctcp.event_loop():
        yield made


def too_long(call, **keywords):
    with pytest.raises(LineTooLong) as caught:
        call(**keywords)
    return caught.value


def test_line_as_long_as_the_limit_is_returned(made):
    assert made(b"12345\nrest").readline(limit=5) == b"12345\n"


def test_longer_line_raises_and_stays_in_the_buffer(made):
    stream = made(b"123456\nrest")
    error = too_long(stream.readline, limit=5)
    assert (error.partial, error.limit) == (b"123456\n", 5)
    assert stream.read() == b"123456\nrest"


def test_line_without_an_end_raises_as_soon_as_it_is_longer(made):
    stream = made(b"12345")
    assert stream.readline(limit=5) is None
    stream._feed(b"6")
    assert too_long(stream.readline, limit=5).partial == b"123456"


def test_rest_at_the_end_raises_if_it_is_longer(made):
    assert too_long(made(b"123456", ended=True).readline, limit=5).partial == b"123456"


def test_line_that_was_too_long_is_returned_with_a_higher_limit(made):
    stream = made(b"123456\n")
    too_long(stream.readline, limit=5)
    assert stream.readline(limit=6) == b"123456\n"


def test_limit_is_of_one_line_and_not_of_the_buffer(made):
    stream = made(b"123\n" * 1000)
    assert [stream.readline(limit=3) for _ in range(1001)] == [b"123\n"] * 1000 + [None]


def test_max_line_is_the_limit_where_none_is_given(made):
    stream = made(b"12345\n123456\n", max_line=5)
    assert stream.readline() == b"12345\n"
    too_long(stream.readline)
    assert stream.readline(limit=6) == b"123456\n"


def test_max_line_is_told_before_the_end_of_the_line_is_there(made):
    assert too_long(made(b"123456", max_line=5).readline).limit == 5


def test_max_line_holds_for_iteration(made):
    stream = made(b"1\n2\n123456\n", max_line=5)
    assert (next(stream), next(stream)) == (b"1\n", b"2\n")
    too_long(lambda: next(stream))


@pytest.mark.parametrize("ended", [False, True])
def test_usual_limit_of_a_line_is_64_kib(made, ended):
    end = b"" if ended else b"\n"
    assert made(b"x" * USUAL + end, ended=ended).readline() == b"x" * USUAL + end
    assert too_long(made(b"x" * (USUAL + 1) + end, ended=ended).readline).limit == USUAL


def test_line_without_an_end_waits_where_nobody_gave_a_limit(made):
    """So a program that bounds its lines by ``buffered`` goes on as before."""
    stream = made(b"x" * (2 * USUAL))
    assert stream.readline() is None
    stream._feed(b"\n")
    too_long(stream.readline)


@pytest.mark.parametrize(
    ("keywords", "limit"),
    [({}, USUAL), ({"max_line": None}, UNREAD_LIMIT), ({"max_line": 1 << 30}, UNREAD_LIMIT)],
)
def test_line_whose_end_is_missing_in_a_full_stream_raises(made, keywords, limit):
    stream = made(bytes(UNREAD_LIMIT - 1), **keywords)
    assert stream.readline() is None
    stream._feed(b"x")
    error = too_long(stream.readline)
    assert (error.limit, len(error.partial)) == (limit, 1 << 20)
    assert stream.buffered == UNREAD_LIMIT


def test_max_line_of_none_is_no_limit(made):
    line = b"x" * (4 * USUAL) + b"\n"
    assert made(line, max_line=None).readline() == line


def test_size_stands_for_a_limit(made):
    stream = made(b"x" * (2 * USUAL), max_line=10)
    assert stream.readline(4) == b"xxxx"
    assert len(stream.readline(USUAL + 1)) == USUAL + 1


def test_size_within_the_limit_gives_a_long_line_in_pieces(made):
    stream = made(b"abcdef\n")
    assert [stream.readline(3, limit=4) for _ in range(4)] == [b"abc", b"def", b"\n", None]
    stream = made(b"abcdef\n")
    assert too_long(lambda: stream.readline(5, limit=4)).partial == b"abcde"


def test_partial_of_a_large_buffer_is_its_beginning(made):
    assert len(too_long(made(bytes(3 << 20)).readline, limit=10).partial) == 10 + (1 << 20)


@pytest.mark.parametrize(
    ("limit", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("1", TypeError)]
)
def test_limit_that_is_none_is_refused_and_takes_nothing(made, limit, error):
    stream = made(b"a\n")
    with pytest.raises(error):
        stream.readline(limit=limit)
    assert stream.readline() == b"a\n"


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)]
)
@pytest.mark.parametrize(
    "call",
    [
        lambda **keywords: tcp_connect(LOOPBACK, 1, None, **keywords),
        lambda **keywords: tcp_server(LOOPBACK, 0, None, **keywords),
        lambda **keywords: init_tcp_socket(None, **keywords),
    ],
    ids=["tcp_connect", "tcp_server", "init_tcp_socket"],
)
def test_max_line_that_is_none_is_refused(call, value, error):
    def start():
        with pytest.raises(error, match=f"max_line.*{value!r}"):
            call(max_line=value)

    run(start)


def test_max_line_of_a_server_holds_for_each_connection(peers):
    told = []

    def read(ours, stream):
        try:
            told.extend(stream)
        except LineTooLong as error:
            told.append(error.partial)
            ours.close()
            server.close()

    def start():
        nonlocal server
        server = tcp_server(LOOPBACK, 0, read, ignore, stream=True, max_line=5)
        peers.connect(server).sendall(b"one\n123456")

    server = None
    run(start)
    assert told[0] == b"one\n"
    assert told[1] == b"123456"


def test_max_line_of_a_connection_holds_for_its_stream(peers):
    told = []

    def read(ours, stream):
        try:
            stream.readline()
        except LineTooLong as error:
            told.append(error.limit)
            ours.close()

    run(lambda: peers.link(lambda _ours, raw: raw.sendall(b"123456"), read, stream=True, max_line=5))
    assert told == [5]


def test_max_line_holds_for_a_stream_that_the_app_makes():
    def look():
        stream = AsyncIOStream(init_tcp_socket(None, max_line=5))
        stream._feed(b"123456")
        return too_long(stream.readline).limit

    assert in_loop(look) == 5


@pytest.mark.parametrize("copier", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_line_too_long_can_be_copied(copier):
    error = copier(LineTooLong(b"abc", 2))
    assert (error.partial, error.limit, str(error)) == (b"abc", 2, "line of more than 2 bytes")


def test_line_too_long_is_a_value_error():
    assert issubclass(asynctcp.LineTooLong, ValueError)
    assert asynctcp.LineTooLong is asynctcp.conditions.LineTooLong
