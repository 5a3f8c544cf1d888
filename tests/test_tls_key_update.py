"""Keys that are updated while data goes both ways (RFC 8446, 4.6.3; docs/contract.md, "TLS")."""

from __future__ import annotations

import itertools

import pytest

import asynctcp
from asynctcp import EventLoop, TlsError, tcp_server
from certificates import authority
from helpers import LOOPBACK, ignore, receive_exactly, run, wait_until
from libssl import LibsslClient, library

pytestmark = pytest.mark.skipif(library() is None, reason="not installed: libssl")

LOOPS = {"plain": {}, "threads": {"io_threads": 1}}


@pytest.fixture(params=LOOPS)
def loop(request):
    """A loop that drives itself, or one with a thread for it."""
    return EventLoop(**LOOPS[request.param])


@pytest.fixture
def against(peers, spawn):
    """Run ``talk(client)`` in a thread beside a server of ours."""

    def against(loop, talk, read_cb, event_cb=ignore):
        def body(server, core):
            client = LibsslClient(peers.connect(server))
            try:
                talk(client)
            finally:
                client.close()
                core.exit()

        def start():
            server = tcp_server(LOOPBACK, 0, read_cb, event_cb, tls=authority().server())
            spawn(body, server, asynctcp.current_event_loop())

        run(start, loop=loop)

    return against


@pytest.mark.parametrize("ask", [False, True, None], ids=["own", "both", "mixed"])
def test_no_byte_is_lost_while_the_peer_updates_its_keys(loop, against, ask):
    """As much comes back as was sent, although a key lives for a few bytes only."""
    received = bytearray()

    def read(ours, data):
        received.extend(data)
        ours.write(data)

    def talk(client):
        asks = itertools.cycle([False, True]) if ask is None else itertools.repeat(ask)
        for number in range(200):
            sent = bytearray()
            for _ in range(1 + number % 30):
                client.update_keys(ask=next(asks))
                piece = bytes([number]) * (1 + number * 37 % 5000)
                client.sendall(piece)
                sent += piece
            all_sent.extend(sent)
            assert receive_exactly(client, len(sent)) == sent

    all_sent = bytearray()
    against(loop, talk, read)
    assert received == all_sent


def test_much_is_sent_while_the_peer_asks_for_new_keys(loop, against):
    """Answers go between records that are on their way, some of them half in the kernel."""
    block = bytes(range(256)) * 4096

    def read(ours, data):
        for _ in range(data.count(b"x")):
            ours.write(block)

    def talk(client):
        client.sendall(b"x" * 8)
        while len(got) < 8 * len(block):
            client.update_keys(ask=True)
            client.sendall(b".")
            got.extend(receive_exactly(client, 4096))

    got = bytearray()
    against(loop, talk, read)
    assert got == 8 * block


def test_peer_that_does_nothing_but_ask_for_new_keys_is_refused(loop, against):
    """Each costs us as much as a message, and we owe an answer."""

    def talk(client):
        for _ in range(32):
            client.update_keys(ask=True)
        client.sendall(b".")
        for _ in range(33):
            client.update_keys(ask=True)
        wait_until(lambda: conditions)

    conditions = []
    against(loop, talk, ignore, conditions.append)
    assert [type(each) for each in conditions] == [TlsError]
