"""``disable_socket`` and ``enable_socket`` (contract, section 2): nothing is lost, and the order holds."""

from __future__ import annotations

import socket
import time

import pytest

import asynctcp
from asynctcp import delay
from helpers import (
    MUCH,
    after_quiet,
    all_acknowledged,
    fail,
    ignore,
    is_within,
    receive_all,
    reset,
    run,
    wait_until,
    wait_until_queued,
    when,
)

#: What each test runs over, unless it is about TCP itself.
WIRES = ("tcp", "tls", "unix")


def settled(raw, action):
    """Call ``action()`` when the loop's side has all that ``raw`` sent and has had the time to see it."""
    when(lambda: all_acknowledged(raw), lambda: after_quiet(action))


def send_one_by_one(ours, raw, count):
    """Send that many pieces while Python is busy, each when the helper thread has received the one before."""
    for number in range(count):
        raw.sendall(b"%d" % number)
        wait_until(lambda number=number: ours.bytes_read > number)


# --- reading ------------------------------------------------------------------------------------------------


@pytest.mark.tcp_only
def test_no_data_is_told_while_reading_is_disabled(peers):
    def use(ours, raw):
        ours.disable(read=True)
        raw.sendall(b"waits")
        settled(raw, ours.close)

    run(lambda: peers.link(use, fail, fail))


@pytest.mark.tcp_only
def test_data_that_came_while_disabled_is_told_after_enabling(peers, log):
    def use(ours, raw):
        ours.disable(read=True)
        raw.sendall(b"first ")
        settled(
            raw,
            lambda: (log.told.append("enable"), ours.enable(read=True), raw.sendall(b"second"), raw.close()),
        )

    run(lambda: peers.link(use, log.read, log.event))
    assert log.order() == ["enable", b"first second", "TcpEof"]


@pytest.mark.tcp_only
def test_data_is_not_told_inside_enable(peers, log):
    def use(ours, raw):
        ours.disable(read=True)
        raw.sendall(b"data")
        settled(raw, lambda: enable(ours))

    def enable(ours):
        ours.enable(read=True)
        log.told.append("returned")
        when(lambda: len(log.told) == 2, ours.close)

    run(lambda: peers.link(use, log.read))
    assert log.told == ["returned", b"data"]


def test_disable_in_a_read_cb_holds_what_was_queued_already(peers, log):
    """Several events of the socket are in one batch; the first callback disables reading."""

    def read(ours, data):
        log.read(ours, data)
        if len(log.told) == 1:
            ours.disable(read=True)
            after_quiet(lambda: (log.told.append("enable"), ours.enable(read=True)))

    def use(ours, raw):
        send_one_by_one(ours, raw, 5)
        raw.close()

    run(lambda: peers.link(use, read, log.event))
    assert log.told[1] == "enable"
    assert (log.joined(), log.told[-1]) == (b"01234", "TcpEof")


def test_megabytes_survive_disabling_in_every_read_cb(peers, spawn, log):
    data = bytes(range(256)) * 8192

    def read(ours, piece):
        log.read(ours, piece)
        ours.disable(read=True)
        delay(lambda: ours.closed or ours.enable(read=True))

    run(
        lambda: peers.link(
            lambda _ours, raw: spawn(lambda: (raw.sendall(data), raw.close())), read, log.event
        )
    )
    assert log.order() == [data, "TcpEof"]


def test_disable_and_enable_in_one_callback_keep_the_order(peers, log):
    def read(ours, piece):
        log.read(ours, piece)
        for _ in range(3):
            ours.disable(read=True)
            ours.enable(read=True)

    def use(ours, raw):
        send_one_by_one(ours, raw, 5)
        raw.close()

    run(lambda: peers.link(use, read, log.event))
    assert log.order() == [b"01234", "TcpEof"]


def test_disable_during_the_delivery_of_held_data_stops_it(peers, log):
    def use(ours, raw):
        send_one_by_one(ours, raw, 4)
        ours.disable(read=True)
        raw.close()
        after_quiet(lambda: ours.enable(read=True))

    def read(ours, piece):
        log.read(ours, piece)
        ours.disable(read=True)
        log.told.append("disabled")
        after_quiet(lambda: ours.enable(read=True), 0.005)

    run(lambda: peers.link(use, read, log.event))
    assert log.told[-1] == "TcpEof"
    assert log.joined() == b"0123"
    assert log.told[1:-1:2] == ["disabled"] * 4


