"""What is promised of sockets holds over TLS, too: writing that is disabled, timeouts, ends."""

from __future__ import annotations

import random
import socket
import time

import pytest

import asynctcp
from asynctcp import EventLoop, TlsError, delay, exit_event_loop, pipe_server, tcp_connect, tcp_server
from certificates import authority
from helpers import LOOPBACK, after_quiet, fail, ignore, receive_exactly, run, wait_until
from raw_tls import RawTlsClient

LOOPS = {"plain": {}, "threads": {"io_threads": 1}}
#: Kernel buffers of either side, so that little fits.
SMALL = 20_000
DATA = random.Random(1).randbytes(2 << 20)


@pytest.fixture(params=LOOPS)
def loop(request):
    """A loop that drives itself, or one with a thread for it."""
    return EventLoop(**LOOPS[request.param])


@pytest.fixture
def small_server(ca):
    """A server with small buffers that does ``welcome(socket)``."""

    def small_server(welcome, event_cb=ignore):
        options = [(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)]
        return tcp_server(
            LOOPBACK, 0, None, event_cb, connect_cb=welcome, socket_options=options, tls=ca.server()
        )

    return small_server


@pytest.fixture
def client(peers, spawn):
    """Talk to a server of ours in a thread, with small buffers; then the loop ends."""

    def client(server, talk):
        def body():
            raw = peers.keep(socket.socket())
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            try:
                raw.connect((server.host, server.port))
                with authority().client_context().wrap_socket(raw, server_hostname="localhost") as secured:
                    talk(secured)
            finally:
                core.exit()

        core = asynctcp.current_event_loop()
        spawn(body)

    return client


@pytest.mark.parametrize("piece", [len(DATA), 100_000])
def test_what_waits_while_writing_is_disabled_arrives_as_it_was_written(loop, small_server, client, piece):
    def welcome(ours):
        for start in range(0, len(DATA), piece):
            ours.write(DATA[start : start + piece])
        delay(lambda: (ours.disable(write=True), events.append("disabled")), 0.02)
        after_quiet(lambda: (ours.enable(write=True), events.append("enabled")), 0.2)

    def talk(raw):
        wait_until(lambda: events)
        # Room for a part: what was sealed before is sent in part.
        got.extend(receive_exactly(raw, 2000))
        wait_until(lambda: len(events) == 2)
        got.extend(receive_exactly(raw, len(DATA) - 2000))

    events, got = [], bytearray()
    run(lambda: client(small_server(welcome), talk), loop=loop)
    assert got == DATA


def test_nothing_is_sent_and_no_write_cb_runs_while_writing_is_disabled(loop, small_server, client):
    def welcome(ours):
        sockets.append(ours)
        ours.write(DATA[:120_000], write_cb=fail)
        delay(disable, 0.02)

    def disable():
        sockets[0].disable(write=True)
        counts.append(sockets[0].bytes_written)

    def talk(raw):
        wait_until(lambda: counts)
        received.append(drain(raw))

    def drain(raw):
        """Take all that comes in a while; how much."""
        raw.settimeout(0.2)
        count = 0
        while True:
            try:
                count += len(raw.recv(1 << 16))
            except TimeoutError:
                counts.append(sockets[0].bytes_written)
                return count

    sockets, counts, received = [], [], []
    run(lambda: client(small_server(welcome), talk), loop=loop)
    assert counts[0] == counts[1] < 120_000
    assert received[0] <= counts[0]


def test_bytes_written_are_those_that_the_kernel_took(small_server, client):
    def welcome(ours):
        ours.write(DATA)
        after_quiet(lambda: (counts.append((ours.bytes_written, ours.write_buffer_size)), proceed.append(1)))

    def talk(raw):
        wait_until(lambda: proceed)
        receive_exactly(raw, len(DATA))

    counts, proceed = [], []
    run(lambda: client(small_server(welcome), talk))
    written, waiting = counts[0]
    # Records are some bytes longer than what is in them.
    assert len(DATA) <= written + waiting <= len(DATA) + 1000


@pytest.mark.slow
def test_read_timeout_does_not_run_while_a_record_comes_slowly(ca, peers, spawn):
    """As over TCP: the peer is not silent."""

    def body(server, core):
        raw = peers.connect(server)
        client = RawTlsClient(raw, ca)
        client.shake_hands()
        record = client.seal(b"x" * 16_000)
        for start in range(0, len(record), 2500):
            raw.sendall(record[start : start + 2500])
            # The time is what this is about: in all more than the timeout.
            time.sleep(0.5)
        wait_until(lambda: told)
        core.exit()

    def start():
        server = tcp_server(
            LOOPBACK,
            0,
            lambda _, data: told.append(len(data)),
            lambda condition: told.append(type(condition).__name__),
            tls=ca.server(),
            read_timeout=2,
        )
        spawn(body, server, asynctcp.current_event_loop())

    told = []
    run(start)
    assert told == [16_000]


def test_read_timeout_is_not_told_where_part_of_a_record_came_while_python_was_held_up(ca, peers, spawn):
    """As over TCP, where the part itself is data."""

    def body(server):
        raw = peers.connect(server)
        client = RawTlsClient(raw, ca)
        client.shake_hands()
        raw.sendall(client.seal(b"begin"))
        wait_until(lambda: held)
        wait_until(lambda: time.monotonic() > held[0] + 0.4)
        record = client.seal(b"x" * 16_000)
        raw.sendall(record[:8000])
        sent.append(time.monotonic())
        wait_until(lambda: back)
        raw.sendall(record[8000:])

    def read(_ours, data):
        if not held:
            held.append(time.monotonic())
            # The I/O side takes the part meanwhile.
            wait_until(lambda: sent and time.monotonic() > sent[0] + 0.1)
            asynctcp.delay(lambda: back.append(None))
        else:
            told.append(len(data))
            asynctcp.exit_event_loop()

    def event(condition):
        told.append(type(condition).__name__)
        asynctcp.exit_event_loop()

    def start():
        spawn(body, tcp_server(LOOPBACK, 0, read, event, tls=ca.server(), read_timeout=0.3))

    held, sent, back, told = [], [], [], []
    run(start)
    assert told == [16_000]


@pytest.mark.parametrize("by_data", [True, False])
def test_close_while_connecting_sends_what_was_written_and_close_notify(loop, ca, by_data):
    def start():
        server = tcp_server(LOOPBACK, 0, lambda _, data: told.append(data), event, tls=ca.server())
        data = b"all of it" if by_data else None
        ours = tcp_connect(server.host, server.port, None, fail, data=data, tls=ca.client())
        if not by_data:
            ours.write(b"all of it")
        ours.close()

    def event(condition):
        told.append(type(condition).__name__)
        exit_event_loop()

    told = []
    run(start, loop=loop)
    assert told == [b"all of it", "TcpEof"]


def test_unix_peer_that_goes_without_close_notify_and_with_bytes_unread_is_truncation(ca, spawn, tmp_path):
    """The kernel says ECONNRESET then, which without TLS is an end."""

    def body():
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(path)
        secured = ca.client_context().wrap_socket(raw, server_hostname="localhost")
        secured.sendall(b"half")
        wait_until(lambda: told)
        # The session's ticket is unread.
        secured.close()

    def event(condition):
        told.append(condition)
        exit_event_loop()

    def start():
        pipe_server(path, lambda _, data: told.append(data), event, tls=ca.server())
        spawn(body)

    path, told = str(tmp_path / "socket"), []
    run(start)
    assert told[0] == b"half"
    assert isinstance(told[1], TlsError)
    assert told[1].reason == "truncated"
