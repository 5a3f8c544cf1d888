"""``write_socket_data``, write callbacks, buffers and half close (docs/contract.md, section 2)."""

from __future__ import annotations

import array
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

import asynctcp
from asynctcp import delay, exit_event_loop, tcp_connect
from helpers import (
    DEADLINE,
    MUCH,
    after_quiet,
    data_segments_sent,
    fail,
    ignore,
    receive_all,
    receive_exactly,
    reset,
    run,
    wait_until,
    when,
)

#: What each test runs over, unless it is about TCP itself.
WIRES = ("tcp", "tls", "unix")


def written(peers, *writes, **keywords):
    """What a peer receives after ``writes``, each a call with the socket, in one batch."""
    got = []

    def use(ours, raw):
        # A Unix socket has room for few bytes where they come in many sends, until its peer reads.
        got.append(readers.submit(receive_all, raw))
        for write in writes:
            write(ours)
        ours.close()

    with ThreadPoolExecutor(1) as readers:
        run(lambda: peers.link(use, **keywords))
        return got[0].result(DEADLINE)


# --- data ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (b"bytes", b"bytes"),
        (bytearray(b"array"), b"array"),
        (memoryview(b"view"), b"view"),
        (memoryview(b"a view")[2:], b"view"),
        (array.array("H", [0x4142, 0x4344]), array.array("H", [0x4142, 0x4344]).tobytes()),
        (memoryview(bytes(range(6))).cast("B", (2, 3)), bytes(range(6))),
        ("text", b"text"),
        ("gr\u00fc\u00dfe \U0001f40d", "gr\u00fc\u00dfe \U0001f40d".encode()),
        ("", b""),
    ],
    ids=["bytes", "bytearray", "memoryview", "slice", "array", "two dimensions", "str", "utf-8", "empty str"],
)
def test_data_is_sent_as_its_bytes(data, sent, peers):
    assert written(peers, lambda ours: ours.write(data)) == sent


def test_memoryview_that_is_not_contiguous_is_a_type_error(peers):
    def write(ours):
        with pytest.raises(TypeError, match="data"):
            ours.write(memoryview(b"abcdef")[::2])

    assert written(peers, write) == b""


@pytest.mark.parametrize(
    "make",
    [bytearray, lambda data: array.array("B", data), lambda data: memoryview(bytearray(data))],
    ids=["bytearray", "array", "memoryview"],
)
def test_mutable_buffer_is_sent_as_it_was_at_the_call(make, peers):
    buffer = make(b"before")

    def write(ours):
        ours.write(buffer)
        buffer[0] = ord("X")

    assert written(peers, write) == b"before"


@pytest.mark.tcp_only
def test_mutable_buffer_given_as_data_is_sent_as_it_was_at_the_call(peers):
    buffer = bytearray(b"before")

    def start():
        tcp_connect(*peers.address, None, data=buffer).close()
        buffer[:] = b"AFTER!"

    run(start)
    assert receive_all(peers.accept()) == b"before"


def test_bytearray_can_be_resized_after_the_call(peers):
    buffer = bytearray(b"before")
    assert written(peers, lambda ours: (ours.write(buffer), buffer.clear())) == b"before"


@pytest.mark.parametrize(
    ("bounds", "sent"),
    [
        ({"start": 2}, b"cdef"),
        ({"end": 2}, b"ab"),
        ({"start": 1, "end": 3}, b"bc"),
        ({"start": 6}, b""),
        ({"start": 0, "end": 6}, b"abcdef"),
        ({"start": None, "end": None}, b"abcdef"),
        ({"start": 3, "end": 3}, b""),
    ],
    ids=str,
)
def test_start_and_end_cut_the_data(bounds, sent, peers):
    assert written(peers, lambda ours: ours.write(b"abcdef", **bounds)) == sent


def test_start_and_end_count_bytes_of_a_str(peers):
    assert written(peers, lambda ours: ours.write("\u00fcx", start=2)) == b"x"


def test_start_and_end_count_bytes_of_an_array(peers):
    assert written(peers, lambda ours: ours.write(array.array("H", [0x4141, 0x4242]), start=2)) == b"BB"


@pytest.mark.parametrize(
    "bounds", [{"start": 7}, {"end": 7}, {"start": -1}, {"end": -1}, {"start": 3, "end": 2}], ids=str
)
def test_bounds_outside_of_the_data_are_a_value_error_and_send_nothing(bounds, peers):
    def write(ours):
        with pytest.raises(ValueError, match=r"start|end"):
            ours.write(b"abcdef", **bounds)

    assert written(peers, write) == b""


