"""Accept errors and closing of a ``TcpServer`` (docs/contract.md, section 3)."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import time

import pytest

import asynctcp
from asynctcp import delay, exit_event_loop, tcp_connect, tcp_server
from helpers import (
    LOOPBACK,
    Serving,
    after_quiet,
    descriptors,
    fail,
    ignore,
    in_loop,
    run,
    wait_until,
    when,
)


class Starvation:
    """Takes every descriptor that this process may still open, and gives them back."""

    def __init__(self):
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._taken = []

    def begin(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(descriptors()) + 1, self._limits[1]))
        with contextlib.suppress(OSError):
            while True:
                self._taken.append(os.dup(0))

    def end(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)
        while self._taken:
            os.close(self._taken.pop())


@pytest.fixture
def starvation():
    """No descriptor is left between its ``begin()`` and its ``end()``."""
    starvation = Starvation()
    yield starvation
    starvation.end()


def starved(peers, log, starvation, then):
    """Let five connections wait at a server without descriptors; ``then(serving)`` follows the error."""
    serving = Serving(log)
    clients = [peers.keep(socket.socket()) for _ in range(5)]
    starvation.begin()  # before they come: the helper thread might accept them at once
    for raw in clients:
        raw.connect(serving.server.address)
    when(lambda: log.told, lambda: then(serving))


def test_accept_without_descriptors_tells_the_event_cb_and_loses_no_client(peers, log, starvation):
    def relieve(serving):
        starvation.end()
        when(lambda: log.told.count("connect") == 5, serving.end)

    run(lambda: starved(peers, log, starvation, relieve))
    assert log.told == ["TcpAcceptError"] + ["connect"] * 5


def test_accept_error_carries_code_listener_and_server(peers, log, starvation):
    servers = []

    def relieve(serving):
        starvation.end()
        servers.append(serving.server)
        exit_event_loop()

    run(lambda: starved(peers, log, starvation, relieve))
    (condition,) = log.conditions
    assert (condition.errcode, condition.socket) == (errno.EMFILE, None)
    assert condition.server is asynctcp.tcp_accept_error_server(condition) is servers[0]
    assert asynctcp.tcp_accept_error_listener(condition) is condition.listener is not None


def test_accept_error_is_told_at_most_once_a_second(peers, log, starvation):
    def relieve(_serving):
        after_quiet(lambda: (starvation.end(), exit_event_loop()), 0.5)

    run(lambda: starved(peers, log, starvation, relieve))
    assert log.told == ["TcpAcceptError"]


def test_starved_server_does_not_spin(peers, log, starvation):
    spent = []

    def relieve(_serving):
        begun = time.process_time()
        after_quiet(
            lambda: (spent.append(time.process_time() - begun), starvation.end(), exit_event_loop()), 0.5
        )

    run(lambda: starved(peers, log, starvation, relieve))
    assert spent[0] < 0.1


def test_accept_goes_on_when_a_connection_gives_its_descriptor_back(peers, log, starvation):
    def start():
        serving = Serving(log)
        peers.connect(serving.server)
        when(lambda: serving.sockets, lambda: starve(serving))

    def starve(serving):
        raw = peers.keep(socket.socket())
        starvation.begin()
        raw.connect(serving.server.address)
        when(lambda: "TcpAcceptError" in log.told, serving.sockets[0].close)
        when(lambda: len(serving.sockets) == 2, lambda: (starvation.end(), serving.end()))

    run(start)
    assert log.told == ["connect", "TcpAcceptError", "connect"]


# --- closing ------------------------------------------------------------------------------------------------


def test_close_stops_listening_at_once(peers):
    def start():
        server = tcp_server(LOOPBACK, 0, None)
        server.close()
        with pytest.raises(ConnectionRefusedError):
            peers.connect(server)

    run(start)


def test_close_of_a_dual_stack_server_stops_both_families():
    def start():
        server = tcp_server(None, 0, None)
        server.close()
        for host in (LOOPBACK, "::1"):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, server.address[1]), 5)

    run(start)


def test_close_leaves_existing_connections_alive(peers, log):
    def start():
        serving = Serving(log)
        raw = peers.connect(serving.server)
        when(lambda: serving.sockets, lambda: (serving.server.close(), raw.sendall(b"still"), raw.close()))

    run(start)
    assert log.told == ["connect", b"still", "TcpEof"]


def test_connections_are_counted_after_the_server_was_closed(peers, log):
    def start():
        serving = Serving(log)
        peers.connect(serving.server)
        when(lambda: serving.sockets, lambda: closed(serving))

    def closed(serving):
        serving.server.close()
        after_quiet(lambda: (log.told.append(serving.server.connections), serving.end()))

    run(start)
    assert log.told == ["connect", 1]


def test_accepted_connections_whose_event_is_queued_at_close_live_on(peers, log):
    """The helper thread accepts while Python is busy; then the app closes the server."""

    def start():
        serving = Serving(log)
        delay(lambda: busy(serving))

    def busy(serving):
        raw = peers.connect(serving.server)
        raw.sendall(b"x")
        raw.shutdown(socket.SHUT_WR)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: serving.server.connections, 0.1)
        accepted.append(serving.server.connections)
        serving.server.close()

    accepted = []
    # Accepting pauses soon while Python is held up: on a busy machine perhaps too soon, but not each time.
    while accepted[-1:] != [1]:
        assert len(accepted) < 5
        log.told.clear()
        run(start)
    assert log.told == ["connect", b"x", "TcpEof"]


@pytest.mark.parametrize("close", [asynctcp.close_tcp_server, asynctcp.TcpServer.close])
def test_closing_again_does_nothing(close):
    def start():
        server = tcp_server(LOOPBACK, 0, None)
        close(server)
        close(server)
        assert server.closed

    run(start)


def test_server_is_open_until_it_is_closed():
    def look():
        server = tcp_server(LOOPBACK, 0, None)
        before = server.closed
        server.close()
        return before, server.closed

    assert in_loop(look) == (False, True)


def test_port_can_be_bound_again_at_once(peers, log):
    def start():
        serving = Serving(log)
        peers.connect(serving.server)
        when(lambda: serving.sockets, lambda: again(serving))

    def again(serving):
        serving.server.close()
        delay(lambda: tcp_server(*serving.server.address, None).close(), 0.01)
        serving.end()

    run(start)


def test_fifty_servers_after_each_other_on_one_port():
    ports = []

    def start():
        server = tcp_server(LOOPBACK, ports[-1] if ports else 0, lambda s, _: (s.close(), server.close()))
        ports.append(server.address[1])
        tcp_connect(*server.address, None, ignore, data=b"x")

    for _ in range(50):
        run(start)
    assert len(set(ports)) == 1


def test_close_from_another_thread_ends_an_idle_loop(spawn):
    def start():
        server = tcp_server(LOOPBACK, 0, None)
        delay(lambda: spawn(server.close), 0.02)

    run(start)


def test_closing_in_connect_cb_does_not_end_the_connection(peers, log):
    def start():
        server = tcp_server(LOOPBACK, 0, log.read, log.event, connect_cb=lambda s: s.server.close())
        raw = peers.connect(server)
        raw.sendall(b"x")
        raw.close()

    run(start)
    assert log.told == [b"x", "TcpEof"]


def test_closing_all_in_connect_cb_is_fine(peers):
    def start():
        server = tcp_server(LOOPBACK, 0, fail, fail, connect_cb=lambda s: (s.close(), s.server.close()))
        peers.connect(server).sendall(b"x")

    run(start)


def test_two_servers_of_one_loop_serve_both(peers, log):
    def start():
        both = [Serving(log), Serving(log)]
        for serving in both:
            peers.connect(serving.server).close()
        when(lambda: log.told.count("TcpEof") == 2, lambda: [serving.end() for serving in both])

    run(start)
    assert log.told.count("connect") == 2
