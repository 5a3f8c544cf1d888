"""``read_limit`` and ``memory_limit`` of `asynctcp.EventLoop` (contract, section 1), and large transfers."""

from __future__ import annotations

import time

import pytest

import asynctcp
from asynctcp import EventLoop, delay, tcp_connect, tcp_server
from helpers import LOOPBACK, SOON, after_quiet, ignore, run, when

LEAST = 4096


def send_all(raw, data):
    raw.sendall(data)
    raw.close()


@pytest.mark.parametrize("limit", [LEAST, 10_000, 262_144])
def test_read_cb_gets_at_most_the_read_limit_at_a_time(limit, peers, spawn, log):
    data = bytes(range(256)) * 8000

    def use(_ours, raw):
        spawn(send_all, raw, data)

    run(lambda: peers.link(use, log.read, log.event), loop=EventLoop(read_limit=limit))
    assert max(len(piece) for piece in log.told[:-1]) <= limit
    assert log.order() == [data, "TcpEof"]


def test_no_more_than_the_read_limit_is_received_while_python_is_busy(peers, spawn, log):
    def use(ours, raw):
        spawn(send_all, raw, bytes(4 << 20))
        time.sleep(0.1)
        log.received = ours.bytes_read

    run(lambda: peers.link(use, log.read, log.event), loop=EventLoop(read_limit=20_000))
    assert log.received <= 20_000
    assert len(log.joined()) == 4 << 20


@pytest.mark.parametrize("limit", [0, LEAST, 100_000])
def test_all_data_of_many_sockets_arrives_whatever_the_memory_limit(limit, peers, spawn, log):
    size = 200_000
    got = {}

    def read(ours, data):
        got[ours] = got.get(ours, 0) + len(data)

    def start():
        for _ in range(10):
            peers.link(lambda _ours, raw: spawn(send_all, raw, bytes(size)), read, log.event)

    run(start, loop=EventLoop(memory_limit=limit))
    assert (list(got.values()), log.told) == ([size] * 10, ["TcpEof"] * 10)


def test_all_sockets_together_hold_no_more_than_the_memory_limit_while_python_is_busy(peers, spawn, log):
    sockets = []

    def use(ours, raw):
        spawn(send_all, raw, bytes(1 << 20))
        sockets.append(ours)
        if len(sockets) == 10:
            time.sleep(0.1)
            log.received = sum(one.bytes_read for one in sockets)

    run(lambda: [peers.link(use, ignore, log.event) for _ in range(10)], loop=EventLoop(memory_limit=100_000))
    # Each may hold one read of 4 KiB in any case, and one read may be on its way when the limit is reached.
    assert log.received <= 100_000 + 10 * LEAST + 262_144
    assert log.told == ["TcpEof"] * 10


def test_socket_whose_reading_is_disabled_does_not_count_against_the_others(peers, spawn, log):
    """It has received all that one may hold, and the app never takes it."""

    def hoard(ours, raw):
        raw.setblocking(False)
        raw.send(bytes(100_000))
        time.sleep(0.05)
        ours.disable(read=True)
        delay(
            lambda: peers.link(lambda _ours, other: spawn(send_all, other, bytes(500_000)), log.read, end),
            0.02,
        )
        hoarders.append(ours)

    def end(condition):
        log.event(condition)
        hoarders[0].close(force=True)

    hoarders = []
    run(lambda: peers.link(hoard), loop=EventLoop(memory_limit=16_384, read_limit=16_384))
    assert log.order() == [bytes(500_000), "TcpEof"]


def test_closed_socket_gives_its_share_of_the_memory_limit_back(peers, spawn, log):
    def hoard(ours, raw):
        raw.setblocking(False)
        raw.send(bytes(100_000))
        time.sleep(0.05)
        ours.close(force=True)
        peers.link(lambda _ours, other: spawn(send_all, other, bytes(500_000)), log.read, log.event)

    run(lambda: peers.link(hoard), loop=EventLoop(memory_limit=16_384))
    assert log.order() == [bytes(500_000), "TcpEof"]


@pytest.mark.parametrize("io_threads", [0, 1, 2])
def test_megabytes_are_echoed_whole(io_threads, log):
    data = bytes(range(256)) * 16_384

    def start():
        server = tcp_server(LOOPBACK, 0, lambda ours, piece: ours.write(piece), ignore)
        client = tcp_connect(*server.address, log.read, log.event, data=data)
        when(lambda: len(log.joined()) == len(data), lambda: (client.close(), server.close()))

    run(start, loop=EventLoop(io_threads=io_threads))
    assert log.joined() == data


def test_busy_socket_does_not_starve_a_quiet_one():
    """A firehose runs; the round trips of another connection go on beside it."""
    rounds = []

    def ping(ours, _data):
        rounds.append(time.monotonic())
        if len(rounds) == 100:
            asynctcp.exit_event_loop()
        else:
            ours.write(b"x")

    def start():
        echo = tcp_server(LOOPBACK, 0, lambda ours, data: ours.write(data), ignore)
        hose = tcp_connect(*echo.address, lambda ours, data: ours.write(data), ignore, data=bytes(1 << 20))
        when(lambda: hose.bytes_read > 1 << 20, lambda: tcp_connect(*echo.address, ping, ignore, data=b"x"))

    run(start)
    assert len(rounds) == 100


def test_peer_that_sends_for_ever_does_not_starve_timers(peers, spawn, log):
    over = []

    def flood(raw):
        while not over:
            raw.sendall(bytes(1 << 16))

    def use(ours, raw):
        spawn(flood, raw)
        begun = time.monotonic()

        def end():
            log.told.append(time.monotonic() - begun)
            over.append(True)
            after_quiet(lambda: ours.close(force=True))

        delay(end, 0.1)

    run(lambda: peers.link(use, ignore, ignore))
    assert log.told[0] < SOON