def test_writes_arrive_in_order(peers):
    sent = [b"%06d" % number for number in range(5000)]
    assert written(peers, *(lambda ours, data=data: ours.write(data) for data in sent)) == b"".join(sent)


def test_small_and_large_writes_keep_their_order(peers, spawn):
    pieces = [bytes([number]) * (1 if number % 2 else 300_000) for number in range(40)]
    got = []

    def use(ours, raw):
        spawn(lambda: got.append(receive_all(raw)))
        for piece in pieces:
            ours.write(piece)
        ours.close()

    run(lambda: peers.link(use))
    wait_until(lambda: got)
    assert got[0] == b"".join(pieces)


@pytest.mark.tcp_only
def test_several_writes_of_one_batch_are_one_send(peers):
    seen = []

    def use(ours, _raw):
        for _ in range(20):
            ours.write(b"x")
        when(lambda: all_sent(ours), lambda: (seen.append(data_segments_sent(ours.fileno())), ours.close()))

    run(lambda: peers.link(use))
    assert seen == [1]


def all_sent(ours):
    return ours.write_buffer_size == 0 and ours.bytes_written > 0


def test_write_is_sent_when_the_batch_ends_and_not_before(peers):
    seen = []

    def use(ours, _raw):
        ours.write(b"x")
        seen.append(ours.bytes_written)
        delay(lambda: (seen.append(ours.bytes_written), ours.close()), 0.01)

    run(lambda: peers.link(use))
    assert seen == [0, 1]


def test_write_is_sent_while_the_callbacks_of_a_long_batch_still_run(peers):
    seen = []

    def use(ours, raw):
        ours.write(b"early")
        for _ in range(300):
            delay(ignore)
        raw.setblocking(False)
        delay(lambda: (seen.append(ours.bytes_written), ours.close()))

    run(lambda: peers.link(use))
    assert seen == [5]


@pytest.mark.parametrize("idle", [0, 0.002, 0.02, 0.1])
def test_bytes_written_before_go_out_while_python_is_busy(idle, peers):
    """In the loop's thread: nothing but the helper thread can send what the kernel did not take at first."""
    drained = []

    def take(ours, raw):
        raw.settimeout(2)
        receive_exactly(raw, MUCH)
        drained.append("all")
        ours.close()

    def use(ours, raw):
        ours.write(bytes(MUCH))
        delay(lambda: take(ours, raw), idle)

    run(lambda: peers.link(use))
    assert drained == ["all"]


# --- closed and shut ----------------------------------------------------------------------------------------


@pytest.mark.tcp_only
def test_shutdown_write_sends_all_then_a_fin_and_reading_goes_on(peers, log):
    def use(ours, raw):
        log.raw = raw
        ours.write(b"all")
        ours.shutdown_write()
        when(lambda: ended(raw), lambda: (raw.sendall(b"answer"), raw.close()))

    def ended(raw):
        raw.setblocking(False)
        try:
            return raw.recv(10, socket.MSG_PEEK) == b"all" and raw.recv(10) == b"all" and raw.recv(10) == b""
        except BlockingIOError:
            return False

    run(lambda: peers.link(use, log.read, log.event))
    assert log.told == [b"answer", "TcpEof"]


def test_shutdown_write_sends_much_first(peers, spawn):
    got = []

    def use(ours, raw):
        spawn(lambda: (got.append(len(receive_all(raw))), raw.close()))
        ours.write(bytes(MUCH))
        ours.shutdown_write()

    run(lambda: peers.link(use))
    wait_until(lambda: got)
    assert got == [MUCH]


@pytest.mark.parametrize("data", [b"x", b""])
def test_write_after_shutdown_write_raises_broken_pipe_and_leaves_it_open(data, peers, log):
    def use(ours, raw):
        ours.shutdown_write()
        with pytest.raises(asynctcp.TcpBrokenPipe):
            ours.write(data)
        raw.sendall(b"still read")
        raw.close()

    run(lambda: peers.link(use, log.read, log.event))
    assert log.told == [b"still read", "TcpEof"]


def test_shutdown_write_twice_does_nothing_more(peers):
    assert written(peers, lambda ours: ours.write(b"x"), *[lambda ours: ours.shutdown_write()] * 2) == b"x"


@pytest.mark.tcp_only
def test_shutdown_write_while_connecting_sends_the_data_first(peers, log):
    def start():
        ours = tcp_connect(*peers.address, None, log.event, data=b"x", connect_cb=accepted)
        ours.shutdown_write()

    def accepted(_ours):
        log.raw = peers.accept()
        log.told.append(log.raw.recv(10) + log.raw.recv(10))
        log.raw.close()

    run(start)
    assert log.told == [b"x", "TcpEof"]


# --- limits -------------------------------------------------------------------------------------------------