def test_end_of_stream_waits_while_reading_is_disabled(peers, log):
    def use(ours, raw):
        ours.disable(read=True)
        raw.close()
        after_quiet(lambda: (log.told.append("enable"), ours.enable(read=True)))

    run(lambda: peers.link(use, fail, log.event))
    assert log.told == ["enable", "TcpEof"]


def test_end_of_stream_queued_before_disabling_waits(peers, log):
    def compute(ours, raw):
        raw.close()
        wait_until_queued(1)
        ours.disable(read=True)
        after_quiet(lambda: (log.told.append("enable"), ours.enable(read=True)))

    run(lambda: peers.link(lambda ours, raw: delay(lambda: compute(ours, raw)), fail, log.event))
    assert log.told == ["enable", "TcpEof"]


def test_end_of_stream_is_told_within_100_ms_of_enabling(peers):
    def use(ours, raw):
        ours.disable(read=True)
        raw.close()
        after_quiet(lambda: (times.append(time.monotonic()), ours.enable(read=True)))

    def told_after():
        times.clear()
        run(lambda: peers.link(use, fail, lambda _: times.append(time.monotonic())))
        return times[1] - times[0]

    times = []
    assert is_within(0.1, told_after)


@pytest.mark.tcp_only
def test_reset_is_told_at_once_if_no_data_waits(peers, log):
    def use(ours, raw):
        ours.disable(read=True)
        reset(raw)

    run(lambda: peers.link(use, fail, log.event))
    assert log.told == ["TcpReset"]


@pytest.mark.tcp_only
def test_reset_of_an_idle_disabled_connection_is_told(peers, log):
    def use(ours, raw):
        ours.disable(read=True)
        after_quiet(lambda: reset(raw))

    run(lambda: peers.link(use, fail, log.event))
    assert log.told == ["TcpReset"]


@pytest.mark.tcp_only
def test_reset_waits_behind_data_that_waits(peers, log):
    def use(ours, raw):
        ours.disable(read=True)
        raw.sendall(b"data")
        settled(raw, lambda: reset(raw))
        after_quiet(lambda: (log.told.append("enable"), ours.enable(read=True)), 0.2)

    run(lambda: peers.link(use, log.read, log.event))
    assert log.told == ["enable", b"data", "TcpReset"]


@pytest.mark.tcp_only
def test_reset_behind_data_of_a_hundred_kilobytes_loses_none_of_it(peers, log):
    def use(ours, raw):
        ours.disable(read=True)
        raw.sendall(bytes(100_000))
        settled(raw, lambda: reset(raw))
        after_quiet(lambda: ours.enable(read=True), 0.2)

    run(lambda: peers.link(use, log.read, log.event))
    assert log.order() == [bytes(100_000), "TcpReset"]


@pytest.mark.tcp_only
def test_reset_behind_data_held_by_python_waits(peers, log):
    """The data was received before reading was disabled, so it waits on Python's side."""

    def use(ours, raw):
        raw.sendall(b"data")
        wait_until(lambda: ours.bytes_read)  # by the helper thread
        ours.disable(read=True)
        after_quiet(lambda: reset(raw))
        after_quiet(lambda: (log.told.append("enable"), ours.enable(read=True)), 0.15)

    run(lambda: peers.link(use, log.read, log.event))
    assert log.told == ["enable", b"data", "TcpReset"]


@pytest.mark.tcp_only
def test_write_that_meets_a_reset_tells_it_though_data_waits(peers, log):
    def use(ours, raw):
        ours.disable(read=True)
        raw.sendall(b"never read")
        settled(raw, lambda: (reset(raw), after_quiet(lambda: ours.write(b"x"))))

    run(lambda: peers.link(use, fail, log.event))
    assert log.told in (["TcpReset"], ["TcpBrokenPipe"])


def test_write_that_meets_a_reset_tells_it_though_python_holds_data(peers, log):
    def use(ours, raw):
        raw.sendall(b"never read")
        wait_until(lambda: ours.bytes_read)
        ours.disable(read=True)
        after_quiet(lambda: (reset(raw), after_quiet(lambda: ours.closed or ours.write(b"x"))))

    run(lambda: peers.link(use, fail, log.event))
    assert log.told in (["TcpReset"], ["TcpBrokenPipe"])


