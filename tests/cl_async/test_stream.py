"""cl-async's ``async-stream`` tests, and the stream test of its ``tcp``."""

from __future__ import annotations

from asynctcp import AsyncIOStream, exit_event_loop, tcp_connect, tcp_server, with_delay
from helpers import LOOPBACK, ignore, run

QUESTION = b"may i take your umbrella?"
ANSWER = b"you had better not"


def test_streams_of_both_ends_carry_what_is_written_to_them():
    """``stream-read-write-sequence``: the server makes its stream of a socket, the client is given one."""
    asked, answered = bytearray(), bytearray()
    buffer = bytearray(8192)

    def ask(ours, data):
        asked.extend(data)
        if len(asked) == len(QUESTION):
            AsyncIOStream(ours).write(ANSWER)

    def answer(ours, stream):
        answered.extend(buffer[: stream.readinto(buffer)])
        if len(answered) == len(ANSWER):
            ours.close()
            server.close()

    def start():
        nonlocal server
        server = tcp_server(LOOPBACK, 0, ask)

        @with_delay()
        def connect():
            tcp_connect(*server.address, answer, stream=True).write(QUESTION)

    server = None
    run(start)
    assert (bytes(asked), bytes(answered)) == (QUESTION, ANSWER)


def test_stream_of_a_server_is_read_until_nothing_is_there():
    """``tcp-server-stream``: where cl-async's read gives 0 bytes, ours tells nothing yet from the end."""
    pieces = []

    def read(ours, stream):
        assert stream.socket is ours
        pieces.extend(iter(lambda: stream.read(4), None))
        if b"".join(pieces) == b"GREETINGS!":
            ours.close()
            exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, read, ignore, stream=True)
        tcp_connect(*server.address, None, ignore, data="GREETINGS!")

    run(start)
    assert b"".join(pieces) == b"GREETINGS!"
    assert max(map(len, pieces)) <= 4
