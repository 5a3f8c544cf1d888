"""cl-async's ``tcp`` tests; ``tcp-server-stream`` is in ``test_stream.py``."""

from __future__ import annotations

import errno

import pytest

import asynctcp
from asynctcp import (
    TcpRefused,
    TcpServerBindError,
    TcpTimeout,
    close_socket,
    close_tcp_server,
    delay,
    tcp_connect,
    tcp_server,
    with_delay,
    write_socket_data,
)
from helpers import LOOPBACK, echo, fail, ignore, run, when


def test_clients_by_address_and_by_name_are_answered():
    """``tcp-simple-client-server``: the request is split between the connect and a write.

    Nothing says in how many pieces the stream brings it, so the server answers when it has it all.
    """
    told = []
    requests, replies = {}, {}

    def serve(ours, data):
        requests[ours] = requests.get(ours, b"") + data
        if requests[ours] == b"hello ":
            write_socket_data(ours, "indeed ")

    def read(ours, data):
        replies[ours] = replies.get(ours, b"") + data
        if replies[ours] == b"indeed ":
            close_socket(ours)
            if list(replies.values()) == [b"indeed "] * 2:
                asynctcp.exit_event_loop()

    def start():
        server = tcp_server(None, 0, serve, connect_cb=lambda _ours: told.append("connect"))
        for host in (LOOPBACK, "localhost"):
            ours = tcp_connect(host, server.address[1], read, fail, data="he")
            write_socket_data(ours, "llo ")

    run(start)
    assert list(requests.values()) == [b"hello "] * 2
    assert list(replies.values()) == [b"indeed "] * 2
    assert told == ["connect"] * 2


@pytest.mark.parametrize(
    ("nobody", "condition"),
    [
        pytest.param(lambda peers: (LOOPBACK, peers.free_port()), TcpRefused, id="refused"),
        pytest.param(lambda peers: peers.black_hole(), TcpTimeout, id="timeout"),
    ],
)
def test_connection_that_fails_tells_its_event_cb_once(nobody, condition, peers):
    """``tcp-connect-fail``: there an unroutable address gives either; here each has its own peer.

    The condition that the ``event_cb`` raises comes out of the loop.
    """
    told = []

    def event(condition):
        told.append(condition)
        raise condition

    with pytest.raises(condition) as raised:
        run(lambda: tcp_connect(*nobody(peers), fail, event, data="hello", read_timeout=0.1))
    assert told == [raised.value]


def test_closed_server_stays_closed_and_its_connection_lives_on():
    """``tcp-server-close``: the server closes under a connection, which still works, and the loop ends."""
    told = []

    def connected(_ours):
        when(lambda: server.connections == 1, close)

    def close():
        close_tcp_server(server)
        told.append(server.closed)
        write_socket_data(client, b"still there?")

    def read(ours, data):
        told.append(data)
        close_socket(ours)
        delay(lambda: told.append(server.closed))

    def start():
        nonlocal server, client
        server = tcp_server(LOOPBACK, 0, echo, ignore)
        client = tcp_connect(*server.address, read, fail, connect_cb=connected)

    server = client = None
    run(start)
    assert told == [True, b"still there?", True]


def test_second_server_on_a_port_is_refused_at_the_call_and_the_first_goes_on(log):
    """``test-address-in-use``: the condition there is ``socket-address-in-use``, here a bind error."""

    def read(ours, data):
        log.read(ours, data)
        ours.close()
        server.close()

    def start():
        nonlocal server
        server = tcp_server(LOOPBACK, 0, echo, ignore)
        with pytest.raises(TcpServerBindError) as raised:
            tcp_server(*server.address, fail, fail)
        assert (raised.value.errcode, raised.value.port) == (errno.EADDRINUSE, server.address[1])
        tcp_connect(*server.address, read, data=b"x")

    server = None
    run(start)
    assert log.told == [b"x"]


def test_large_requests_and_replies_of_several_clients_do_not_mix():
    """``no-overlap``, which cl-async's suite has in a comment: more than a read buffer each, all at once."""
    size = 262_144 + 20_000
    clients = 4
    requests, replies = {}, {}

    def serve(ours, data):
        request = requests.setdefault(ours, bytearray())
        request += data
        if len(request) == size:
            ours.write(bytes([request[0]]) * size)
            if [len(request) for request in requests.values()] == [size] * clients:
                close_tcp_server(ours.server)

    def read(ours, data):
        reply = replies.setdefault(ours.data, bytearray())
        reply += data
        if len(reply) == size:
            ours.close()

    def start():
        server = tcp_server(LOOPBACK, 0, serve, ignore)
        for number in range(clients):
            ours = tcp_connect(*server.address, read, fail, data=bytes([number]) * size)
            ours.data = number

    run(start)
    assert sorted(map(bytes, requests.values())) == [bytes([number]) * size for number in range(clients)]
    assert replies == {number: bytes([number]) * size for number in range(clients)}


def test_part_of_a_text_is_written_and_what_follows_it():
    """``write-seq-with-offset``: ``start`` and ``end`` of a write. They count bytes, also of a text."""
    got = bytearray()

    def serve(ours, data):
        got.extend(data)
        if len(got) >= 6:
            close_socket(ours)
            close_tcp_server(ours.server)

    def connected(ours):
        @with_delay()
        def write():
            write_socket_data(ours, "xyzuvwklm", start=3, end=6)
            write_socket_data(ours, "rst")

    def start():
        server = tcp_server(LOOPBACK, 0, serve)
        tcp_connect("localhost", server.address[1], None, ignore, connect_cb=connected)

    run(start)
    assert got == b"uvwrst"
