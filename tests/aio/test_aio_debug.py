"""What a connection says of itself, as on asyncio's loop: debug mode's records, `repr`, contexts."""

from __future__ import annotations

import contextvars
import logging
import socket
import struct
import sys

import pytest

from loops import Recorder, run, turn, turn_until


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.DEBUG, logger="asyncio")

    def records():
        """What was logged of transports."""
        found = [each for each in caplog.records if "Transport" in each.getMessage()]
        return [(each.getMessage().split("> ")[-1].split(">: ")[-1], each.exc_info) for each in found]

    return records


def test_debug_mode_logs_pausing_and_resuming(loop, connect, records):
    transport = connect().transport
    loop.set_debug(True)
    for _ in range(2):
        transport.pause_reading()
    for _ in range(2):
        transport.resume_reading()
    loop.set_debug(False)
    assert records() == [("pauses reading", None), ("resumes reading", None)]


def test_debug_mode_logs_the_end_of_the_peer(loop, connect, records):
    connection = connect()
    loop.set_debug(True)
    connection.peer.close()
    turn_until(loop, lambda: "eof" in connection.protocol.told)
    loop.set_debug(False)
    assert records() == [("received EOF", None)]


def test_debug_mode_logs_the_error_that_ends_a_connection(loop, connect, records):
    connection = connect()
    loop.set_debug(True)
    connection.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.peer.close()
    turn_until(loop, lambda: ("lost", "ConnectionResetError") in connection.protocol.told)
    loop.set_debug(False)
    ((message, (kind, error, _)),) = records()
    assert message == "Fatal read error on socket transport"
    assert kind is ConnectionResetError
    assert isinstance(error, ConnectionResetError)


def test_without_debug_mode_nothing_is_logged(loop, connect, records):
    connection = connect()
    connection.transport.pause_reading()
    connection.transport.resume_reading()
    connection.peer.close()
    turn_until(loop, lambda: "eof" in connection.protocol.told)
    assert records() == []


def test_paused_transport_prints_that_it_does_not_read(loop, connect):
    transport = connect().transport
    assert "read=polling" in repr(transport)
    transport.pause_reading()
    assert "read=idle" in repr(transport)
    turn(loop)
    assert "read=idle" in repr(transport)
    transport.resume_reading()
    assert "read=polling" in repr(transport)


@pytest.mark.skipif(
    sys.version_info >= (3, 15), reason="from CPython 3.15 on it is the context of who made the transport"
)
def test_what_comes_is_received_in_the_context_of_who_resumed_reading(loop, connect):
    variable = contextvars.ContextVar("variable", default="nobody")
    seen = []

    class Noting(Recorder):
        def data_received(self, data):
            seen.append(variable.get())
            super().data_received(data)

    protocol = Noting()
    connection = connect(protocol)
    connection.peer.send(b"1")
    turn_until(loop, lambda: protocol.data == b"1")

    async def resume():
        variable.set("who resumed")
        connection.transport.pause_reading()
        connection.transport.resume_reading()

    run(loop, resume())
    connection.peer.send(b"2")
    turn_until(loop, lambda: protocol.data == b"12")
    connection.peer.send(b"3")
    turn_until(loop, lambda: protocol.data == b"123")
    assert seen == ["nobody", "who resumed", "who resumed"]
