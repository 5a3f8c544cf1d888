"""What goes on while Python, or the whole process, is held up: sending, ending, clocks."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time

import pytest

import asynctcp
from asynctcp import exit_event_loop, tcp_server
from held_up import LOOPS, holds_until, time_to_see_that
from helpers import (
    DEADLINE,
    LOOPBACK,
    MUCH,
    data_segments_sent,
    fail,
    ignore,
    receive_exactly,
    reset,
    run,
    wait_until,
)

#: More than one of the library's own grace times, and far less than `DEADLINE`.
HELD_UP = 0.3


@pytest.fixture(params=LOOPS)
def loop(request):
    """A loop that its own thread drives, and one whose I/O has a thread of its own."""
    return asynctcp.EventLoop(io_threads=request.param)


# --- what was written ---------------------------------------------------------------------------------------


def test_reply_is_sent_while_a_later_callback_of_its_batch_computes(loop, peers, spawn):
    answered, told = threading.Event(), []

    def read(ours, data):
        told.append(data)
        if data == b"question":
            ours.write(b"answer")
        # Only once both were told: the I/O side may receive them in any order, and in batches of their own.
        if len(told) == 2:
            compute()

    def compute():
        holds_until(answered.is_set)
        exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, read)
        first, second = peers.connect(server), peers.connect(server)

        def ask():
            assert first.recv(100) == b"answer"
            answered.set()

        spawn(ask)
        first.sendall(b"question")
        second.sendall(b"compute")

    run(start, loop=loop)
    assert sorted(told) == [b"compute", b"question"]


def test_reply_is_on_its_way_within_ten_milliseconds_in_the_median(peers, spawn):
    """Measured from the write to the peer; a busy machine may be late at times, but not most times."""
    took, wrote, got = [], [0.0], threading.Event()

    def ask(raw):
        while raw.recv(100):
            took.append(time.monotonic() - wrote[0])
            got.set()

    def work(ours, rounds):
        got.clear()
        wrote[0] = time.monotonic()
        ours.write(b"answer")
        asynctcp.delay(lambda: compute(ours, rounds))

    def compute(ours, rounds):
        wrote[0] = time.monotonic()
        ours.write(b"answer")
        holds_until(got.is_set)
        if rounds:
            asynctcp.delay(lambda: work(ours, rounds - 1))
        else:
            exit_event_loop()

    run(lambda: peers.link(lambda ours, raw: (spawn(ask, raw), work(ours, 20))))
    assert sorted(took)[len(took) // 2] < 0.01


def test_write_of_another_thread_is_sent_while_a_callback_computes(loop, peers, spawn):
    def use(ours, raw):
        answered = threading.Event()

        def other():
            ours.write(b"from a thread")
            assert raw.recv(100) == b"from a thread"
            answered.set()

        def compute():
            spawn(other)
            holds_until(answered.is_set)
            exit_event_loop()

        asynctcp.delay(compute)

    run(lambda: peers.link(use), loop=loop)


def test_close_is_seen_by_the_peer_while_a_later_callback_computes(loop, peers, spawn):
    def use(ours, raw):
        ended = threading.Event()

        def watch():
            assert raw.recv(100) == b"bye"
            assert raw.recv(100) == b""
            ended.set()

        def part():
            ours.write(b"bye")
            ours.close()
            holds_until(ended.is_set)
            exit_event_loop()

        spawn(watch)
        asynctcp.delay(part)

    run(lambda: peers.link(use), loop=loop)


def test_what_the_kernel_does_not_take_at_once_goes_on_while_a_callback_computes(loop, peers, spawn):
    def use(ours, raw):
        arrived = threading.Event()

        def take():
            receive_exactly(raw, MUCH)
            arrived.set()

        def send():
            ours.write(bytes(MUCH))
            spawn(take)
            holds_until(arrived.is_set)
            exit_event_loop()

        asynctcp.delay(send)

    run(lambda: peers.link(use), loop=loop)


def test_write_cb_runs_for_what_was_sent_while_python_computed(loop, peers, spawn):
    told = []

    def use(ours, raw):
        answered = threading.Event()

        def take():
            assert raw.recv(100) == b"x"
            answered.set()

        def send():
            ours.write(b"x", write_cb=lambda _ours: (told.append("written"), exit_event_loop()))
            spawn(take)
            holds_until(answered.is_set)
            assert told == []

        asynctcp.delay(send)

    run(lambda: peers.link(use), loop=loop)
    assert told == ["written"]


def test_several_writes_of_a_short_callback_are_one_segment(peers):
    """The helper sends what is left, but no callback's writes one by one."""
    rounds, segments = 9, []

    def use(ours, raw):
        def send():
            before = data_segments_sent(ours.fileno())
            for _ in range(10):
                ours.write(b"x")
            asynctcp.delay(lambda: look(before))

        def look(before):
            assert receive_exactly(raw, 10) == b"x" * 10
            segments.append(data_segments_sent(ours.fileno()) - before)
            asynctcp.delay(send if len(segments) < rounds else exit_event_loop)

        asynctcp.delay(send)

    run(lambda: peers.link(use))
    # On a busy machine a callback may be kept from the processor, and then it is no short one.
    assert sorted(segments)[rounds // 2] == 1


def test_helper_is_recalled_once_python_is_back_although_events_wait(peers):
    """Else the two would share a processor for as long as a server is busy."""
    left_to_the_loop = []

    def unread(ours):
        return int.from_bytes(fcntl.ioctl(ours.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)

    def use(ours, raw):
        ours.data = raw
        asynctcp.delay(lambda: hold_up(ours))

    def hold_up(ours):
        ours.data.sendall(b"first")
        holds_until(lambda: unread(ours) == 0)  # the helper has received it

    def read(ours, data):
        if data == b"first":
            ours.data.sendall(b"second")
            wait_until(time_to_see_that(0.001))  # the helper is due again after five times that only
            left_to_the_loop.append(unread(ours) == len(b"second"))
        elif any(left_to_the_loop) or len(left_to_the_loop) == 20:
            exit_event_loop()
        else:
            asynctcp.delay(lambda: hold_up(ours))

    run(lambda: peers.link(use, read))
    # On a busy machine the helper may be due again before a callback was looked at, but not each time.
    assert any(left_to_the_loop)


# --- clocks -------------------------------------------------------------------------------------------------


def test_read_timeout_is_not_told_for_data_that_came_while_python_was_held_up(loop, peers):
    told = []

    def use(ours, raw):
        ours.set_timeouts(HELD_UP / 2, None)

        def compute():
            raw.sendall(b"in time")
            time.sleep(HELD_UP)  # the point: Python is held up for longer than the timeout

        asynctcp.delay(compute)

    def read(_ours, data):
        told.append(data)
        exit_event_loop()

    run(lambda: peers.link(use, read, lambda condition: told.append(type(condition))), loop=loop)
    assert told == [b"in time"]


def test_read_timeout_of_an_accepted_socket_starts_when_its_connect_cb_has_returned(loop, peers, spawn, log):
    def start():
        def welcome(ours):
            ours.write(b"220 hello")

        def read(ours, data):
            log.read(ours, data)
            exit_event_loop()

        server = tcp_server(LOOPBACK, 0, read, log.event, connect_cb=welcome, read_timeout=HELD_UP / 2)

        def client():
            raw = peers.connect(server)
            assert raw.recv(100) == b"220 hello"
            raw.sendall(b"EHLO")

        def compute():
            spawn(client)
            time.sleep(HELD_UP)  # the point: the timeout passes before Python knows of the client

        asynctcp.delay(compute)

    run(start, loop=loop)
    assert log.told == [b"EHLO"]


def test_read_timeout_is_told_once_nothing_comes_any_more(loop, peers):
    told = []

    def use(ours, raw):
        ours.set_timeouts(0.05, None)
        asynctcp.delay(lambda: raw.sendall(b"x"), 0.02)

    def event(condition):
        told.append(type(condition))
        exit_event_loop()

    run(lambda: peers.link(use, ignore, event), loop=loop)
    assert told == [asynctcp.TcpTimeout]


def test_timer_that_was_due_in_a_stall_runs_after_the_data_that_came_before(loop, peers):
    told = []

    def use(ours, raw):
        ours.data = asynctcp.delay(lambda: told.append("deadline"), HELD_UP / 2)

        def compute():
            raw.sendall(b"in time")
            time.sleep(HELD_UP)  # the point: the deadline passes

        asynctcp.delay(compute)

    def read(ours, data):
        told.append(data)
        ours.data.cancel()
        asynctcp.delay(exit_event_loop)

    run(lambda: peers.link(use, read), loop=loop)
    assert told == [b"in time"]


def test_timer_that_was_due_in_a_stall_runs_after_the_data_of_a_new_connection(peers):
    told = []

    def start():
        timer = asynctcp.delay(lambda: told.append("deadline"), HELD_UP / 2)

        def read(_ours, data):
            told.append(data)
            timer.cancel()
            exit_event_loop()

        server = tcp_server(LOOPBACK, 0, read)

        def compute():
            peers.connect(server).sendall(b"in time")
            time.sleep(HELD_UP)  # the point: the deadline passes

        asynctcp.delay(compute)

    run(start)
    assert told == [b"in time"]


@pytest.mark.parametrize("io_threads", [0, 1])
def test_timer_that_was_due_in_a_stall_runs_after_connections_for_which_accepting_had_paused(
    io_threads, peers
):
    """The first comes when Python has been held up for long, the second when the first is not served yet."""
    told = []

    def start():
        server = tcp_server(LOOPBACK, 0, lambda _ours, data: told.append(data))

        def compute():
            asynctcp.delay(lambda: (told.append("deadline"), exit_event_loop()), 0.2)
            for _ in range(2):
                time.sleep(0.05)  # the point: accepting pauses
                peers.connect(server).sendall(b"in time")
            time.sleep(0.2)  # the point: the timer is due

        asynctcp.delay(compute)

    run(start, loop=asynctcp.EventLoop(io_threads=io_threads))
    assert told == [b"in time", b"in time", "deadline"]


STOPPED = """
import sys
import asynctcp

def read(ours, data):
    print("data", data, flush=True)
    asynctcp.exit_event_loop()

def event(condition):
    print(type(condition).__name__, flush=True)
    asynctcp.exit_event_loop()

loop = asynctcp.EventLoop(io_threads=int(sys.argv[2]))
loop.run(lambda: asynctcp.tcp_connect(
    "127.0.0.1", int(sys.argv[1]), read, event, read_timeout=0.5,
    connect_cb=lambda ours: print("connected", flush=True),
))
"""


@pytest.mark.slow
@pytest.mark.parametrize("io_threads", LOOPS)
def test_read_timeout_is_not_told_for_data_that_came_while_the_process_was_stopped(io_threads, peers):
    port = str(peers.address[1])
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED, port, str(io_threads)], stdout=subprocess.PIPE, text=True
    ) as child:
        raw = peers.accept()
        assert child.stdout.readline() == "connected\n"
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        raw.sendall(b"in time")
        time.sleep(0.7)  # the point: the timeout passes in the meantime
        os.kill(child.pid, signal.SIGCONT)
        assert child.stdout.readline() == "data b'in time'\n"
        assert child.wait(DEADLINE) == 0


