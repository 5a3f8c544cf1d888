"""Section 4 of docs/contract.md (AsyncIOStream), and the stream keywords of sections 2 and 3."""

import gc
import io

import pytest

import asynctcp
from asynctcp import AsyncIOStream, tcp_connect, tcp_server
from helpers import Reserved, run

LOOPBACK = "127.0.0.1"


def talk(sent, use, *, close=True, **keywords):
    """Connect to a server that sends `sent`; `use` is the read_cb of the client, which is returned."""
    made = []

    def greet(ours):
        ours.write(sent)
        if close:
            ours.close()

    def start():
        server = tcp_server(LOOPBACK, 0, None, connect_cb=lambda ours: (greet(ours), server.close()))
        made.append(tcp_connect(*server.address, use, lambda _condition: None, **keywords))

    run(start)
    return made[0]


def ignore(*_arguments):
    """Take no notice."""


def test_stream_keyword_returns_the_stream_that_read_cb_gets():
    got = []
    stream = talk(b"hello", lambda _socket, what: got.append(what), stream=True)
    assert isinstance(stream, AsyncIOStream)
    assert isinstance(stream, io.RawIOBase)
    assert got == [stream]


def test_socket_stream_is_the_stream():
    stream = talk(b"hello", ignore, stream=True)
    assert stream.socket.stream is stream


def test_what_was_buffered_at_the_end_can_still_be_read_and_then_the_stream_ends():
    stream = talk(b"hello", ignore, stream=True)
    assert (stream.buffered, stream.read(2), stream.read(), stream.read()) == (5, b"he", b"llo", b"")


def test_read_of_an_open_stream_with_nothing_is_none():
    got = []

    def use(socket, stream):
        got.extend(
            [stream.read(), stream.read(), stream.peek(1), stream.readline(), stream.readinto(bytearray(1))]
        )
        socket.close()

    talk(b"x", use, stream=True, close=False)
    assert got == [b"x", None, None, None, None]


def test_lines_come_whole_and_the_rest_at_the_end():
    got = []
    stream = talk(
        b"one\ntwo\nthr", lambda _socket, stream: got.extend(iter(stream.readline, None)), stream=True
    )
    assert (got, stream.readline(), stream.readline()) == ([b"one\n", b"two\n"], b"thr", b"")


def test_iteration_gives_the_whole_lines_that_are_there():
    got = []
    talk(b"one\ntwo\nthr", lambda _socket, stream: got.extend(stream), stream=True)
    assert got == [b"one\n", b"two\n"]


def test_readline_with_a_size_gives_no_more():
    stream = talk(b"abc\ndef", ignore, stream=True)
    assert [stream.readline(2), stream.readline(9), stream.readline(0), stream.readline(2)] == [
        b"ab",
        b"c\n",
        b"",
        b"de",
    ]


def test_peek_takes_nothing():
    stream = talk(b"hello", ignore, stream=True)
    assert (stream.peek(3), stream.peek(-1), stream.buffered) == (b"hel", b"hello", 5)


def test_readinto_fills_the_buffer_and_tells_the_end():
    stream = talk(b"hello", ignore, stream=True)
    buffer = bytearray(3)
    assert (stream.readinto(buffer), bytes(buffer)) == (3, b"hel")
    assert (stream.readinto(buffer), bytes(buffer[:2]), stream.readinto(buffer)) == (2, b"lo", 0)


def test_reads_across_chunks_are_joined():
    stream = talk(b"x" * 300_000, ignore, stream=True)
    assert (len(stream.read(200_000)), len(stream.read(200_000)), stream.read(1)) == (200_000, 100_000, b"")


def test_buffered_reader_reads_to_the_end():
    stream = talk(b"one\ntwo\n", ignore, stream=True)
    assert io.BufferedReader(stream).read() == b"one\ntwo\n"


def test_text_wrapper_reads_lines():
    stream = talk("é\nb\n".encode(), ignore, stream=True)
    assert list(io.TextIOWrapper(io.BufferedReader(stream), "utf-8")) == ["é\n", "b\n"]


def test_stream_that_drains_gives_bytes_and_is_for_writing():
    got = []
    stream = talk(b"x", lambda _socket, what: got.append(what), stream=True, dont_drain_read_buffer=False)
    assert (got, stream.buffered) == ([b"x"], 0)


def test_socket_that_does_not_drain_gives_its_stream_to_read_cb():
    got = []
    socket = talk(b"x", lambda socket, what: got.append(what is socket.stream), dont_drain_read_buffer=True)
    assert (got, socket.stream.read()) == ([True], b"x")


def test_plain_socket_has_no_stream():
    assert talk(b"x", ignore).stream is None


def test_stream_of_a_server_echoes_lines():
    got = []

    def echo(_socket, stream):
        stream.writelines(line.upper() for line in stream)

    def start():
        server = tcp_server(LOOPBACK, 0, echo, ignore, stream=True)
        client = tcp_connect(
            *server.address,
            lambda _socket, data: (got.append(data), client.close(), server.close()),
            data="a\nb\n",
        )

    asynctcp.start_event_loop(start)
    assert b"".join(got) == b"A\nB\n"


