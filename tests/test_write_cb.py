"""``write_cb``: when it runs, how often, and what it comes before (docs/contract.md, section 2)."""

from __future__ import annotations

import pytest

import asynctcp
from asynctcp import delay, tcp_connect
from helpers import (
    LOOPBACK,
    MUCH,
    after_quiet,
    fail,
    ignore,
    receive_all,
    receive_exactly,
    run,
    wait_until,
)

#: What each test runs over, unless it is about TCP itself.
WIRES = ("tcp", "tls", "unix")


def test_write_cb_runs_once_for_several_writes_of_a_batch(peers, log):
    run(
        lambda: peers.link(
            lambda ours, _raw: ([ours.write(b"x") for _ in range(5)], close_later(ours)), write_cb=log.write
        )
    )
    assert log.told == ["write"]


def close_later(ours):
    after_quiet(lambda: ours.closed or ours.close())


def test_last_write_cb_of_a_batch_runs_and_it_alone(peers, log):
    def use(ours, _raw):
        ours.write(b"1", write_cb=fail)
        ours.write(b"2", write_cb=lambda socket: (log.write(socket), socket.close()))

    run(lambda: peers.link(use, write_cb=fail))
    assert log.told == ["write"]


def test_write_cb_given_to_a_write_stays_the_sockets(peers, log):
    def use(ours, _raw):
        ours.write(b"1", write_cb=log.write)
        delay(lambda: ours.write(b"2"), 0.01)
        close_later(ours)

    run(lambda: peers.link(use))
    assert log.told == ["write", "write"]


def test_read_cb_given_to_a_write_replaces_the_sockets(peers, log):
    def use(ours, raw):
        ours.write(b"1", read_cb=log.read)
        raw.sendall(b"x")
        raw.close()

    run(lambda: peers.link(use, fail))
    assert log.told == [b"x"]


def test_callbacks_of_a_write_that_is_refused_do_not_replace(peers, log):
    def use(ours, raw):
        with pytest.raises(ValueError, match="start"):
            ours.write(b"1", read_cb=fail, start=9)
        raw.sendall(b"x")
        raw.close()

    run(lambda: peers.link(use, log.read))
    assert log.told == [b"x"]


def test_write_of_no_bytes_runs_its_write_cb(peers, log):
    run(lambda: peers.link(lambda ours, _raw: ours.write(b"", write_cb=lambda s: (log.write(s), s.close()))))
    assert log.told == ["write"]


def test_write_of_no_bytes_while_much_waits_runs_its_write_cb_after_all(peers, spawn, log):
    def done(ours):
        log.told.append(ours.write_buffer_size)
        ours.close()

    def use(ours, raw):
        ours.write(bytes(MUCH))
        delay(lambda: ours.write(b"", write_cb=done), 0.01)
        delay(lambda: spawn(receive_all, raw), 0.02)

    run(lambda: peers.link(use))
    assert log.told == [0]


def test_write_cb_runs_when_the_kernel_has_all_that_was_written(peers, spawn, log):
    def use(ours, raw):
        ours.write(
            bytes(MUCH),
            write_cb=lambda s: (log.told.append((s.write_buffer_size, s.bytes_written)), s.close()),
        )
        after_quiet(lambda: (log.told.append("peer reads"), spawn(receive_all, raw)))

    run(lambda: peers.link(use))
    assert log.told == ["peer reads", (0, MUCH)]


def test_write_cb_is_not_called_inside_the_write(peers, log):
    def use(ours, _raw):
        ours.write(b"x", write_cb=lambda s: (log.write(s), s.close()))
        log.told.append("returned")

    run(lambda: peers.link(use))
    assert log.told == ["returned", "write"]


def test_write_in_a_write_cb_runs_it_again_and_not_inside(peers, log):
    def write_cb(ours):
        log.write(ours)
        if len(log.told) == 100:
            ours.close()
        else:
            ours.write(b"x")

    run(lambda: peers.link(lambda ours, _raw: ours.write(b"x"), write_cb=write_cb))
    assert len(log.told) == 100


