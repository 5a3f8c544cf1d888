"""Read, write and connect timeouts (docs/contract.md, section 2)."""

from __future__ import annotations

import errno
import math
import socket
import time

import pytest

import asynctcp
from asynctcp import delay, interval, tcp_connect
from helpers import LOOPBACK, MUCH, SOON, after_quiet, fail, ignore, receive_all, run, wait_until_queued, when

WIRES = ("tcp", "tls", "unix")

SHORT = 0.05
#: Timers are late on a busy machine, but not by this much.
LATE = SOON


class Clock:
    """When things happened, in seconds since the last `start`."""

    def __init__(self):
        self.begun = 0.0
        self.told = []

    def start(self, *_):
        self.begun = time.monotonic()

    def event(self, condition):
        self.told.append((type(condition).__name__, time.monotonic() - self.begun))

    def tells_timeout_after(self, seconds):
        (name, after), *more = self.told
        return (name, more) == ("TcpTimeout", []) and seconds <= after < seconds + LATE


@pytest.fixture
def clock():
    return Clock()


# --- read ---------------------------------------------------------------------------------------------------


def test_read_timeout_fires_when_nothing_was_received(peers, clock):
    run(lambda: peers.link(clock.start, fail, clock.event, read_timeout=SHORT))
    assert clock.tells_timeout_after(SHORT - 0.01)


def test_timeout_carries_its_code_and_closes_the_socket(peers, log):
    kept = []
    run(lambda: kept.append(peers.link(ignore, None, log.event, read_timeout=SHORT)))
    assert log.conditions[0].errcode == errno.ETIMEDOUT
    assert isinstance(log.conditions[0], TimeoutError)
    assert kept[0].closed


def test_received_bytes_put_the_read_timeout_off(peers, clock):
    def use(_ours, raw):
        beats = []

        def beat():
            raw.sendall(b"x")
            beats.append(clock.start())
            if len(beats) == 12:
                timer.cancel()

        timer = interval(beat, SHORT)

    run(lambda: peers.link(use, None, clock.event, read_timeout=8 * SHORT))
    assert clock.tells_timeout_after(8 * SHORT - 0.02)


def test_writing_does_not_put_the_read_timeout_off(peers, clock):
    def use(ours, _raw):
        clock.start()
        timer = interval(lambda: timer.cancel() if ours.closed else ours.write(b"x"), 0.01)

    run(lambda: peers.link(use, None, clock.event, read_timeout=2 * SHORT))
    assert clock.tells_timeout_after(2 * SHORT - 0.01)


def test_read_timeout_stands_still_while_reading_is_disabled_and_starts_afresh(peers, clock):
    def use(ours, _raw):
        ours.disable(read=True)
        delay(lambda: (clock.start(), ours.enable(read=True)), 4 * SHORT)

    run(lambda: peers.link(use, None, clock.event, read_timeout=SHORT))
    assert clock.tells_timeout_after(SHORT - 0.01)


def test_timeout_that_is_queued_when_reading_is_disabled_does_not_fire(peers):
    """Python is busy when the timeout comes; the callback that was running disables reading."""

    def compute(ours):
        wait_until_queued(1)
        ours.disable(read=True)
        after_quiet(ours.close)

    # The time begins when the connect_cb has returned.
    run(lambda: peers.link(lambda ours, _raw: delay(lambda: compute(ours)), fail, fail, read_timeout=SHORT))


def test_timeout_that_is_queued_when_it_is_cleared_does_not_fire(peers):
    def compute(ours):
        wait_until_queued(1)
        ours.set_timeouts(None, None)
        after_quiet(ours.close)

    run(lambda: peers.link(lambda ours, _raw: delay(lambda: compute(ours)), fail, fail, read_timeout=SHORT))


@pytest.mark.tcp_only
def test_read_timeout_does_not_fire_while_python_is_slow_to_take_what_came(peers, log):
    """With the reading limit reached asynctcp does not read, so the timeout stands still."""

    def compute(raw):
        raw.setblocking(False)
        try:
            while True:
                raw.send(bytes(1 << 20))
        except BlockingIOError:
            pass
        time.sleep(4 * SHORT)  # the point: Python takes nothing for longer than the timeout
        raw.close()

    def use(_ours, raw):
        delay(lambda: compute(raw))

    run(lambda: peers.link(use, log.read, log.event, read_timeout=2 * SHORT))
    assert log.told[-1] != "TcpTimeout"


@pytest.mark.tcp_only
def test_read_timeout_of_a_servers_connection_fires(peers, log):
    def start():
        server = asynctcp.tcp_server("127.0.0.1", 0, fail, log.event, read_timeout=SHORT)
        peers.connect(server)
        when(lambda: log.told, server.close)

    run(start)
    assert log.told == ["TcpTimeout"]