def test_write_that_finds_a_reset_first_tells_it_though_python_holds_data(peers, log):
    def use(ours, raw):
        raw.sendall(b"never read")
        wait_until(lambda: ours.bytes_read)
        ours.disable(read=True)
        after_quiet(lambda: (reset(raw), ours.write(b"x")))

    run(lambda: peers.link(use, fail, log.event))
    assert log.told in (["TcpReset"], ["TcpBrokenPipe"])


@pytest.mark.tcp_only
def test_write_after_a_reset_that_is_on_the_way_to_python_tells_it_though_python_holds_data(peers, log):
    def use(ours, raw):
        raw.sendall(b"never read")
        wait_until(lambda: ours.bytes_read)
        ours.disable(read=True)
        after_quiet(lambda: (reset(raw), wait_until_queued(1), ours.write(b"x")))

    run(lambda: peers.link(use, fail, log.event))
    assert log.told == ["TcpReset"]


def test_peer_feels_backpressure_while_reading_is_disabled(peers, log):
    def use(ours, raw):
        ours.disable(read=True)
        raw.setblocking(False)
        log.sent = 0
        push(raw)
        after_quiet(lambda: (push(raw), log.told.append(log.sent), ours.close(force=True)))

    def push(raw):
        try:
            while log.sent < 8 * MUCH:
                log.sent += raw.send(bytes(1 << 20))
        except BlockingIOError:
            pass

    run(lambda: peers.link(use, fail))
    assert log.told[0] < 8 * MUCH


@pytest.mark.tcp_only
def test_disabled_before_the_connection_exists_reads_nothing(peers, log):
    def use(ours, raw):
        raw.sendall(b"x")
        settled(raw, lambda: (log.told.append("enable"), ours.enable(read=True), raw.close()))

    run(lambda: peers.link(use, log.read, log.event).disable(read=True))
    assert log.told == ["enable", b"x", "TcpEof"]


def test_disabled_in_connect_cb_of_a_server_reads_nothing(peers, log):
    def welcome(ours):
        ours.disable(read=True)
        after_quiet(lambda: (log.told.append("enable"), ours.enable(read=True)))

    def start():
        nonlocal server
        server = asynctcp.tcp_server("127.0.0.1", 0, log.read, log.event, connect_cb=welcome)
        raw = peers.connect(server)
        raw.sendall(b"early")
        raw.close()
        when(lambda: "TcpEof" in log.told, server.close)

    server = None
    run(start)
    assert log.told == ["enable", b"early", "TcpEof"]


def test_disabled_socket_keeps_the_loop_alive(peers, log):
    def use(ours, _raw):
        ours.disable(read=True, write=True)
        after_quiet(lambda: (log.told.append("still runs"), ours.close()))

    run(lambda: peers.link(use))
    assert log.told == ["still runs"]


@pytest.mark.parametrize("change", [asynctcp.enable_socket, asynctcp.disable_socket])
def test_neither_flag_changes_nothing(change, peers, log):
    def use(ours, raw):
        change(ours)
        change(ours, read=False, write=False)
        ours.write(b"x", write_cb=log.write)
        raw.recv(0)
        delay(lambda: (raw.recv(1), raw.sendall(b"y"), raw.close()), 0.01)

    run(lambda: peers.link(use, log.read, log.event))
    assert log.told == ["write", b"y", "TcpEof"]


def test_enabling_what_is_enabled_changes_nothing(peers, log):
    def use(ours, raw):
        ours.enable(read=True, write=True)
        raw.sendall(b"x")
        raw.close()

    run(lambda: peers.link(use, log.read, log.event))
    assert log.told == [b"x", "TcpEof"]


def test_socket_closed_while_data_is_held_tells_nothing(peers):
    def use(ours, raw):
        raw.sendall(b"x")
        wait_until(lambda: ours.bytes_read)
        ours.disable(read=True)
        after_quiet(lambda: (ours.enable(read=True), ours.close(), after_quiet(ignore)))

    run(lambda: peers.link(use, fail, fail))


# --- writing ------------------------------------------------------------------------------------------------