def test_write_cb_comes_before_what_came_after_the_flush(peers, spawn, log):
    def use(ours, raw):
        ours.write(b"ping")
        # The answer is there only after the ping was flushed.
        spawn(lambda: (raw.recv(4), raw.sendall(b"pong"), raw.close()))

    run(lambda: peers.link(use, log.read, log.event, write_cb=log.write))
    assert log.told == ["write", b"pong", "TcpEof"]


@pytest.mark.parametrize("io_threads", [0, 2])
def test_write_cb_comes_before_the_eof_that_came_after_the_flush(io_threads, log):
    loop = asynctcp.EventLoop(io_threads=io_threads)
    run(lambda: [end_after_a_byte(log) for _ in range(20)], loop=loop)
    assert (log.told.count("write"), log.told.count("TcpEof")) == (20, 20)


def end_after_a_byte(log):
    """Connect to a server that closes as soon as it has one byte; the order of its events must hold."""
    order = []

    def event(condition):
        order.append("eof")
        assert order == ["write", "eof"]
        log.event(condition)

    def write(ours):
        order.append("write")
        log.write(ours)

    server = asynctcp.tcp_server(LOOPBACK, 0, lambda s, _: (s.close(), server.close()))
    tcp_connect(*server.address, None, event, data=b"x", write_cb=write)


def test_write_cb_of_a_socket_written_to_by_anothers_write_cb_waits_for_its_flush(peers, log):
    ours = []

    def first_done(_socket):
        ours[1].write(b"more", write_cb=lambda s: log.told.append(s.write_buffer_size))

    def both_there(socket, _raw):
        ours.append(socket)
        if len(ours) == 2:
            ours[0].write(b"x", write_cb=first_done)
            ours[1].write(b"y", write_cb=ignore)
            after_quiet(lambda: [one.close() for one in ours])

    run(lambda: [peers.link(both_there) for _ in range(2)])
    assert log.told == [0]


def test_write_cb_of_a_write_made_in_a_read_cb_waits_for_its_own_flush(peers, log):
    """An older flush and the data that makes the app write again are in one batch."""

    def read(ours, _data):
        ours.write(b"again", write_cb=lambda s: (log.told.append(s.write_buffer_size), s.close()))

    def use(ours, raw):
        ours.write(bytes(MUCH), write_cb=ignore)
        delay(lambda: block(ours, raw), 0.01)

    def block(ours, raw):
        # Python is away while the peer sends first and then takes all: the helper thread queues both.
        raw.sendall(b"x")
        wait_until(lambda: ours.bytes_read)
        receive_exactly(raw, MUCH)
        wait_until(lambda: ours.write_buffer_size == 0)

    run(lambda: peers.link(use, read))
    assert log.told == [0]


def test_ten_thousand_writes_a_turn_apart_have_a_callback_each(peers, spawn, log):
    def write_cb(ours):
        log.told.append(ours.bytes_written)
        if len(log.told) == 10_000:
            ours.close()
        else:
            ours.write(b"x")

    run(lambda: peers.link(lambda ours, raw: (spawn(receive_all, raw), ours.write(b"x")), write_cb=write_cb))
    assert log.told == list(range(1, 10_001))


def test_write_cb_runs_for_data_before_a_half_close(peers, log):
    def use(ours, raw):
        ours.write(b"x", write_cb=log.write)
        ours.shutdown_write()
        delay(lambda: (raw.recv(1), raw.close()), 0.02)

    run(lambda: peers.link(use, None, log.event))
    assert log.told == ["write", "TcpEof"]


@pytest.mark.parametrize("segments", [48, 49, 56, 64, 65])
def test_write_cb_runs_for_many_segments_before_a_half_close(segments, peers, spawn, log):
    """As many as a flush sends at most, and some more and less."""

    def use(ours, raw):
        spawn(lambda: (receive_all(raw), raw.close()))
        for _ in range(segments - 1):
            ours.write(bytes(16 * 1024))
        ours.write(bytes(16 * 1024), write_cb=log.write)
        ours.shutdown_write()

    run(lambda: peers.link(use, None, log.event))
    assert log.told == ["write", "TcpEof"]