def test_no_read_timeout_after_a_half_open_eof(peers, log):
    def event(condition):
        log.event(condition)
        after_quiet(condition.socket.close, 3 * SHORT)

    def use(_ours, raw):
        raw.shutdown(socket.SHUT_WR)

    run(lambda: peers.link(use, None, event, read_timeout=SHORT, allow_half_open=True))
    assert log.told == ["TcpEof"]


# --- write --------------------------------------------------------------------------------------------------


def test_write_timeout_fires_when_the_peer_takes_nothing(peers, clock):
    def use(ours, _raw):
        clock.start()
        ours.write(bytes(MUCH), write_cb=fail)

    run(lambda: peers.link(use, None, clock.event, write_timeout=2 * SHORT))
    assert clock.tells_timeout_after(2 * SHORT - 0.01)


def test_write_timeout_does_not_fire_where_nothing_waits(peers):
    def use(ours, _raw):
        ours.write(b"x")
        after_quiet(ours.close, 4 * SHORT)

    run(lambda: peers.link(use, None, fail, write_timeout=SHORT))


@pytest.mark.tcp_only
@pytest.mark.slow
def test_write_timeout_does_not_fire_while_the_peer_reads_slowly(peers, spawn):
    def slow(raw):
        while raw.recv(1 << 20):
            time.sleep(0.06)

    def use(ours, raw):
        ours.write(bytes(2 * MUCH), write_cb=lambda s: s.close())
        spawn(slow, raw)

    run(lambda: peers.link(use, None, fail, write_timeout=0.7))