def test_nothing_is_sent_and_no_write_cb_runs_while_writing_is_disabled(peers, log):
    def use(ours, raw):
        ours.disable(write=True)
        ours.write(b"waits", write_cb=fail)
        raw.setblocking(False)
        after_quiet(lambda: look(ours, raw))

    def look(ours, raw):
        with pytest.raises(BlockingIOError):
            raw.recv(1)
        log.told.append((ours.write_buffer_size, ours.bytes_written))
        ours.close(force=True)

    run(lambda: peers.link(use))
    assert log.told == [(5, 0)]


def test_writes_kept_while_disabled_are_sent_in_order_after_enabling(peers, log):
    def use(ours, raw):
        log.raw = raw
        ours.disable(write=True)
        ours.write(b"1")
        after_quiet(lambda: (ours.write(b"2", write_cb=told), ours.enable(write=True), ours.write(b"3")))

    def told(ours):
        log.write(ours)
        ours.close()

    run(lambda: peers.link(use))
    assert (receive_all(log.raw), log.told) == (b"123", ["write"])


def test_flush_that_was_not_told_when_writing_was_disabled_is_told_after_enabling(peers, log):
    """Both are flushed in one turn, and told one after the other in the next."""

    def use(ours, _raw):
        linked.append(ours)
        if len(linked) == 2:
            first, second = linked
            first.write(b"1", write_cb=lambda _: second.disable(write=True))
            second.write(b"2", write_cb=told)
            after_quiet(lambda: (log.told.append("enabled"), second.enable(write=True)))

    def told(second):
        log.write(second)
        after_quiet(lambda: [ours.close() for ours in linked])

    linked = []
    run(lambda: [peers.link(use) for _ in range(2)])
    assert log.told == ["enabled", "write"]


def test_write_does_not_enable_writing(peers, log):
    def use(ours, _raw):
        ours.disable(write=True)
        for number in range(5):
            delay(lambda number=number: ours.write(b"%d" % number), number / 500)
        after_quiet(lambda: (log.told.append(ours.bytes_written), ours.close()))

    run(lambda: peers.link(use))
    assert log.told == [0]


def test_writing_disabled_in_the_middle_of_much_stops_it(peers, spawn, log):
    def use(ours, raw):
        log.raw = raw
        ours.write(bytes(MUCH))
        delay(lambda: (ours.disable(write=True), log.told.append(ours.bytes_written), spawn(take, raw)), 0.02)
        after_quiet(
            lambda: (log.told.append(ours.bytes_written), ours.enable(write=True), ours.close()), 0.15
        )

    def take(raw):
        log.got = len(receive_all(raw))

    run(lambda: peers.link(use))
    wait_until(lambda: hasattr(log, "got"))
    assert log.told[0] == log.told[1] < MUCH
    assert log.got == MUCH


def test_data_given_to_connect_waits_if_writing_is_disabled_before(peers, log):
    def use(ours, raw):
        raw.setblocking(False)
        after_quiet(lambda: (log.told.append(ours.bytes_written), ours.enable(write=True), ours.close()))
        log.raw = raw

    run(lambda: peers.link(use, data=b"data").disable(write=True))
    log.raw.setblocking(True)
    assert (log.told, receive_all(log.raw)) == ([0], b"data")


def test_reading_goes_on_while_writing_is_disabled(peers, log):
    def use(ours, raw):
        ours.disable(write=True)
        raw.sendall(b"x")
        raw.close()

    run(lambda: peers.link(use, log.read, log.event))
    assert log.told == [b"x", "TcpEof"]


def test_shutdown_while_writing_is_disabled_waits_too(peers, log):
    def use(ours, raw):
        ours.disable(write=True)
        ours.write(b"x")
        ours.shutdown_write()
        raw.setblocking(False)
        after_quiet(lambda: look(ours, raw))

    def look(ours, raw):
        with pytest.raises(BlockingIOError):
            raw.recv(1)
        raw.setblocking(True)
        ours.enable(write=True)
        after_quiet(lambda: (log.told.append(receive_all(raw)), ours.close()))

    run(lambda: peers.link(use))
    assert log.told == [b"x"]


def test_eof_with_writing_disabled_sends_what_was_written_before(peers, log):
    def use(ours, raw):
        log.raw = raw
        ours.disable(write=True)
        ours.write(b"answer")
        raw.shutdown(socket.SHUT_WR)

    run(lambda: peers.link(use, None, log.event))
    assert (log.told, receive_all(log.raw)) == (["TcpEof"], b"answer")
