"""Connections that Python does not know yet, when their server is closed (docs/contract.md, "tcp_server")."""

from __future__ import annotations

import ssl
import threading

import pytest

from asynctcp import EventLoop, ProxyHeader, tcp_server
from certificates import authority
from helpers import (
    DEADLINE,
    LOOPBACK,
    after_quiet,
    descriptors,
    fail,
    receive_exactly,
    run,
    when,
)

LOOPS = {"plain": {}, "threads": {"io_threads": 1}}
HEADER = bytes(ProxyHeader(("192.0.2.1", 51234), ("198.51.100.2", 443)))


@pytest.fixture(params=LOOPS)
def loop(request):
    return EventLoop(**LOOPS[request.param])


def after_accept(peers, server, hello, action):
    """Call ``action(raw)`` with a client that has said ``hello``, once the server has accepted it."""
    before = len(descriptors())
    raw = peers.connect(server)
    raw.sendall(hello)
    raw.settimeout(DEADLINE)
    when(lambda: len(descriptors()) == before + 2, lambda: action(raw))


@pytest.mark.parametrize("has_begun", [False, True])
def test_handshake_is_finished_though_the_server_was_closed(loop, peers, spawn, has_begun):
    def read(ours, data):
        ours.write(data)
        ours.close()

    def talk(raw):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = authority().client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        raw.sendall(outgoing.read())
        incoming.write(raw.recv(1 << 16))
        heard.append(1)
        closed.wait(DEADLINE)
        session.do_handshake()
        session.write(b"hello")
        raw.sendall(outgoing.read())
        while True:
            incoming.write(raw.recv(1 << 16))
            try:
                answers.append(session.read(100))
            except ssl.SSLWantReadError:
                continue
            return

    def start():
        server = tcp_server(LOOPBACK, 0, read, fail, tls=authority().server())
        if has_begun:
            raw = peers.connect(server)
            spawn(lambda: talk(raw))
            when(lambda: heard, lambda: (server.close(), closed.set()))
        else:
            after_accept(
                peers, server, b"", lambda raw: (server.close(), closed.set(), spawn(lambda: talk(raw)))
            )

    heard, answers, closed = [], [], threading.Event()
    run(start, loop=loop)
    assert answers == [b"hello"]


@pytest.mark.parametrize("begun", [0, 5])
def test_header_is_read_though_the_server_was_closed(loop, peers, begun):
    def welcome(ours):
        ours.write(str(ours.peername[0]))
        ours.close()

    def start():
        server = tcp_server(LOOPBACK, 0, None, fail, connect_cb=welcome, proxy_protocol="require")

        def go_on(raw):
            server.close()
            raws.append(raw)
            # The close is heeded before the rest comes.
            after_quiet(lambda: raw.sendall(HEADER[begun:]))

        after_accept(peers, server, HEADER[:begun], go_on)

    raws = []
    run(start, loop=loop)
    assert receive_exactly(raws[0], 9) == b"192.0.2.1"
