"""An adopted socket in the turn in which it was adopted (docs/contract.md, "adopt_tcp_socket")."""

from __future__ import annotations

import os
import socket

import pytest

import asynctcp
from asynctcp import EventLoop, adopt_tcp_socket, exit_event_loop
from certificates import authority
from helpers import LOOPBACK, fail, receive_all, receive_exactly, run

LOOPS = {"plain": {}, "threads": {"io_threads": 1}}


def tcp_pair():
    with socket.create_server((LOOPBACK, 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        return client, listening.accept()[0]


PAIRS = {"tcp": tcp_pair, "unix": socket.socketpair}


@pytest.fixture(params=LOOPS)
def loop(request):
    return EventLoop(**LOOPS[request.param])


@pytest.fixture(params=PAIRS)
def pair(request, peers):
    """A connection: the end to be adopted, and the other one."""
    one, other = PAIRS[request.param]()
    yield one, peers.keep(other)
    one.close()


def in_turn(loop, look):
    """What ``look()`` gives in a turn of the loop."""
    seen = []
    run(lambda: seen.append(look()), loop=loop)
    return seen[0]


def test_tls_is_started(loop, pair, spawn):
    one, other = pair

    def talk():
        with authority().client_context().wrap_socket(other, server_hostname="localhost") as secured:
            got.append(receive_exactly(secured, 6))
            secured.sendall(b"answer")

    def read(ours, data):
        got.append(data)
        ours.close()

    def start():
        ours = adopt_tcp_socket(one, read, fail)
        ours.start_tls(authority().server(), server_side=True)
        ours.write(b"secret")
        spawn(talk)

    got = []
    run(start, loop=loop)
    assert got == [b"secret", b"answer"]


def test_connection_is_given_away_again(loop, pair, peers):
    one, other = pair
    other.sendall(b"early")

    def look():
        ours = adopt_tcp_socket(one, fail, fail, connect_cb=fail, data=b"first")
        theirs, unread = ours.detach()
        return peers.keep(theirs), unread

    theirs, unread = in_turn(loop, look)
    assert receive_exactly(other, 5) == b"first"
    assert unread + receive_exactly(theirs, 5 - len(unread)) == b"early"
    theirs.sendall(b"later")
    assert receive_exactly(other, 5) == b"later"


def test_descriptor_and_peer_are_known(loop, pair):
    one, _ = pair
    ends = one.getpeername(), one.getsockname()
    credentials = (os.getpid(), os.getuid(), os.getgid()) if one.family == socket.AF_UNIX else None

    def look():
        ours = adopt_tcp_socket(one, None)
        ours.set_nodelay(False)
        ours.set_nodelay(True)
        seen = (ours.fileno() >= 0, (ours.peername, ours.sockname), ours.peercred, ours.c.getsockname())
        ours.close()
        return seen

    assert in_turn(loop, look) == (True, ends, credentials, ends[1])


def test_close_is_an_orderly_end(loop, pair):
    one, other = pair
    in_turn(loop, lambda: adopt_tcp_socket(one, None).close())
    assert receive_all(other) == b""


def test_option_is_set_at_once(loop):
    one, other = tcp_pair()

    def look():
        ours = adopt_tcp_socket(one, None)
        values = []
        for on in (False, True):
            ours.set_nodelay(on)
            values.append(ours.c.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        exit_event_loop()
        return values

    assert in_turn(loop, look) == [0, 1]
    other.close()


def test_loop_that_ends_at_once_closes_it(loop, pair):
    one, other = pair

    def start():
        adopt_tcp_socket(one, None, close_cb=lambda _s, reason: told.append(type(reason)))
        exit_event_loop()

    told = []
    run(start, loop=loop)
    assert told == [asynctcp.EventLoopError]
    assert receive_all(other) == b""
