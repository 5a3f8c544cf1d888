"""Transports of `asynctcp.aio` that are closed while bytes are on their way: the peer gets all of a reply."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

import pytest

import asynctcp.aio
from asynctcp.aio._linger import Lingering
from helpers import DEADLINE, MUCH, receive_all
from loops import Recorder, connected, run, turn, turn_until

#: It waits in the kernels when the transport is closed.
REPLY = 1 << 20


@pytest.fixture
def loop():
    loop = asynctcp.aio.new_event_loop()
    yield loop
    loop.close()


class Closed:
    """A transport that has sent a reply, and was closed with a question unread."""

    def __init__(self, loop, *, abort=False, question=b"unread", reply=REPLY):
        self.loop = loop
        self.protocol = Recorder()
        self.transport, self.peer = connected(loop, self.protocol)
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self.transport.pause_reading()
        self.peer.sendall(question)
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * REPLY)
        self.data = os.urandom(reply)
        self.transport.write(self.data)
        (self.transport.abort if abort else self.transport.close)()
        turn_until(loop, lambda: self.protocol.told[-1] == ("lost", None))

    def receive(self):
        """All that the peer gets, while the loop takes its turns."""
        got = bytearray()
        self.peer.setblocking(False)

        def is_done():
            try:
                piece = self.peer.recv(1 << 14)
            except BlockingIOError:
                return False
            got.extend(piece)
            return not piece

        turn_until(self.loop, is_done)
        return bytes(got)


def settled(loop):
    turn_until(loop, lambda: not loop._lingering)


def test_reply_arrives_whole_and_then_the_end(loop):
    it = Closed(loop)
    assert it.receive() == it.data
    settled(loop)
    it.peer.close()


def test_reply_arrives_whole_although_the_peer_sends_after_the_close(loop):
    it = Closed(loop, question=b"")
    it.peer.sendall(b"a question more")
    assert it.receive() == it.data
    settled(loop)
    it.peer.close()


def test_what_the_peer_still_sends_is_dropped(loop):
    it = Closed(loop)
    it.peer.sendall(b"x" * 100_000)
    assert it.receive() == it.data
    settled(loop)
    it.peer.close()


def test_reply_arrives_whole_over_a_unix_socket_too(loop, tmp_path):
    got = []

    def reply(_, writer):
        writer.transport.pause_reading()
        writer.write(bytes(MUCH))
        writer.close()

    async def main():
        server = await asyncio.start_unix_server(reply, tmp_path / "socket")
        reader, writer = await asyncio.open_unix_connection(tmp_path / "socket")
        writer.write(b"unread")
        got.append(len(await reader.read()))
        writer.close()
        server.close()

    run(loop, main())
    assert got == [MUCH]


def test_connection_is_let_go_once_the_peer_has_gone(loop):
    it = Closed(loop)
    assert loop._lingering
    it.peer.close()
    settled(loop)


def test_connection_is_let_go_once_the_peer_resets_it(loop):
    it = Closed(loop)
    it.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    it.peer.close()
    settled(loop)


def test_peer_that_takes_nothing_is_given_up(loop, monkeypatch):
    monkeypatch.setattr("asynctcp.aio._linger.PATIENCE", 0.05)
    it = Closed(loop)
    settled(loop)
    it.peer.settimeout(DEADLINE)
    with pytest.raises(ConnectionResetError):
        receive_all(it.peer)
    it.peer.close()


def test_aborted_connection_is_not_kept(loop):
    it = Closed(loop, abort=True)
    assert not loop._lingering
    it.peer.close()


def test_nothing_unread_and_all_sent_is_nothing_to_wait_for(loop):
    it = Closed(loop, question=b"", reply=10)
    assert not loop._lingering
    assert it.receive() == it.data
    it.peer.close()


def test_connection_is_closed_as_ever_where_there_is_no_descriptor_for_it(loop, monkeypatch):
    def fail(_):
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(socket.socket, "dup", fail)
    it = Closed(loop)
    assert not loop._lingering
    it.peer.close()


def test_end_of_the_loop_is_its_end(loop):
    it = Closed(loop)
    assert loop._lingering
    loop.close()
    assert not loop._lingering
    it.peer.close()


def test_wake_up_for_nothing_does_no_harm(loop):
    it = Closed(loop)
    [lingering] = loop._lingering
    turn(loop)
    lingering._drop()
    lingering._drop()
    assert it.receive() == it.data
    settled(loop)
    it.peer.close()


def test_peer_that_has_all_by_now_is_not_waited_for(loop):
    ours, peer = socket.socketpair()
    with peer:
        Lingering(loop, ours)
        assert ours.fileno() == -1
        assert not loop._lingering
