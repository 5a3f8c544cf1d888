"""Nothing waits for another socket's callback, and clocks ask the kernel before they are told."""

from __future__ import annotations

import socket
import statistics
import threading
import time

import pytest

import asynctcp
from asynctcp import TcpEof, TcpTimeout, delay, exit_event_loop, tcp_connect, tcp_server
from helpers import DEADLINE, LOOPBACK, ignore, reset, run, wait_until, when

pytestmark = pytest.mark.slow

#: Seconds that a callback keeps Python busy.
BUSY = 0.6
#: Where 10 ms are promised; the machine that tests may have others to serve.
SOON = 0.2
#: And may have so many at times that one try says nothing. What waits for a callback does so in each.
TRIES = 3


def is_soon(wait, *arguments, **keywords):
    """Whether `wait`, which returns seconds, was short in one of some tries."""
    return any(wait(*arguments, **keywords) < SOON for _ in range(TRIES))


def compute(seconds):
    """Keep Python busy, with no pause in which the interpreter's lock is free for long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


class Arrivals:
    """When something first came on each of several raw sockets, by a thread of its own."""

    def __init__(self, spawn):
        self.at = {}
        self._spawn = spawn

    def watch(self, name, raw, *, size=1):
        self._spawn(self._read, name, raw, size)

    def _read(self, name, raw, size):
        got = 0
        while got < size:
            data = raw.recv(1 << 20)
            if not data:
                break
            got += len(data)
        self.at[name] = time.monotonic()


@pytest.fixture
def arrivals(spawn):
    return Arrivals(spawn)


def pair_of_clients(peers, server):
    return peers.connect(server), peers.connect(server)


def received(sockets):
    """How many bytes the helper thread has received while Python is held up."""
    return sum(one.bytes_read for one in sockets)


def busy_beside(peers, arrivals, act, *, size=1, io_threads=0):
    """Return the seconds that a peer waits where its socket acts and the next in the batch computes."""
    begun, sockets = [], []
    arrivals.at.clear()

    def read(ours, data):
        if data == b"act":
            act(ours)
        else:
            begun.append(time.monotonic())
            compute(BUSY)
            exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, read, ignore, connect_cb=sockets.append)
        first, second = pair_of_clients(peers, server)
        arrivals.watch("first", first, size=size)

        def send():
            # While Python is held up here, both come into one batch.
            first.sendall(b"act")
            wait_until(lambda: received(sockets) == len(b"act"))
            second.sendall(b"compute")
            wait_until(lambda: received(sockets) == len(b"actcompute"))

        when(lambda: len(sockets) == 2, send)

    run(start, loop=asynctcp.EventLoop(io_threads=io_threads))
    wait_until(lambda: "first" in arrivals.at)
    return arrivals.at["first"] - begun[0]


@pytest.mark.parametrize("io_threads", [0, 1])
def test_reply_does_not_wait_for_another_sockets_callback(io_threads, peers, arrivals):
    assert is_soon(busy_beside, peers, arrivals, lambda ours: ours.write(b"x"), io_threads=io_threads)


def test_large_reply_does_not_wait_for_another_sockets_callback(peers, arrivals):
    much = 3 << 20
    assert is_soon(busy_beside, peers, arrivals, lambda ours: ours.write(bytes(much)), size=much)


def test_end_does_not_wait_for_another_sockets_callback(peers, arrivals):
    assert is_soon(busy_beside, peers, arrivals, lambda ours: ours.close())


def test_last_words_before_a_close_do_not_wait_for_another_sockets_callback(peers, arrivals):
    assert is_soon(busy_beside, peers, arrivals, lambda ours: (ours.write(b"x"), ours.close()), size=2)


def test_reset_does_not_wait_for_another_sockets_callback(peers, spawn):
    """A close by force is as urgent as a reply."""
    assert is_soon(reset_beside, peers, spawn)


def reset_beside(peers, spawn):
    seen = []

    def read_until_reset(raw):
        try:
            raw.recv(10)
        except ConnectionResetError:
            seen.append(time.monotonic())

    def connect(ours):
        spawn(read_until_reset, peers.accept(ours))
        delay(lambda: ours.close(force=True))
        delay(lambda: (seen.append(time.monotonic()), compute(BUSY)))

    run(lambda: tcp_connect(*peers.address, None, connect_cb=connect))
    wait_until(lambda: len(seen) == 2)
    return max(seen) - min(seen)


def test_what_another_thread_writes_does_not_wait_for_a_callback(peers, arrivals, spawn):
    assert is_soon(thread_beside, peers, arrivals, spawn)


def thread_beside(peers, arrivals, spawn):
    written, busy = [], threading.Event()
    arrivals.at.clear()

    def write(ours):
        busy.wait(DEADLINE)
        written.append(time.monotonic())
        ours.write(b"x")

    def use(ours, raw):
        arrivals.watch("peer", raw)
        spawn(write, ours)
        delay(compute_now, 0.05)

    def compute_now():
        busy.set()
        # A callback that waits, as for a database: the other thread has the interpreter.
        time.sleep(BUSY)
        exit_event_loop()

    run(lambda: peers.link(use))
    wait_until(lambda: "peer" in arrivals.at)
    return arrivals.at["peer"] - written[0]


def test_reply_is_sent_within_6_ms_in_the_median(peers, spawn):
    """Of many replies beside callbacks of 30 ms each."""
    late, sockets, asked = [], [], []

    def answer(ours, data):
        if data == b"act":
            asked.append(time.monotonic())
            ours.write(b"x")
        else:
            time.sleep(0.03)

    def talk(first, second):
        for _ in range(20):
            first.sendall(b"act")
            second.sendall(b"compute")
            first.recv(1)
            late.append(time.monotonic() - asked[-1])
            time.sleep(0.04)  # until the other callback is over
        first.close()

    def start():
        server = tcp_server(LOOPBACK, 0, answer, lambda _c: exit_event_loop(), connect_cb=sockets.append)
        first, second = pair_of_clients(peers, server)
        when(lambda: len(sockets) == 2, lambda: spawn(talk, first, second))

    run(start)
    # Three times what is promised, for a machine that has others to serve.
    assert statistics.median(late) < 0.018


# --- clocks -----------------------------------------------------------------------------------------------


def held_up(peers, log, act, *, timeout=0.1, **keywords):
    """Hold Python up for longer than the read timeout, during which the peer acts."""

    def use(ours, raw):
        act(raw)
        time.sleep(3 * timeout)
        delay(lambda: ours.closed or ours.close(), timeout / 2)

    run(
        lambda: peers.link(
            lambda ours, raw: delay(lambda: use(ours, raw)),
            log.read,
            log.event,
            read_timeout=timeout,
            **keywords,
        )
    )


def test_data_that_is_there_goes_before_the_read_timeout(peers, log):
    held_up(peers, log, lambda raw: raw.sendall(b"x"))
    assert log.told == [b"x"]


def test_end_that_is_there_goes_before_the_read_timeout(peers, log):
    held_up(peers, log, lambda raw: raw.close())
    assert log.told == ["TcpEof"]


def test_reset_that_is_there_goes_before_the_read_timeout(peers, log):
    held_up(peers, log, reset)
    assert log.told == ["TcpReset"]


def test_read_timeout_of_a_silent_peer_is_told_although_python_was_held_up(peers, log):
    held_up(peers, log, ignore)
    assert log.told == ["TcpTimeout"]


@pytest.mark.parametrize("io_threads", [0, 1])
def test_data_that_came_in_time_is_no_timeout_with_any_number_of_threads(io_threads, peers, log):
    def use(ours, raw):
        def hold():
            raw.sendall(b"x")
            time.sleep(0.3)
            delay(ours.close, 0.02)

        delay(hold)

    run(
        lambda: peers.link(use, log.read, log.event, read_timeout=0.1),
        loop=asynctcp.EventLoop(io_threads=io_threads),
    )
    assert log.told == [b"x"]


def test_connection_that_is_there_goes_before_the_timeout_of_the_attempt(peers, log):
    def start():
        ours = tcp_connect(*peers.address, None, log.event, connect_cb=log.connect, read_timeout=0.1)
        time.sleep(0.3)  # the point: the attempt's time passes
        delay(lambda: ours.closed or ours.close(), 0.05)

    run(start)
    assert log.told == ["connect"]


def test_what_came_before_a_timer_was_due_is_delivered_before_it(peers, log):
    def use(ours, raw):
        def hold():
            delay(lambda: (log.told.append("timer"), ours.close()), 0.1)
            raw.sendall(b"x")
            time.sleep(0.3)

        delay(hold)

    run(lambda: peers.link(use, log.read, log.event))
    assert log.told == [b"x", "timer"]


def test_timer_that_was_due_first_runs_before_data_that_came_later(peers, log, spawn):
    def use(ours, raw):
        def send():
            time.sleep(0.2)  # the point: the timer is due before that
            raw.sendall(b"x")

        def hold():
            delay(lambda: log.told.append("timer"), 0.02)
            spawn(send)
            time.sleep(0.4)
            when(lambda: len(log.told) == 2, ours.close)

        delay(hold)

    run(lambda: peers.link(use, log.read, log.event))
    assert sorted(map(str, log.told)) == sorted(["b'x'", "timer"])


def test_read_timeout_starts_when_the_connect_cb_has_returned(peers, log):
    """A server that speaks first and takes long to say it does not cut its client."""
    ends = []

    def greet(ours):
        time.sleep(0.3)
        ours.write(b"hello")
        ends.append(time.monotonic())

    def end(condition):
        ends.append(time.monotonic())
        log.event(condition)
        server.close()

    def start():
        nonlocal server
        server = tcp_server(LOOPBACK, 0, log.read, end, connect_cb=greet, read_timeout=0.15)
        peers.connect(server)

    server = None
    run(start)
    assert log.told == ["TcpTimeout"]
    assert ends[1] - ends[0] >= 0.14


def test_read_timeout_of_a_socket_without_connect_cb_starts_when_python_was_told(peers, log):
    began = []

    def start():
        server = tcp_server(
            LOOPBACK, 0, log.read, lambda c: (log.event(c), server.close()), read_timeout=0.15
        )
        raw = peers.connect(server)
        time.sleep(0.3)  # the point: Python is told after the timeout has passed
        began.append(time.monotonic())
        delay(lambda: raw.sendall(b"x"), 0.05)

    run(start)
    assert log.told == [b"x", "TcpTimeout"]
    assert time.monotonic() - began[0] >= 0.19


def test_keepalive_of_a_suspended_process_does_not_cut_a_client_that_spoke_in_time():
    """SIGSTOP for longer than the timeout, while data is there already."""
    import os
    import signal
    import subprocess
    import sys

    program = """
import asynctcp
def read(ours, data):
    print("data", flush=True)
    ours.close()
    server.close()
def event(c):
    print(type(c).__name__, flush=True)
    server.close()
def start():
    global server
    server = asynctcp.tcp_server("127.0.0.1", 0, read, event, read_timeout=0.3,
                                 connect_cb=lambda s: print("connected", flush=True))
    print(server.address[1], flush=True)
asynctcp.start_event_loop(start)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        port = int(child.stdout.readline())
        with socket.create_connection((LOOPBACK, port), DEADLINE) as raw:
            assert child.stdout.readline() == "connected\n"
            os.kill(child.pid, signal.SIGSTOP)
            raw.sendall(b"x")
            time.sleep(0.6)  # the point: the timeout passes in the meantime
            os.kill(child.pid, signal.SIGCONT)
            assert child.stdout.readline() == "data\n"
        assert child.wait(DEADLINE) == 0


def test_timeout_condition_is_also_pythons():
    assert issubclass(TcpTimeout, TimeoutError)
    assert not issubclass(TcpEof, OSError)