TOGETHER = """
import sys
import asynctcp

def read(ours, data):
    print(data.decode(), flush=True)

def ignore(condition):
    pass

def tell(ours):
    print("connected", flush=True)

def start():
    for _ in range(5):
        asynctcp.tcp_connect("127.0.0.1", int(sys.argv[1]), read, ignore, connect_cb=tell)

asynctcp.EventLoop(io_threads=int(sys.argv[2])).run(start)
"""


@pytest.mark.parametrize("io_threads", LOOPS)
def test_sockets_that_became_readable_together_are_delivered_in_that_order(io_threads, peers):
    port, told = str(peers.address[1]), []
    with subprocess.Popen(
        [sys.executable, "-c", TOGETHER, port, str(io_threads)], stdout=subprocess.PIPE, text=True
    ) as child:
        raws = [peers.accept() for _ in range(5)]
        assert [child.stdout.readline() for _ in raws] == ["connected\n"] * 5
        for _ in range(3):
            os.kill(child.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
            for number, raw in enumerate(raws):
                raw.sendall(b"%d" % number)
            os.kill(child.pid, signal.SIGCONT)
            told.append([int(child.stdout.readline()) for _ in raws])
        for raw in raws:
            raw.close()
        assert child.wait(DEADLINE) == 0
    assert told == [[0, 1, 2, 3, 4]] * 3


# --- what is known of a connection --------------------------------------------------------------------------


def test_descriptor_of_a_socket_that_was_reset_is_there_until_python_was_told(peers):
    told = []

    def use(ours, raw):
        def compute():
            reset(raw)
            wait_until(time_to_see_that(0.1))
            told.append((ours.fileno() >= 0, ours.c is not None, ours.closed))

        asynctcp.delay(compute)

    def event(condition):
        told.append(type(condition))
        exit_event_loop()

    run(lambda: peers.link(use, fail, event))
    assert told == [(True, True, False), asynctcp.TcpReset]
