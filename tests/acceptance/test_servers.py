"""Addresses, sockets and the ``with`` block of a server, and when it pauses accepting."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

import asynctcp
from asynctcp import delay, tcp_connect, tcp_server
from helpers import DEADLINE, LOOPBACK, echo, ignore, in_loop, run, when


def test_host_and_port_are_those_of_the_first_address():
    def look():
        server = tcp_server(LOOPBACK, 0, None)
        return server.host, server.port, server.address, server.addresses

    host, port, address, addresses = in_loop(look)
    assert (host, port) == address[:2]
    assert list(addresses) == [address]


def test_host_port_and_addresses_are_kept_after_closing():
    def look():
        server = tcp_server(LOOPBACK, 0, None)
        before = (server.host, server.port, tuple(server.addresses))
        server.close()
        return before, (server.host, server.port, tuple(server.addresses))

    before, after = in_loop(look)
    assert before == after


@pytest.mark.parametrize("address", [None, "", LOOPBACK, "::", "::1", "localhost"])
def test_client_connects_by_host_and_port(address):
    got = []

    def start():
        server = tcp_server(address, 0, echo, ignore)
        tcp_connect(
            server.host,
            server.port,
            lambda ours, data: (got.append(data), ours.close(), server.close()),
            data=b"x",
        )

    run(start)
    assert got == [b"x"]


def test_server_bound_to_a_name_listens_on_all_its_addresses():
    wanted = {info[4][0] for info in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    seen = []

    def start():
        server = tcp_server(
            "localhost", 0, None, ignore, connect_cb=lambda ours: seen.append(ours.sockname[0])
        )
        assert {address[0] for address in server.addresses} == wanted
        assert len({address[1] for address in server.addresses}) == 1, "one port for all"
        raws = [socket.create_connection(address[:2], DEADLINE) for address in server.addresses]
        when(lambda: len(seen) == len(wanted), lambda: ([raw.close() for raw in raws], server.close()))

    run(start)
    assert set(seen) == wanted


def test_sockets_are_a_snapshot_of_the_open_ones(peers):
    seen = []

    def start():
        server = tcp_server(LOOPBACK, 0, None, ignore)
        before = server.sockets
        peers.connect(server)
        raw = peers.connect(server)

        def look():
            snapshot = server.sockets
            seen.append((before, len(snapshot), {type(one) for one in snapshot}, server.sockets is snapshot))
            raw.close()
            when(lambda: len(server.sockets) == 1, end)

        def end():
            seen.append(len(server.sockets))
            server.sockets[0].close()
            server.close()

        when(lambda: len(server.sockets) == 2, look)

    run(start)
    assert seen == [([], 2, {asynctcp.Socket}, False), 1]


def test_with_block_closes_the_server():
    def look():
        with tcp_server(LOOPBACK, 0, None) as server:
            assert not server.closed
        return server.closed

    assert in_loop(look) is True


def test_with_block_that_raises_closes_the_server_and_lets_the_exception_out():
    def look():
        with pytest.raises(ZeroDivisionError), tcp_server(LOOPBACK, 0, None) as server:
            raise ZeroDivisionError
        return server.closed

    assert in_loop(look) is True


def test_address_of_the_server_has_one_port_on_all_families():
    def look():
        server = tcp_server(None, 0, None)
        return server.port, {address[1] for address in server.addresses}

    port, ports = in_loop(look)
    assert ports == {port}


@pytest.mark.slow
@pytest.mark.parametrize("io_threads", [0, 1])
def test_server_whose_python_is_busy_leaves_connections_to_others(io_threads, spawn):
    """Another holder of the same listener takes what this one could not serve."""
    taken, own = [], []
    listener = socket.create_server((LOOPBACK, 0))
    listener.settimeout(DEADLINE)
    over = threading.Event()

    def other():
        time.sleep(0.2)  # this one was idle when they came
        with listener.dup() as mine:
            mine.settimeout(0.1)
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    taken.append(mine.accept()[0])

    def connect():
        for _ in range(20):
            raws.append(socket.create_connection(listener.getsockname(), DEADLINE))
            time.sleep(0.01)  # they come one after another

    def start():
        server = tcp_server(None, 0, None, ignore, connect_cb=own.append, fd=listener.fileno())

        def busy():
            spawn(connect)
            spawn(other)
            time.sleep(1.0)  # the point: Python is busy while they come
            delay(end, 0.2)

        def end():
            over.set()
            server.close()
            for one in own:
                one.close(force=True)

        delay(busy)

    raws = []
    run(start, loop=asynctcp.EventLoop(io_threads=io_threads))
    over.set()
    for one in [listener, *raws, *taken]:
        one.close()
    assert len(taken) + len(own) == 20
    # Those that came in the first 20 ms and a few more may have been accepted before.
    assert len(taken) >= 12


def test_accepting_goes_on_when_python_is_back(peers):
    seen = []

    def start():
        server = tcp_server(LOOPBACK, 0, None, ignore, connect_cb=seen.append)

        def busy():
            for _ in range(10):
                peers.connect(server)
            time.sleep(0.2)  # the point: Python is busy for longer than accepting goes on without it
            for _ in range(10):
                peers.connect(server)
            when(lambda: len(seen) == 20, end)

        def end():
            server.close()
            for one in seen:
                one.close(force=True)

        delay(busy)

    run(start)
    assert len(seen) == 20