def test_buffer_full_and_drained_are_told_once_each(peers, spawn, log):
    def use(ours, raw):
        ours.set_write_buffer_limits(100_000, 1000)
        ours.write(bytes(MUCH))
        when(lambda: log.told, lambda: spawn(receive_all, raw))

    def event(condition):
        log.event(condition)
        if isinstance(condition, asynctcp.TcpBufferDrained):
            log.left = condition.socket.write_buffer_size
            condition.socket.close()

    run(lambda: peers.link(use, None, event))
    assert (log.told, log.left <= 1000) == (["TcpBufferFull", "TcpBufferDrained"], True)


@pytest.mark.can_reset
def test_buffer_that_a_reset_drops_is_not_told_drained(peers, log):
    def use(ours, raw):
        ours.set_write_buffer_limits(100_000, 1000)
        ours.write(bytes(MUCH))
        when(lambda: log.told, lambda: reset(raw))

    run(lambda: peers.link(use, None, log.event))
    full, *ended = log.told
    assert (full, "TcpBufferDrained" in ended, len(ended)) == ("TcpBufferFull", False, 1)


def test_buffer_below_the_limit_tells_nothing(peers, log):
    def use(ours, _raw):
        ours.set_write_buffer_limits(100_000, 1000)
        ours.write(bytes(50_000), write_cb=lambda s: s.close())

    run(lambda: peers.link(use, None, log.event))
    assert log.told == []


def test_buffer_that_the_kernel_takes_whole_was_never_full(peers, log):
    def use(ours, _raw):
        ours.set_write_buffer_limits(10, 0)
        ours.write(bytes(1000), write_cb=lambda s: s.close())

    run(lambda: peers.link(use, None, log.event))
    assert log.told == []


def test_no_buffer_events_without_limits(peers, spawn, log):
    def use(ours, raw):
        ours.write(bytes(MUCH), write_cb=lambda s: s.close())
        delay(lambda: spawn(receive_all, raw), 0.01)

    run(lambda: peers.link(use, None, log.event))
    assert log.told == []


def test_second_write_fills_a_buffer_that_the_first_did_not(peers, log):
    def use(ours, _raw):
        ours.set_write_buffer_limits(2 * MUCH, 0)
        ours.write(bytes(MUCH))
        after_quiet(lambda: (log.told.append("second"), ours.write(bytes(3 * MUCH))))

    run(lambda: peers.link(use, None, lambda c: (log.event(c), c.socket.close(force=True))))
    assert log.told == ["second", "TcpBufferFull"]


def test_socket_closed_in_its_full_event_tells_nothing_more(peers, spawn, log):
    def event(condition):
        log.event(condition)
        condition.socket.close()
        spawn(receive_all, log.raw)

    def use(ours, raw):
        log.raw = raw
        ours.set_write_buffer_limits(1000, 100)
        ours.write(bytes(MUCH), write_cb=fail)

    run(lambda: peers.link(use, fail, event))
    assert log.told == ["TcpBufferFull"]


def test_buffer_events_without_an_event_cb_are_ignored(peers, spawn, caplog):
    def use(ours, raw):
        ours.set_write_buffer_limits(1000, 100)
        ours.write(bytes(MUCH), write_cb=lambda s: s.close())
        delay(lambda: spawn(receive_all, raw), 0.01)

    run(lambda: peers.link(use))
    assert caplog.records == []


def test_buffer_that_the_loops_own_flush_empties_is_told_drained(peers, log):
    def use(ours, _raw):
        ours.set_write_buffer_limits(10, 5)
        ours.disable(write=True)
        ours.write(bytes(100))
        when(lambda: log.told == ["TcpBufferFull"], lambda: ours.enable(write=True))

    def event(condition):
        log.event(condition)
        if isinstance(condition, asynctcp.TcpBufferDrained):
            exit_event_loop()

    run(lambda: peers.link(use, None, event))
    assert log.told == ["TcpBufferFull", "TcpBufferDrained"]


def test_buffer_events_come_by_turns_however_often_the_marks_are_crossed(peers, log):
    rounds = 10

    def fill(ours):
        ours.disable(write=True)
        ours.write(bytes(1000))

    def use(ours, _raw):
        ours.set_write_buffer_limits(100, 10)
        fill(ours)

    def event(condition):
        log.event(condition)
        if isinstance(condition, asynctcp.TcpBufferFull):
            condition.socket.enable(write=True)
        elif len(log.told) == 2 * rounds:
            condition.socket.close()
        else:
            fill(condition.socket)

    run(lambda: peers.link(use, None, event))
    assert log.told == ["TcpBufferFull", "TcpBufferDrained"] * rounds
