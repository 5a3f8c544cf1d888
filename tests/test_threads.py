"""Calls from other threads, and loops in several of them (docs/contract.md, sections 1 and 2)."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import sys
import threading
import time

import pytest

import asynctcp
from asynctcp import delay, tcp_connect, tcp_server
from helpers import (
    LOOPBACK,
    after_quiet,
    fail,
    ignore,
    oops,
    receive_all,
    reset,
    run,
    wait_until,
    when,
)
from peers import Program

WIRES = ("tcp", "tls", "unix")

THREADS = 8


@pytest.fixture
def switching():
    """Let Python change threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_writes_of_eight_threads_to_one_socket_arrive_exactly(peers, spawn):
    """Each thread writes numbered lines; each thread's lines arrive whole and in order."""
    got, done = [], []

    def write_all(ours, name):
        for number in range(1000):
            ours.write(b"%d %d\n" % (name, number))
        done.append(name)

    def use(ours, raw):
        spawn(lambda: got.append(receive_all(raw)))
        for name in range(THREADS):
            spawn(write_all, ours, name)
        when(lambda: len(done) == THREADS, ours.close)

    run(lambda: peers.link(use))
    wait_until(lambda: got)
    lines = [tuple(map(int, line.split())) for line in got[0].splitlines()]
    assert [[n for name, n in lines if name == wanted] for wanted in range(THREADS)] == [
        list(range(1000))
    ] * THREADS


@pytest.mark.usefixtures("switching")
def test_writes_of_eight_threads_to_eight_sockets_arrive_exactly(peers, spawn):
    got, there, done = [], [], []

    def write_all(name):
        for number in range(2000):
            there[(name + number) % THREADS].write(bytes([name]) * 10)
        done.append(name)

    def use(ours, raw):
        there.append(ours)
        spawn(lambda: got.append(receive_all(raw)))
        if len(there) == THREADS:
            for name in range(THREADS):
                spawn(write_all, name)
            when(lambda: len(done) == THREADS, lambda: [one.close() for one in there])

    run(lambda: [peers.link(use) for _ in range(THREADS)])
    wait_until(lambda: len(got) == THREADS)
    assert sorted(b"".join(got)) == sorted(b"".join(bytes([name]) * 20_000 for name in range(THREADS)))


def write_single_bytes(sockets, over, seconds=1):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for ours in sockets:
            ours.write(b"x")
    over.append(True)


def take_all(raws):
    for raw in raws:
        with contextlib.suppress(BlockingIOError):
            while raw.recv(1 << 20):
                pass


@pytest.mark.slow
@pytest.mark.usefixtures("switching")
def test_nothing_stays_behind_where_a_thread_writes_single_bytes_to_fifty_sockets(peers, spawn):
    """Each write may fall between the pump's taking a socket off its list and its look at what is staged."""
    there, raws, over = [], [], []

    def use(ours, raw):
        raw.setblocking(False)
        there.append(ours)
        raws.append(raw)
        if len(there) == 50:
            spawn(write_single_bytes, there, over)
            asynctcp.interval(look, 0.01)

    def look():
        take_all(raws)
        if over and not any(ours.write_buffer_size for ours in there):
            asynctcp.exit_event_loop()

    run(lambda: [peers.link(use) for _ in range(50)])


def test_write_from_a_thread_wakes_an_idle_loop(peers, spawn, log):
    def use(ours, raw):
        log.raw = raw
        after_quiet(lambda: spawn(lambda: ours.write(b"from afar", write_cb=lambda s: s.close())))

    run(lambda: peers.link(use))
    assert receive_all(log.raw) == b"from afar"


def test_callbacks_of_a_write_from_a_thread_run_in_the_loops_thread(peers, spawn, log):
    def done(ours):
        log.told.append(threading.get_ident())
        ours.close()

    run(lambda: peers.link(lambda ours, _raw: spawn(lambda: ours.write(b"x", write_cb=done))))
    assert log.told == [threading.get_ident()]


@pytest.mark.parametrize("force", [False, True])
def test_close_from_a_thread_ends_the_loop(force, peers, spawn):
    run(lambda: peers.link(lambda ours, _raw: spawn(lambda: ours.close(force=force)), fail, fail))


def test_one_of_eight_threads_closes_and_the_others_are_told_that_it_is_closed(peers, spawn):
    told = []

    def close(ours):
        try:
            asynctcp.close_socket(ours)
            told.append("closed")
        except asynctcp.SocketClosed:
            told.append("was closed")

    run(lambda: peers.link(lambda ours, _raw: [spawn(close, ours) for _ in range(THREADS)]))
    wait_until(lambda: len(told) == THREADS)
    assert sorted(told) == ["closed"] + ["was closed"] * (THREADS - 1)