def test_write_returns_the_number_of_bytes_and_flush_does_nothing():
    got = []

    def use(socket, stream):
        got.extend(
            [stream.write(b"abc"), stream.write("é"), stream.flush(), stream.readable(), stream.writable()]
        )
        socket.close()

    talk(b"x", use, stream=True, close=False)
    assert got == [3, 2, None, True, True]


def test_close_closes_the_socket_and_reading_raises_afterwards():
    stream = talk(b"x", lambda _socket, stream: stream.close(), stream=True, close=False)
    assert (stream.closed, stream.socket.closed, stream.close()) == (True, True, None)
    with pytest.raises(ValueError, match="closed"):
        stream.read()


def test_write_on_a_closed_socket_raises():
    stream = talk(b"x", ignore, stream=True)
    with pytest.raises(asynctcp.SocketClosed):
        stream.write(b"x")


def test_stream_that_is_let_go_leaves_the_socket_open():
    closed = []

    def use(socket, _data):
        AsyncIOStream(socket).write(b"x")
        closed.append(socket.closed)
        socket.close()

    talk(b"x", use, close=False)
    assert closed == [False]


def test_reading_from_the_network_pauses_at_16_mib_and_goes_on():
    size = 40 << 20
    most = []

    def use(_socket, stream):
        most.append(stream.buffered)
        if stream.buffered >= 16 << 20:
            asynctcp.delay(lambda: taken.append(len(stream.read() or b"")), 0.05)

    taken = []
    stream = talk(bytes(size), use, stream=True)
    assert max(most) < (16 << 20) + (2 << 20)
    assert sum(taken) + stream.buffered == size


class Below:
    """Stands for the socket below a stream, and records what it is told."""

    __class__ = asynctcp.Socket  # to isinstance(), as a mock with a spec

    def __init__(self, *, closed=False):
        self.closed = closed
        self.told = []

    def _attach(self, _stream):
        pass

    def _reserve(self):
        return Reserved()

    def close(self):
        self.told.append("close")


