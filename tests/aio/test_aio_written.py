"""What was written goes before what the program does next by the same socket, in the same step too."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import ssl
import sys
import threading
import weakref

import pytest

from helpers import DEADLINE
from loops import LOOPS, Connection, run, turn
from secured import Link

#: Linux's own, which CPython has no name for.
IP_RECVTTL = 12


def in_a_step(loop, function):
    """Run it as one step of the loop's; returns what it does."""

    async def step():
        return function()

    return run(loop, step())


def shut_down(sock):
    sock.shutdown(socket.SHUT_WR)


def write_by_number(sock):
    os.write(sock.fileno(), b" it")


def send_by_duplicate(sock):
    with sock.dup() as same:
        same.send(b" it")


@pytest.mark.parametrize(
    ("act", "whole"),
    [(shut_down, b"after"), (write_by_number, b"after it"), (send_by_duplicate, b"after it")],
)
def test_what_is_done_with_a_transports_socket_comes_after_what_was_written(loop, connect, act, whole):
    it = connect()
    sock = it.transport.get_extra_info("socket")

    def write_and_act():
        it.transport.write(b"after")
        act(sock)

    in_a_step(loop, write_and_act)
    assert it.take(len(whole)) == whole


def test_what_is_done_with_the_socket_below_tls_comes_after_what_was_written(world, side):
    link = Link.open(world, **side)
    sock = link.transport.get_extra_info("socket")

    def write_and_act():
        link.transport.write(b"after")
        sock.shutdown(socket.SHUT_WR)

    in_a_step(link.loop, write_and_act)
    with contextlib.suppress(ssl.SSLEOFError):
        link.receives(len(b"after it"))
    assert link.peer.got == b"after"
    link.close()


@pytest.mark.parametrize("by_file", [False, True])
def test_what_the_loop_sends_by_a_duplicate_comes_after_what_was_written(loop, connect, by_file, tmp_path):
    it = connect()
    (tmp_path / "file").write_bytes(b" it")

    async def send():
        with it.transport.get_extra_info("socket").dup() as same, (tmp_path / "file").open("rb") as file:
            same.setblocking(False)
            it.transport.write(b"after")
            if by_file:
                assert await loop.sock_sendfile(same, file) == 3
            else:
                await loop.sock_sendall(same, b" it")

    run(loop, send())
    assert it.take(8) == b"after it"


def test_datagram_that_the_loop_sends_by_a_duplicate_comes_after_those_that_were_sent(loop, endpoint, peer):
    transport, _ = endpoint()

    async def send():
        with transport.get_extra_info("socket").dup() as same:
            same.setblocking(False)
            transport.sendto(b"one", peer.getsockname())
            assert await loop.sock_sendto(same, b"two", peer.getsockname()) == 3

    run(loop, send())
    assert [peer.recv(9) for _ in range(2)] == [b"one", b"two"]


def test_option_of_a_datagram_transports_socket_is_for_what_is_sent_from_then_on(loop, endpoint, peer):
    peer.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    transport, _ = endpoint()

    def probe():
        for ttl in (1, 2, 3):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            transport.sendto(b"probe", peer.getsockname())

    in_a_step(loop, probe)
    found = [peer.recvmsg(9, socket.CMSG_SPACE(4))[1][0][2] for _ in range(3)]
    assert [int.from_bytes(each, sys.byteorder) for each in found] == [1, 2, 3]


def test_socket_that_another_thread_asks_sends_nothing(ours, monkeypatch):
    # The protocol could be told of it, in the wrong thread.
    it = Connection(ours)
    sock, sent, names = it.transport.get_extra_info("socket"), [], []
    monkeypatch.setattr(ours, "_send_written", lambda: sent.append("sent"))
    name = it.peer.getpeername()

    def ask_elsewhere():
        thread = threading.Thread(target=lambda: names.append(sock.getsockname()))
        thread.start()
        thread.join(DEADLINE)

    in_a_step(ours, ask_elsewhere)
    assert (names, sent) == ([name], [])
    assert in_a_step(ours, sock.getsockname) == name
    assert sent == ["sent"]
    it.close()


def test_socket_of_a_transport_that_was_lost_is_closed(loop, connect):
    it = connect()
    it.transport.abort()
    turn(loop)
    sock = it.transport.get_extra_info("socket")
    assert in_a_step(loop, sock.fileno) == -1


@pytest.mark.parametrize("name", LOOPS)
def test_socket_that_is_kept_keeps_no_closed_loop(name):
    loop = LOOPS[name]()
    it = Connection(loop)
    sock = it.transport.get_extra_info("socket")
    it.close()
    loop.close()
    known = weakref.ref(loop)
    del it, loop
    gc.collect()
    assert known() is None
    assert sock.fileno() == -1