@pytest.mark.tcp_only
@pytest.mark.slow
def test_write_timeout_does_not_fire_while_a_full_kernel_hands_out_little(peers, spawn):
    """A kernel that holds megabytes tells of room when a third is free: seconds, at this reader's pace."""
    listener = peers.keep(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    listener.bind((LOOPBACK, 0))
    listener.listen()

    def slow(raw, ours):
        for _ in range(75):
            raw.recv(16 << 10)
            time.sleep(0.02)
        assert not ours.closed

    def use(ours):
        ours.write(bytes(2 * MUCH))
        reader = spawn(slow, peers.keep(listener.accept()[0]), ours)
        when(lambda: not reader.is_alive(), lambda: ours.close(force=True))

    run(lambda: tcp_connect(*listener.getsockname(), None, fail, connect_cb=use, write_timeout=0.8))


def test_write_timeout_stands_still_while_writing_is_disabled(peers):
    def use(ours, _raw):
        ours.disable(write=True)
        ours.write(b"waits")
        after_quiet(ours.close, 4 * SHORT)

    run(lambda: peers.link(use, None, fail, write_timeout=SHORT))


@pytest.mark.slow
def test_write_timeout_stands_still_if_writing_is_disabled_while_the_kernel_is_full(peers):
    def use(ours, _raw):
        ours.write(bytes(MUCH))
        delay(lambda: ours.disable(write=True), SHORT)
        delay(lambda: ours.close(force=True), 14 * SHORT)

    run(lambda: peers.link(use, None, fail, write_timeout=10 * SHORT))


def test_write_timeout_starts_afresh_when_writing_is_enabled(peers, clock):
    def use(ours, _raw):
        ours.disable(write=True)
        ours.write(bytes(MUCH))
        delay(lambda: (clock.start(), ours.enable(write=True)), 4 * SHORT)

    run(lambda: peers.link(use, None, clock.event, write_timeout=2 * SHORT))
    assert clock.tells_timeout_after(2 * SHORT - 0.01)


@pytest.mark.slow
def test_read_timeout_does_not_fire_for_want_of_writing(peers, log):
    def use(ours, raw):
        ours.write(bytes(MUCH))
        timer = interval(lambda: timer.cancel() if ours.closed else raw.send(b"x"), 0.01)
        after_quiet(lambda: ours.close(force=True), 1.2)

    run(lambda: peers.link(use, None, log.event, read_timeout=0.8))
    assert log.told == []


# --- setting ------------------------------------------------------------------------------------------------

NONE = [None, 0, -1, -0.5, math.inf, 10**400]


@pytest.mark.parametrize("value", NONE, ids=str)
def test_value_that_means_none_clears_both_timeouts(value, peers):
    def use(ours, _raw):
        ours.write(bytes(MUCH))
        ours.set_timeouts(value, value)
        after_quiet(lambda: ours.close(force=True), 3 * SHORT)

    run(lambda: peers.link(use, None, fail, read_timeout=SHORT, write_timeout=SHORT))


@pytest.mark.parametrize("value", NONE, ids=str)
def test_value_that_means_none_at_connect_is_no_timeout(value, peers):
    def use(ours, _raw):
        after_quiet(ours.close, SHORT)

    run(lambda: peers.link(use, None, fail, read_timeout=value, write_timeout=value))


@pytest.mark.parametrize("value", [1e308, 2**63, 1e18])
def test_very_long_timeout_waits(value, peers):
    run(
        lambda: peers.link(
            lambda ours, _: after_quiet(ours.close), None, fail, read_timeout=value, write_timeout=value
        )
    )


def test_timeouts_can_be_set_later(peers, clock):
    def use(ours, _raw):
        clock.start()
        ours.set_timeouts(SHORT, None)

    run(lambda: peers.link(use, None, clock.event))
    assert clock.tells_timeout_after(SHORT - 0.01)


def test_setting_a_longer_timeout_puts_the_end_off(peers, clock):
    def use(ours, _raw):
        clock.start()
        ours.set_timeouts(4 * SHORT, None)

    run(lambda: peers.link(use, None, clock.event, read_timeout=SHORT))
    assert clock.tells_timeout_after(4 * SHORT - 0.01)


def test_setting_a_shorter_timeout_brings_the_end_nearer(peers, clock):
    def use(ours, _raw):
        clock.start()
        ours.set_timeouts(SHORT, None)

    run(lambda: peers.link(use, None, clock.event, read_timeout=30))
    assert clock.tells_timeout_after(SHORT - 0.01)


def test_setting_replaces_both_timeouts(peers):
    def use(ours, _raw):
        ours.write(bytes(MUCH))
        ours.set_timeouts(30, None)
        after_quiet(lambda: ours.close(force=True), 3 * SHORT)

    run(lambda: peers.link(use, None, fail, write_timeout=SHORT))


def test_timeouts_can_be_set_and_cleared_a_thousand_times(peers, clock):
    def use(ours, _raw):
        for _ in range(1000):
            ours.set_timeouts(SHORT, SHORT)
            ours.set_timeouts(None, None)
        clock.start()
        ours.set_timeouts(SHORT, None)

    run(lambda: peers.link(use, None, clock.event))
    assert clock.tells_timeout_after(SHORT - 0.01)


# --- connecting ---------------------------------------------------------------------------------------------


@pytest.mark.tcp_only
@pytest.mark.parametrize("which", ["read_timeout", "write_timeout"])
def test_either_timeout_bounds_the_attempt(which, peers, clock):
    def start():
        clock.start()
        tcp_connect(*peers.black_hole(), fail, clock.event, connect_cb=fail, **{which: 2 * SHORT})

    run(start)
    assert clock.tells_timeout_after(2 * SHORT - 0.01)


@pytest.mark.tcp_only
def test_shorter_timeout_bounds_the_attempt(peers, clock):
    def start():
        clock.start()
        tcp_connect(*peers.black_hole(), fail, clock.event, read_timeout=30, write_timeout=2 * SHORT)

    run(start)
    assert clock.tells_timeout_after(2 * SHORT - 0.01)


@pytest.mark.tcp_only
def test_timeout_set_while_connecting_bounds_the_attempt(peers, clock):
    def start():
        ours = tcp_connect(*peers.black_hole(), fail, clock.event, connect_cb=fail)
        delay(lambda: (clock.start(), ours.set_timeouts(2 * SHORT, None)), 0.02)

    run(start)
    assert clock.tells_timeout_after(2 * SHORT - 0.03)


@pytest.mark.tcp_only
@pytest.mark.slow
def test_timeout_cleared_while_connecting_no_longer_bounds_the_attempt(peers):
    def start():
        ours = tcp_connect(*peers.black_hole(), fail, fail, connect_cb=fail, read_timeout=10 * SHORT)
        delay(lambda: ours.set_timeouts(None, None), 0.02)
        delay(ours.close, 14 * SHORT)

    run(start)


def test_timeouts_start_with_the_connection_and_not_with_the_attempt(peers, clock):
    run(lambda: peers.link(clock.start, None, clock.event, read_timeout=2 * SHORT))
    assert clock.tells_timeout_after(2 * SHORT - 0.02)


@pytest.mark.tcp_only
def test_attempt_that_timed_out_sends_nothing_later(peers, log):
    run(lambda: tcp_connect(*peers.black_hole(), None, log.event, data=b"x", read_timeout=SHORT))
    assert log.told == ["TcpTimeout"]


def test_what_the_peer_read_before_a_timeout_is_what_was_sent(peers, log):
    def use(ours, raw):
        log.raw = raw
        ours.write(b"sent")

    run(lambda: peers.link(use, None, log.event, read_timeout=SHORT))
    try:
        received = receive_all(log.raw)
    except ConnectionResetError:
        received = b"sent"
    assert received == b"sent"


@pytest.mark.slow
@pytest.mark.parametrize(
    "begin",
    [
        lambda ours: (ours.disable(read=True), ours.enable(read=True)),
        lambda ours: ours.set_timeouts(0.6, None),
    ],
    ids=["enabled", "set"],
)
def test_read_timeout_starts_afresh_in_one_callback(begin, peers, log):
    times = []

    def use(ours, _raw):
        times.append(time.monotonic())
        asynctcp.delay(lambda: begin(ours), 0.2)

    def ended(condition):
        times.append(time.monotonic())
        log.event(condition)

    run(lambda: peers.link(use, None, ended, read_timeout=0.6))
    assert log.told == ["TcpTimeout"]
    assert times[1] - times[0] >= 0.79