def stream_over(below):
    """Return a stream over a stand-in, which the constructor would refuse."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asynctcp._stream, "Socket", Below)
        return AsyncIOStream(below)


def test_stream_that_is_let_go_leaves_its_socket_open():
    below = Below()
    stream = stream_over(below)
    del stream
    gc.collect()
    assert below.told == []


def test_closing_a_stream_closes_its_socket_once():
    stream = stream_over(Below())
    stream.close()
    stream.close()
    assert stream.socket.told == ["close"]


def test_stream_of_a_closed_socket_can_be_closed():
    stream = stream_over(Below(closed=True))
    stream.close()
    assert (stream.closed, stream.socket.told) == (True, [])


def test_socket_that_the_app_closed_is_the_streams_end():
    read = []

    def use(ours, stream):
        stream.read()
        before = stream.read()
        ours.close()
        read.append((before, stream.read(), stream.peek()))

    talk(b"x", use, stream=True, close=False)
    assert read == [(None, b"", b"")]


def test_functions_take_streams():
    def use(_socket, stream):
        asynctcp.write_socket_data(stream, b"x")
        asynctcp.set_socket_timeouts(stream, 1, None)
        asynctcp.disable_socket(stream, read=True)
        asynctcp.enable_socket(stream, read=True)
        asynctcp.close_socket(stream)
        assert asynctcp.socket_closed_p(stream)

    talk(b"x", use, stream=True, close=False)


def test_init_and_connect_send_what_was_written_before():
    got = []

    def start():
        server = tcp_server(
            LOOPBACK, 0, lambda ours, data: (got.append(data), ours.close(), server.close()), ignore
        )
        socket = asynctcp.init_tcp_socket(None, ignore, data=b"a")
        socket.write(b"b")
        assert asynctcp.connect_tcp_socket(socket, *server.address) is socket

    asynctcp.start_event_loop(start)
    assert b"".join(got) == b"ab"


def test_connecting_twice_is_an_error():
    def start():
        socket = asynctcp.init_tcp_socket(None, ignore)
        asynctcp.connect_tcp_socket(socket, LOOPBACK, 1)
        with pytest.raises(asynctcp.TcpError, match="already"):
            asynctcp.connect_tcp_socket(socket, LOOPBACK, 1)

    asynctcp.start_event_loop(start)


def test_socket_that_was_never_connected_does_not_keep_the_loop_running():
    kept = []
    asynctcp.start_event_loop(lambda: kept.append(asynctcp.init_tcp_socket(None, ignore)))
    assert len(kept) == 1


def test_tcp_send_warns_in_the_callers_name():
    def start():
        with pytest.warns(DeprecationWarning, match="tcp_connect") as warned:
            asynctcp.tcp_send(LOOPBACK, 1, None, ignore)
        assert warned[0].filename == __file__

    asynctcp.start_event_loop(start)


@pytest.mark.parametrize("call", ["read", "readline", "peek"])
@pytest.mark.parametrize("bound", [1.5, "1", float("nan")], ids=str)
def test_bound_that_is_no_whole_number_is_refused_and_takes_nothing(call, bound):
    stream = talk(b"kept", ignore, stream=True)
    with pytest.raises(TypeError):
        getattr(stream, call)(bound)
    assert stream.read() == b"kept"


def test_readinto_of_a_read_only_buffer_is_refused_and_takes_nothing():
    stream = talk(b"kept", ignore, stream=True)
    with pytest.raises(TypeError, match="writable"):
        stream.readinto(bytes(10))
    assert stream.read() == b"kept"


@pytest.mark.parametrize("wrong", [None, 1, "socket", object()])
def test_stream_over_something_else_is_refused(wrong):
    with pytest.raises(TypeError, match="socket"):
        asynctcp.AsyncIOStream(wrong)


def test_event_cb_given_to_connect_replaces_the_sockets():
    first, second = [], []

    def start():
        socket = asynctcp.init_tcp_socket(None, first.append)
        asynctcp.connect_tcp_socket(socket, LOOPBACK, 1, event_cb=second.append)

    asynctcp.start_event_loop(start)
    assert (first, [type(one) for one in second]) == ([], [asynctcp.TcpRefused])


def test_socket_of_another_loop_cannot_be_connected():
    kept = []
    asynctcp.start_event_loop(lambda: kept.append(asynctcp.init_tcp_socket(None)))

    def start():
        with pytest.raises(asynctcp.EventLoopError, match="another"):
            asynctcp.connect_tcp_socket(kept[0], LOOPBACK, 1)

    asynctcp.start_event_loop(start)


def test_tcp_send_has_the_signature_and_the_text_of_tcp_connect():
    import inspect

    assert inspect.signature(asynctcp.tcp_send) == inspect.signature(tcp_connect)
    assert inspect.getdoc(tcp_connect) in inspect.getdoc(asynctcp.tcp_send)


def test_stream_made_later_is_for_writing_if_the_socket_drains():
    got = []

    def use(ours, data):
        stream = AsyncIOStream(ours)
        assert (ours.stream is stream, stream.write("né"), stream.buffered) == (True, 3, 0)
        got.append(data)

    talk(b"abc", use)
    assert got == [b"abc"]


def test_writelines_writes_each_and_flush_waits_for_nothing():
    received = []

    def start():
        server = tcp_server(
            LOOPBACK, 0, lambda ours, data: (received.append(data), ours.close(), server.close())
        )
        stream = tcp_connect(*server.address, None, stream=True)
        stream.writelines([b"one ", b"two ", "three"])
        stream.flush()

    asynctcp.start_event_loop(start)
    assert b"".join(received) == b"one two three"


def test_fileno_of_a_stream_is_that_of_its_socket():
    seen = []
    talk(b"x", lambda ours, stream: seen.append(stream.fileno() == ours.fileno() > 0), stream=True)
    assert seen == [True]


def test_readall_gives_what_is_there():
    seen = []
    talk(b"abc", lambda _ours, stream: seen.append((stream.readall(), stream.readall())), stream=True)
    assert seen == [(b"abc", None)]


def test_stream_is_no_seekable_file():
    seen = []
    talk(
        b"x",
        lambda _ours, stream: seen.append((stream.readable(), stream.writable(), stream.seekable())),
        stream=True,
    )
    assert seen == [(True, True, False)]


def test_buffered_writer_over_a_stream_sends():
    received = []

    def start():
        server = tcp_server(
            LOOPBACK, 0, lambda ours, data: (received.append(data), ours.close(), server.close())
        )
        writer = io.BufferedWriter(tcp_connect(*server.address, None, stream=True))
        writer.write(b"hello")
        writer.flush()
        writer.detach()

    asynctcp.start_event_loop(start)
    assert received == [b"hello"]


def test_read_timeout_stands_still_while_the_stream_is_full():
    told = []

    def use(ours, stream):
        if stream.buffered >= asynctcp._read_buffer.UNREAD_LIMIT:
            ours.set_timeouts(0.02, None)
            asynctcp.delay(lambda: (told.append("open"), asynctcp.exit_event_loop()), 0.1)

    def start():
        server = tcp_server(LOOPBACK, 0, None, ignore, connect_cb=lambda ours: ours.write(bytes(20 << 20)))
        tcp_connect(*server.address, use, lambda c: told.append(type(c).__name__), stream=True)
        asynctcp.delay(asynctcp.exit_event_loop, 10).unref()

    asynctcp.start_event_loop(start)
    assert told == ["open"]


def test_read_of_no_bytes_is_empty_though_some_are_there():
    seen = []
    talk(b"abc", lambda _ours, stream: seen.append((stream.read(0), stream.buffered)), stream=True)
    assert seen == [(b"", 3)]


def test_repr_of_a_stream_says_what_is_buffered_and_over_what():
    seen = []

    def use(ours, stream):
        seen.append(repr(stream) == f"<asynctcp.AsyncIOStream 3 bytes buffered, {ours!r}>")
        stream.close()
        seen.append(repr(stream).startswith("<asynctcp.AsyncIOStream closed 0 bytes buffered, "))

    talk(b"abc", use, stream=True)
    assert seen == [True, True]
