"""``stats()`` (docs/contract.md, section 1)."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

import asynctcp
from asynctcp import EventLoop, delay, exit_event_loop, start_event_loop
from helpers import LOOPBACK, ignore, run, wait_until, when


def test_stats_have_the_documented_names():
    seen = []
    start_event_loop(lambda: seen.append(asynctcp.stats()))
    assert set(seen[0]) >= {
        "incoming_tcp_connections",
        "outgoing_tcp_connections",
        "open_dns_queries",
        "timers",
        "pollers",
        "idlers",
        "events_dispatched",
        "bytes_read",
        "bytes_written",
        "proxy_headers_failed",
        "queued_events",
        "queued_bytes",
    }


def test_stats_of_a_new_loop_are_zero():
    seen = []
    start_event_loop(lambda: seen.append(asynctcp.stats()))
    assert set(seen[0].values()) == {0}


def test_stats_count_connections_that_are_open_now(peers):
    seen = []

    def accepted(socket):
        seen.append(asynctcp.stats())
        exit_event_loop()
        seen.append(socket)

    def start():
        server = asynctcp.tcp_server("127.0.0.1", 0, None, connect_cb=accepted)
        peers.connect(server)

    run(start)
    assert (seen[0]["incoming_tcp_connections"], seen[0]["outgoing_tcp_connections"]) == (1, 0)


def test_stats_count_outgoing_connections(peers):
    seen = []
    run(lambda: peers.link(lambda ours, _raw: (seen.append(asynctcp.stats()), ours.close())))
    assert (seen[0]["incoming_tcp_connections"], seen[0]["outgoing_tcp_connections"]) == (0, 1)


def test_stats_count_timers_that_wait():
    seen = []

    def start():
        timer = delay(ignore, 5)
        seen.append(asynctcp.stats()["timers"])
        timer.cancel()
        seen.append(asynctcp.stats()["timers"])

    start_event_loop(start)
    assert seen == [1, 0]


def test_stats_total_the_bytes_read_and_written():
    seen = []

    def echo(socket, data):
        socket.write(data)

    def start():
        server = asynctcp.tcp_server("127.0.0.1", 0, echo)

        def read(socket, _data):
            seen.append(asynctcp.stats())
            socket.close()
            server.close()

        asynctcp.tcp_connect(*server.address, read, data=b"12345")

    run(start)
    assert (seen[0]["bytes_read"], seen[0]["bytes_written"]) == (10, 10)


def test_stats_total_the_events_that_were_dispatched(peers):
    seen = []

    def read(ours, _data):
        seen.append(asynctcp.stats()["events_dispatched"])
        ours.close()

    run(lambda: peers.link(lambda _ours, raw: raw.sendall(b"x"), read))
    assert seen[0] >= 2  # the connection, and what came


def test_stats_of_a_loop_can_be_asked_from_another_thread(spawn):
    loop, seen = EventLoop(), []

    def start():
        server = asynctcp.tcp_server("127.0.0.1", 0, None)
        spawn(lambda: seen.append(loop.stats()))
        when(lambda: seen, server.close)

    loop.run(start)
    assert seen[0]["timers"] >= 0


def test_stats_count_large_messages_that_wait(peers, spawn):
    """Those are received into memory of their own."""
    size, waiting = 100_000, []

    def use(ours, raw):
        # The first ones teach the connection that its messages are large.
        spawn(raw.sendall, bytes(10 * size))

        def compute():
            before = ours.bytes_read
            spawn(raw.sendall, bytes(size))
            wait_until(lambda: ours.bytes_read >= before + size)
            waiting.append(asynctcp.stats()["queued_bytes"])
            asynctcp.exit_event_loop()

        when(lambda: ours.bytes_read == 10 * size, lambda: asynctcp.delay(compute))

    run(lambda: peers.link(use, ignore))
    assert waiting == [size]


@pytest.mark.slow
def test_sockets_that_were_never_connected_leave_no_trace():
    """A hundred thousand of them took 2.4 MB that were never given back, and made each ``stats()`` slower."""
    grown = []

    def start():
        server = asynctcp.tcp_server(LOOPBACK, 0, None)

        def turn_over(count):
            for _ in range(count):
                asynctcp.init_tcp_socket(None).close()

        turn_over(10_000)
        before = resident()
        turn_over(200_000)
        grown.append(resident() - before)
        server.close()

    run(start, timeout=40)
    assert grown[0] < 2 << 20


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_nothing_is_queued_once_the_loop_has_ended(peers):
    """What came while the last callback ran is let go with it."""

    def end():
        for raw in raws:
            raw.sendall(b"x" * 1000)
        wait_until(lambda: asynctcp.stats()["queued_bytes"] == 1000 * len(raws))
        exit_event_loop()

    def start():
        server = asynctcp.tcp_server(LOOPBACK, 0, ignore)
        raws.extend(peers.connect(server) for _ in range(10))
        when(lambda: asynctcp.stats()["incoming_tcp_connections"] == len(raws), end)

    raws, loop = [], EventLoop()
    run(start, loop=loop)
    assert (loop.stats()["queued_events"], loop.stats()["queued_bytes"]) == (0, 0)