@pytest.mark.usefixtures("switching")
def test_no_callback_starts_after_a_threads_close_returned(spawn):
    """A firehose of callbacks; the thread's close draws the line."""
    late = []

    def read(ours, _data):
        if ours.data == "closed":
            late.append(ours)

    def close(ours):
        ours.close()
        ours.data = "closed"

    def start():
        server = tcp_server(LOOPBACK, 0, lambda s, data: s.write(data), ignore)
        clients = [tcp_connect(*server.address, read, ignore, data=b"x" * 1000) for _ in range(50)]
        for client in clients:
            client.write(b"x", read_cb=lambda s, d: (read(s, d), s.write(d)) if not s.closed else read(s, d))
        delay(lambda: [spawn(close, client) for client in clients], 0.02)
        when(lambda: all(client.closed for client in clients), server.close)

    run(start, catch_app_errors=True)
    assert late == []


def test_disable_and_enable_from_a_thread(peers, spawn, log):
    def use(ours, raw):
        spawn(change, ours, raw)

    def change(ours, raw):
        ours.disable(read=True, write=True)
        raw.sendall(b"x")
        ours.write(b"y")
        ours.enable(read=True, write=True)
        assert raw.recv(1) == b"y"
        raw.close()

    run(lambda: peers.link(use, log.read, log.event))
    assert log.told == [b"x", "TcpEof"]


def test_timeouts_set_from_a_thread_count(peers, spawn, log):
    run(lambda: peers.link(lambda ours, _raw: spawn(ours.set_timeouts, 0.05, None), None, log.event))
    assert log.told == ["TcpTimeout"]


@pytest.mark.usefixtures("switching")
def test_disabled_while_reads_are_delivered_nothing_is_lost(peers, spawn, log):
    """A thread toggles reading while data streams in."""
    data = bytes(range(256)) * 4096
    over = []

    def toggle(ours):
        try:
            while not over:
                ours.disable(read=True)
                ours.enable(read=True)
        except asynctcp.SocketClosed:
            pass

    def use(ours, raw):
        spawn(toggle, ours)
        spawn(lambda: (raw.sendall(data), raw.close()))

    try:
        run(lambda: peers.link(use, log.read, log.event))
    finally:
        over.append(True)
    assert log.order() == [data, "TcpEof"]


@pytest.mark.usefixtures("switching")
def test_questions_can_be_asked_from_threads_while_the_loop_works(spawn):
    over = []

    def ask(ours):
        while not over:
            repr(ours), ours.peername, ours.sockname, ours.closed, ours.write_buffer_size, ours.bytes_read

    def start():
        server = tcp_server(LOOPBACK, 0, lambda s, data: s.write(data), ignore)
        client = tcp_connect(*server.address, lambda s, data: s.write(data), ignore, data=bytes(1000))
        for _ in range(2):
            spawn(ask, client)
        delay(lambda: (over.append(True), client.close(), server.close()), 0.1)

    run(start)


def test_function_that_needs_a_loop_finds_none_in_another_thread(spawn):
    def start():
        spawn(other)
        delay(ignore, 0.01)

    def other():
        with pytest.raises(asynctcp.EventLoopError):
            tcp_connect(LOOPBACK, 9, None)
        with pytest.raises(asynctcp.EventLoopError):
            asynctcp.exit_event_loop()

    run(start)


def test_loop_of_a_thread_serves_the_loop_of_another(spawn, log):
    addresses = []

    def serve():
        def start():
            server = tcp_server(LOOPBACK, 0, lambda s, data: (s.write(data), s.close(), server.close()))
            addresses.append(server.address)

        run(start)

    spawn(serve)
    wait_until(lambda: addresses)
    run(lambda: tcp_connect(*addresses[0], log.read, log.event, data=b"hello"))
    assert log.told == [b"hello", "TcpEof"]


def test_socket_of_another_threads_loop_can_be_written_and_closed(peers, spawn):
    got, kept = [], []

    def elsewhere():
        run(lambda: peers.link(lambda ours, raw: (got.append(raw), kept.append(ours))))

    spawn(elsewhere)
    wait_until(lambda: kept)

    def start():
        kept[0].write(b"from another loop")
        kept[0].close()

    run(start)
    assert receive_all(got[0]) == b"from another loop"


