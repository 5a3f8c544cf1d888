"""Several streams over one socket, the end of a stream whatever ended its socket, and that nothing stays."""

from __future__ import annotations

import contextlib
import gc
import weakref

import pytest

import asynctcp
from asynctcp import (
    AsyncIOStream,
    EventLoop,
    delay,
    exit_event_loop,
    init_tcp_socket,
    tcp_connect,
    tcp_server,
)
from asynctcp._read_buffer import UNREAD_LIMIT
from helpers import LOOPBACK, after_quiet, ignore, reset, run, when

WIRES = ("tcp", "tls", "unix")

MUCH = 40 << 20


@pytest.fixture
def no_collector():
    """Nothing is freed but by its count of references."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def send_all(raw, data):
    # The test may be over before all was sent.
    with contextlib.suppress(OSError):
        raw.sendall(data)


def rest(stream):
    """What reading gives from now on."""
    return (stream.read(), stream.readline(), stream.peek(1), stream.readinto(bytearray(1)), list(stream))


OVER = (b"", b"", b"", 0, [])


# --- the end ----------------------------------------------------------------------------------------------


def test_stream_has_ended_when_a_timeout_is_told(peers):
    seen = []

    def end(condition):
        stream = condition.socket.stream
        seen.append((type(condition).__name__, stream.readline(), rest(stream)))

    run(
        lambda: peers.link(
            lambda _ours, raw: raw.sendall(b"half"), ignore, end, stream=True, read_timeout=0.05
        )
    )
    assert seen == [("TcpTimeout", b"half", OVER)]


@pytest.mark.can_reset
def test_stream_has_ended_when_a_reset_is_told(peers):
    seen = []

    def use(_ours, raw):
        raw.sendall(b"half")
        delay(lambda: reset(raw), 0.02)

    run(lambda: peers.link(use, ignore, lambda c: seen.append(c.socket.stream.readline()), stream=True))
    assert seen == [b"half"]


@pytest.mark.parametrize("force", [False, True])
def test_stream_has_ended_when_the_app_has_closed_its_socket(peers, force):
    seen = []

    def read(ours, stream):
        ours.close(force)
        seen.append((stream.readline(), rest(stream)))

    run(lambda: peers.link(lambda _ours, raw: raw.sendall(b"half"), read, stream=True))
    assert seen == [(b"half", OVER)]


def test_stream_has_ended_when_its_loop_has(peers):
    kept = []

    def read(_ours, stream):
        kept.append(stream)
        exit_event_loop()

    run(lambda: peers.link(lambda _ours, raw: raw.sendall(b"half"), read, stream=True))
    assert (kept[0].readline(), rest(kept[0])) == (b"half", OVER)


def test_stream_has_ended_when_a_callback_of_its_socket_raised(peers):
    kept = []

    def read(_ours, stream):
        kept.append(stream)
        raise RuntimeError

    run(
        lambda: peers.link(lambda _ours, raw: raw.sendall(b"half"), read, ignore, stream=True),
        catch_app_errors=True,
    )
    assert (kept[0].readline(), rest(kept[0])) == (b"half", OVER)


@pytest.mark.usefixtures("no_collector")
def test_what_is_left_can_be_read_from_the_socket_though_the_app_let_the_stream_go(peers):
    kept = []

    def read(ours, _stream):
        kept.append(ours)

    run(
        lambda: peers.link(
            lambda _ours, raw: (raw.sendall(b"left"), raw.close()), read, dont_drain_read_buffer=True
        )
    )
    stream = kept[0].stream
    assert stream is kept[0].stream
    assert (stream.socket, stream.read(2), kept[0].stream.read(), rest(stream)) == (
        kept[0],
        b"le",
        b"ft",
        OVER,
    )


def test_closed_stream_holds_nothing(peers):
    seen = []

    def read(_ours, stream):
        stream.close()
        seen.append(stream.buffered)

    run(lambda: peers.link(lambda _ours, raw: raw.sendall(b"left"), read, stream=True))
    assert seen == [0]


# --- several streams --------------------------------------------------------------------------------------


def take_all(peers, spawn, connect, *, much=MUCH, **keywords):
    """Return how much the ``read_cb`` got of much that is sent, after ``connect(socket)``."""
    got = 0

    def use(ours, raw):
        connect(ours)
        spawn(send_all, raw, bytes(much))

    def read(ours, stream):
        nonlocal got
        got += len(stream.read() or b"")
        if got == much:
            ours.close(force=True)

    run(lambda: peers.link(use, read, **{"stream": True, **keywords}))
    return got


def test_stream_that_was_let_go_does_not_hold_the_connection_up(peers, spawn):
    assert take_all(peers, spawn, lambda ours: AsyncIOStream(ours).write(b"hello")) == MUCH


def test_full_stream_that_is_let_go_lets_the_connection_go_on(peers, spawn):
    others = []

    def connect(ours):
        others.append(AsyncIOStream(ours))
        when(lambda: others[0].buffered >= UNREAD_LIMIT, lambda: after_quiet(others.clear))

    assert take_all(peers, spawn, connect) == MUCH


def test_full_stream_holds_the_connection_up_though_another_has_room(peers, spawn):
    """The other one resumed long ago."""
    others, sizes = [], []

    def look(ours):
        sizes.append(ours.bytes_read)
        others[0].read()

    def connect(ours):
        others.append(AsyncIOStream(ours))
        when(lambda: others[0].buffered >= UNREAD_LIMIT, lambda: after_quiet(lambda: look(ours)))

    assert take_all(peers, spawn, connect, much=30 << 20) == 30 << 20
    assert sizes[0] < UNREAD_LIMIT + (2 << 20)


def test_both_of_two_full_streams_have_to_be_read(peers, spawn):
    seen = []

    def use(ours, raw):
        first, second = ours.stream, AsyncIOStream(ours)
        spawn(send_all, raw, bytes(20 << 20))

        def then():
            seen.append(ours.bytes_read)
            first.read()
            after_quiet(lambda: (seen.append(ours.bytes_read), second.read()))
            when(lambda: ours.bytes_read == 20 << 20, lambda: ours.close(force=True))

        when(lambda: second.buffered >= UNREAD_LIMIT, lambda: after_quiet(then))

    run(lambda: peers.link(use, ignore, stream=True))
    assert seen[0] == seen[1] < 20 << 20


def test_each_stream_has_all_that_came_since_it_was_made(peers):
    seen = []

    def use(ours, raw):
        seen.extend([ours.stream, AsyncIOStream(ours)])
        raw.sendall(b"abc")
        raw.close()

    run(lambda: peers.link(use, ignore, stream=True))
    assert [stream.read() for stream in seen] == [b"abc", b"abc"]


def test_first_stream_that_is_left_is_the_sockets():
    def start():
        socket = init_tcp_socket(None)
        assert socket.stream is None
        first, second = AsyncIOStream(socket), AsyncIOStream(socket)
        assert socket.stream is first
        del first
        assert socket.stream is second
        del second
        assert socket.stream is None

    run(start)


# --- what stays -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_collector")
def test_stream_for_writing_is_freed_as_soon_as_it_is_let_go(peers):
    seen = []

    def use(ours, _raw):
        stream = AsyncIOStream(ours)
        stream.write(b"x")
        seen.append(weakref.ref(stream))
        del stream
        seen.append(seen[0]())
        ours.close()

    run(lambda: peers.link(use))
    assert seen[1] is None


@pytest.mark.tcp_only
@pytest.mark.usefixtures("no_collector")
def test_streams_and_sockets_of_ended_connections_are_freed_without_a_collection(peers):
    refs = []

    def welcome(ours):
        refs.extend([weakref.ref(ours), weakref.ref(ours.stream)])

    def start():
        server = tcp_server(
            LOOPBACK, 0, lambda _ours, stream: stream.read(), ignore, connect_cb=welcome, stream=True
        )
        for _ in range(20):
            raw = peers.connect(server)
            raw.sendall(b"x")
            raw.close()
        when(lambda: len(refs) == 40 and not server.connections, server.close)

    run(start)
    assert [ref for ref in refs if ref() is not None] == []


@pytest.mark.tcp_only
@pytest.mark.usefixtures("no_collector")
def test_stream_of_a_connection_that_the_app_closed_is_freed_without_a_collection(peers):
    refs = []

    def start():
        stream = tcp_connect(*peers.address, None, connect_cb=lambda ours: ours.close(), stream=True)
        refs.extend([weakref.ref(stream), weakref.ref(stream.socket)])

    run(start)
    assert [ref() for ref in refs] == [None, None]


@pytest.mark.usefixtures("no_collector")
def test_stream_of_a_connection_that_its_loop_ended_is_freed_without_a_collection(peers):
    refs = []

    def use(ours, _raw):
        refs.extend([weakref.ref(ours), weakref.ref(ours.stream)])
        exit_event_loop()

    run(lambda: peers.link(use, stream=True))
    assert [ref() for ref in refs] == [None, None]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("keywords", [{"stream": True}, {"dont_drain_read_buffer": True}], ids=str)
def test_stream_that_was_never_connected_is_freed_without_a_collection(keywords):
    refs = []

    def start():
        made = init_tcp_socket(None, **keywords)
        refs.append(weakref.ref(made))
        assert made.stream if "stream" not in keywords else made.socket.stream is made

    run(start)
    assert refs[0]() is None


@pytest.mark.tcp_only
def test_stream_that_the_app_let_go_before_connecting_is_the_one_that_read_cb_gets(peers):
    got = []

    def start():
        socket = init_tcp_socket(
            lambda ours, stream: (got.append((stream is ours.stream, stream.read())), ours.close()),
            dont_drain_read_buffer=True,
            connect_cb=lambda ours: peers.accept(ours).sendall(b"x"),
        )
        asynctcp.connect_tcp_socket(socket, *peers.address)

    run(start)
    assert got == [(True, b"x")]


def test_stream_that_nobody_keeps_is_the_same_each_time(peers):
    seen = []

    def read(ours, stream):
        stream.mark = getattr(stream, "mark", 0) + 1
        seen.append(stream.read())
        if b"".join(filter(None, seen)) == b"ab":
            seen.append(stream.mark)
            ours.close()

    def use(_ours, raw):
        raw.sendall(b"a")
        delay(lambda: raw.sendall(b"b"), 0.02)

    run(lambda: peers.link(use, read, stream=True))
    assert seen == [b"a", b"b", 2]


def test_stream_that_outlives_its_loop_can_be_read_and_let_go():
    kept = []
    run(lambda: kept.append(init_tcp_socket(None, stream=True)), loop=EventLoop(memory_limit=0))
    kept[0]._feed(b"abc")
    assert kept[0].read(1) == b"a"
    kept.clear()
