"""``read_limit`` and ``memory_limit`` of `asynctcp.EventLoop` (contract, section 1), and large transfers."""

from __future__ import annotations

import contextlib
import time

import pytest

import asynctcp
from asynctcp import EventLoop, delay, exit_event_loop, tcp_connect, tcp_server
from helpers import LOOPBACK, QUIET, SOON, after_quiet, ignore, reset, run, wait_until, when

WIRES = ("tcp", "tls", "unix")

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
        wait_until(lambda: ours.bytes_read == 20_000)
        time.sleep(QUIET)  # the point: Python is busy, and there is more to receive
        log.received = ours.bytes_read

    run(lambda: peers.link(use, log.read, log.event), loop=EventLoop(read_limit=20_000))
    assert log.received == 20_000
    assert len(log.joined()) == 4 << 20


@pytest.mark.can_reset
def test_reset_waits_behind_what_is_more_than_the_read_limit(peers, log):
    """A record is, and its rest is in the kernel no more when the reset comes."""

    def use(ours, raw):
        ours.disable(read=True)
        raw.sendall(bytes(16_000))
        after_quiet(lambda: ours.enable(read=True))
        raws.append(raw)

    def read(ours, data):
        log.read(ours, data)
        if len(log.told) == 1:
            ours.disable(read=True)
            reset(raws[0])
            after_quiet(lambda: ours.enable(read=True))

    raws = []
    run(lambda: peers.link(use, read, log.event), loop=EventLoop(read_limit=LEAST))
    assert log.order() == [bytes(16_000), "TcpReset"]


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
    delivered = 0

    def use(ours, raw):
        spawn(send_all, raw, bytes(1 << 20))
        sockets.append(ours)
        if len(sockets) == 10:
            time.sleep(0.1)  # the point: Python is busy, and there is more to receive
            log.received = sum(one.bytes_read for one in sockets) - delivered

    def read(_ours, data):
        nonlocal delivered
        delivered += len(data)

    run(lambda: [peers.link(use, read, log.event) for _ in range(10)], loop=EventLoop(memory_limit=100_000))
    # Each may hold one read of 4 KiB in any case.
    assert log.received <= 100_000 + 10 * LEAST
    assert log.told == ["TcpEof"] * 10


def test_socket_whose_reading_is_disabled_does_not_count_against_the_others(peers, spawn, log):
    """It has received all that one may hold, and the app never takes it."""

    def hoard(ours, raw):
        raw.setblocking(False)
        raw.send(bytes(100_000))
        wait_until(lambda: ours.bytes_read == 16_384)
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
        wait_until(lambda: ours.bytes_read == 16_384)
        ours.close(force=True)
        peers.link(lambda _ours, other: spawn(send_all, other, bytes(500_000)), log.read, log.event)

    run(lambda: peers.link(hoard), loop=EventLoop(memory_limit=16_384))
    assert log.order() == [bytes(500_000), "TcpEof"]


def hoard(peers, spawn, streams, *, count=4, size=400_000):
    """Connections whose streams nobody reads; each peer sends ``size`` bytes."""

    def use(ours, raw):
        spawn(send_what_is_taken, raw, bytes(size))
        streams.append(ours.stream)

    return [peers.link(use, ignore, ignore, stream=True) for _ in range(count)]


def send_what_is_taken(raw, data):
    # The connection is closed by force before all was sent.
    with contextlib.suppress(OSError):
        raw.sendall(data)


def held(streams):
    return sum(stream.buffered for stream in streams)


def test_what_streams_hold_counts_against_the_memory_limit(peers, spawn):
    streams, seen = [], []

    def look():
        seen.append(held(streams))
        exit_event_loop()

    def start():
        hoard(peers, spawn, streams)
        when(lambda: len(streams) == 4 and held(streams) >= 100_000, lambda: after_quiet(look))

    run(start, loop=EventLoop(memory_limit=100_000, read_limit=20_000))
    assert seen[0] < 100_000 + 4 * 20_000


@pytest.mark.parametrize("stream", [False, True])
def test_other_connections_go_on_while_streams_hold_all_of_the_memory_limit(peers, spawn, log, stream):
    streams, got = [], []

    def read(_ours, data):
        got.append(data.read() if stream else data)

    def other():
        peers.link(lambda _ours, raw: spawn(send_all, raw, bytes(300_000)), read, end, stream=stream)

    def end(condition):
        log.event(condition)
        exit_event_loop()

    def start():
        hoard(peers, spawn, streams)
        when(lambda: len(streams) == 4 and held(streams) >= 50_000, lambda: after_quiet(other))

    run(start, loop=EventLoop(memory_limit=50_000, read_limit=20_000))
    assert (b"".join(filter(None, got)), log.told) == (bytes(300_000), ["TcpEof"])


def test_stream_that_is_read_makes_room_for_one_that_waits(peers, spawn):
    streams = []
    total = [0]

    def take():
        total[0] += sum(len(stream.read() or b"") for stream in streams)
        return total[0] == 4 * 400_000

    def start():
        hoard(peers, spawn, streams)
        when(take, exit_event_loop)

    run(start, loop=EventLoop(memory_limit=50_000, read_limit=20_000))
    assert total[0] == 4 * 400_000


@pytest.mark.parametrize("end", ["closed", "dropped"])
def test_stream_that_is_let_go_gives_its_share_of_the_memory_limit_back(peers, spawn, log, end):
    streams, hoarders = [], []

    def let_go():
        if end == "closed":
            for stream in streams:
                stream.close()
        else:
            for hoarder in hoarders:
                hoarder.socket.close(force=True)
            streams.clear()
            hoarders.clear()
        peers.link(lambda _ours, raw: spawn(send_all, raw, bytes(300_000)), read, log.event)

    def read(ours, data):
        log.read(ours, data)
        most.append(len(data))

    def start():
        hoarders.extend(hoard(peers, spawn, streams))
        when(lambda: len(streams) == 4 and held(streams) >= 50_000, let_go)

    most = []
    run(start, loop=EventLoop(memory_limit=50_000, read_limit=20_000))
    assert log.order() == [bytes(300_000), "TcpEof"]
    # At the limit no read is longer than 4 KiB.
    assert max(most) > LEAST


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