def test_interrupt_reaches_only_the_main_threads_loop(spawn):
    ended = []

    def elsewhere():
        loop = asynctcp.EventLoop()
        loop.run(lambda: (tcp_server(LOOPBACK, 0, None), ended.append(loop)))
        ended.append("returned")

    spawn(elsewhere)
    wait_until(lambda: ended)
    with pytest.raises(KeyboardInterrupt):
        run(lambda: delay(lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert len(ended) == 1
    ended[0].exit()


@pytest.mark.usefixtures("switching")
def test_hammer_of_connections_writes_and_closes_from_threads(spawn):
    """Four threads write to and close whatever is open; all that is promised is that nothing breaks."""
    sockets, over = [], []

    def hammer(seed):
        number = seed
        while not over:
            number = number * 1103515245 + 12345 & 0x7FFFFFFF
            if not sockets:
                continue
            ours = sockets[number % len(sockets)]
            try:
                if number % 7 == 0:
                    ours.close(force=number % 2 == 0)
                else:
                    ours.write(b"x" * (number % 1000), write_cb=ignore)
            except asynctcp.SocketClosed:
                pass

    def start():
        server = tcp_server(
            LOOPBACK, 0, lambda s, data: s.closed or s.write(data), ignore, connect_cb=sockets.append
        )
        connecting = asynctcp.interval(
            lambda: sockets.append(tcp_connect(*server.address, None, ignore)), 0.002
        )
        for seed in range(4):
            spawn(hammer, seed)
        delay(lambda: (over.append(True), connecting.cancel(), asynctcp.exit_event_loop()), 0.5)

    try:
        run(start, catch_app_errors=True)
    finally:
        over.append(True)


@contextlib.contextmanager
def computing(step, spawn):
    """Have a thread call ``step`` all the time, and threads change as rarely as every 10 ms."""
    over, before = [], sys.getswitchinterval()

    def compute():
        while not over:
            step()

    sys.setswitchinterval(0.01)
    spawn(compute)
    try:
        yield
    finally:
        over.append(True)
        sys.setswitchinterval(before)


@pytest.mark.slow
def test_loop_beside_a_computing_thread_goes_on(spawn):
    """How often it gives the interpreter away: src/turn/contention.rs. Here load would decide it."""
    left = 20_000

    def answer(ours, data):
        nonlocal left
        left -= 1
        if left > 0:
            ours.write(data)
        else:
            asynctcp.exit_event_loop()

    with Program(sys.executable, "-m", "asynctcp", "echo", "--port", "0") as server:
        port = int(server.wait_for(r"echoing on \S+:(\d+);")[1])
        with computing(ignore, spawn):
            run(
                lambda: [tcp_connect(LOOPBACK, port, answer, ignore, data=b"x") for _ in range(50)],
                timeout=50,
            )
    assert left <= 0


def test_callbacks_in_c_leave_the_interpreter_to_a_computing_thread(spawn):
    """They hold it for 2 ms each and never look whether another thread is due."""
    hold, seen = functools.partial(ctypes.PyDLL(None).usleep, 2000), [time.monotonic()]
    longest = 0

    def step():
        nonlocal longest
        seen.append(time.monotonic())
        longest = max(longest, seen[1] - seen.pop(0))

    def start():
        asynctcp.interval(hold, 1e-6)
        delay(asynctcp.exit_event_loop, 2)

    with computing(step, spawn):
        run(start)
    assert longest < 1


@pytest.mark.parametrize(
    ("condition", "end"),
    [
        (asynctcp.TcpEof, lambda raw: raw.close()),
        (asynctcp.TcpAppError, lambda raw: raw.sendall(b"x")),
    ],
    ids=["eof", "app error"],
)
def test_event_cb_does_not_start_once_a_threads_close_has_returned(condition, end, peers, monkeypatch):
    closes_meanwhile(condition, end, peers, monkeypatch)


@pytest.mark.can_reset
def test_event_cb_does_not_start_for_a_reset_once_a_threads_close_has_returned(peers, monkeypatch):
    closes_meanwhile(asynctcp.TcpReset, reset, peers, monkeypatch)


def closes_meanwhile(condition, end, peers, monkeypatch):
    """Let a thread close the socket while the condition is being made, which is Python code."""

    def make(self, *arguments):
        plain(self, *arguments)
        made.append(type(self))
        thread = threading.Thread(target=self.socket.close)
        thread.start()
        thread.join()

    made, plain = [], condition.__init__
    monkeypatch.setattr(condition, "__init__", make)
    run(lambda: peers.link(lambda _ours, raw: end(raw), oops, fail), catch_app_errors=True)
    assert made == [condition]
