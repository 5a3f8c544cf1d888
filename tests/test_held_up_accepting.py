"""Accepting while Python is held up, and what is known of a connection that is gone by then."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

import asynctcp
from asynctcp import exit_event_loop, tcp_server
from held_up import LOOPS, holds_until, time_to_see_that
from helpers import DEADLINE, LOOPBACK, Serving, ignore, reset, run, wait_until, when


def test_connections_are_left_to_other_processes_while_python_is_held_up(spawn):
    """The listening socket is shared, as by workers; the other worker is a thread that accepts."""
    served, clients, accepted = [], [], []
    with socket.create_server((LOOPBACK, 0), backlog=64) as shared:
        shared.settimeout(DEADLINE)

        def other_worker():
            clients.extend(socket.create_connection(shared.getsockname(), DEADLINE) for _ in range(20))
            accepted.extend(shared.accept()[0] for _ in range(20))

        def compute():
            wait_until(time_to_see_that(0.05))
            worker = spawn(other_worker)
            holds_until(lambda: not worker.is_alive())
            clients.append(socket.create_connection(shared.getsockname(), DEADLINE))

        def start():
            tcp_server(
                None,
                0,
                ignore,
                fd=shared.fileno(),
                connect_cb=lambda ours: (served.append(ours), exit_event_loop()),
            )
            asynctcp.delay(compute, 0.01)

        run(start)
    for raw in clients + accepted:
        raw.close()
    assert len(accepted) == 20
    assert len(served) == 1


@pytest.mark.parametrize("io_threads", LOOPS)
def test_accepting_goes_on_when_python_is_back(io_threads, peers, spawn, log):
    def start():
        serving = Serving(log)

        def compute():
            wait_until(time_to_see_that(0.05))
            spawn(lambda: peers.connect(serving.server).sendall(b"x"))
            wait_until(time_to_see_that(0.05))

        asynctcp.delay(compute, 0.01)

    loop = asynctcp.EventLoop(io_threads=io_threads)

    def watched():
        start()
        when(lambda: log.told, exit_event_loop)

    run(watched, loop=loop)
    assert log.told[0] == "connect"


def test_accepting_goes_on_in_a_pumped_loop_that_was_late(peers):
    served = []
    loop = asynctcp.EventLoop()
    made = []
    loop.call_soon_threadsafe(lambda: made.append(tcp_server(LOOPBACK, 0, ignore, connect_cb=served.append)))
    try:
        wait_until(lambda: (loop.pump(0), made)[1])
        peers.connect(made[0])
        wait_until(time_to_see_that(0.05))
        peers.connect(made[0])
        peers.connect(made[0])
        wait_until(lambda: (loop.pump(0.05), len(served) == 3)[1])
    finally:
        loop.exit()


def test_accepting_goes_on_beside_connections_that_never_leave_python_idle(peers, spawn):
    """Each callback is longer than accepting may wait for Python, and there is always a next one."""
    stop, served = threading.Event(), []

    def flood(raw):
        with contextlib.suppress(OSError):
            while not stop.is_set():
                raw.sendall(bytes(1000))

    def read(_ours, _data):
        wait_until(time_to_see_that(0.01))

    def start():
        server = tcp_server(LOOPBACK, 0, read, ignore, connect_cb=served.append)
        for _ in range(8):
            spawn(flood, peers.connect(server))
        when(lambda: len(served) == 8, lambda: asynctcp.delay(lambda: peers.connect(server), 0.2))
        when(lambda: len(served) == 9, end)

    def end():
        stop.set()
        exit_event_loop()

    run(start)


@pytest.mark.parametrize("adopted", [False, True])
def test_peername_of_a_connection_that_was_reset_before_the_accept_is_known(adopted):
    """As a load balancer's health check, to a server that listens on any address."""
    seen = []
    with socket.create_server(("0.0.0.0", 0)) as listening:
        fd = listening.fileno() if adopted else None

        def start():
            server = tcp_server(None, 0, ignore, ignore, fd=fd, connect_cb=welcome)
            with socket.create_connection((LOOPBACK, server.address[1]), DEADLINE) as raw:
                seen.append((raw.getsockname(), raw.getpeername()))
                reset(raw)

        def welcome(ours):
            seen.append((ours.peername, ours.sockname))
            exit_event_loop()

        run(start)
    assert seen[0] == seen[1]
