"""Who keeps what alive, and that nothing is left (docs/contract.md, sections 1 and 2)."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import threading
import weakref

import pytest

import asynctcp
from asynctcp import delay, exit_event_loop, tcp_connect, tcp_server
from helpers import (
    DEADLINE,
    LOOPBACK,
    descriptors,
    ignore,
    reset,
    run,
    thread_count,
    wait_until,
    when,
)


class Callback:
    """A callback that can be weakly referenced and holds what it is given."""

    def __init__(self, *held):
        self.held = held

    def __call__(self, *_):
        return None


# --- garbage ------------------------------------------------------------------------------------------------


def test_open_socket_lives_without_a_reference(peers, log):
    def start():
        dead.append(weakref.ref(peers.link(use, log.read, log.event)))
        gc.collect()

    def use(_ours, raw):
        delay(lambda: (gc.collect(), raw.sendall(b"x"), raw.close()), 0.01)

    dead = []
    run(start)
    gc.collect()
    assert (log.told, dead[0]() is None or log.conditions != []) == ([b"x", "TcpEof"], True)


def test_closed_socket_dies_with_its_last_reference(peers):
    dead = []

    def use(ours, _raw):
        dead.append(weakref.ref(ours))
        ours.close()

    run(lambda: peers.link(use) and None)
    gc.collect()
    assert dead[0]() is None


def test_cycle_of_a_closed_socket_and_its_data_is_collected(peers):
    dead = []

    def use(ours, _raw):
        ours.data = [ours]
        dead.append(weakref.ref(ours))
        ours.close()

    run(lambda: peers.link(use) and None)
    gc.collect()
    assert dead[0]() is None


def test_cycle_of_a_socket_and_its_callbacks_is_collected_after_close(peers):
    dead = []

    def use(ours, _raw):
        callback = Callback(ours)
        dead.extend([weakref.ref(ours), weakref.ref(callback)])
        ours.write(b"x", read_cb=callback, write_cb=callback, event_cb=callback)
        delay(ours.close, 0.01)

    run(lambda: peers.link(use) and None)
    gc.collect()
    assert [reference() for reference in dead] == [None, None]


@pytest.mark.parametrize("end", [lambda raw: raw.close(), reset], ids=["eof", "reset"])
def test_callbacks_are_released_when_a_condition_closes_the_socket(end, peers):
    kept, dead = [], []

    def start():
        callback = Callback()
        dead.append(weakref.ref(callback))
        kept.append(peers.link(lambda _ours, raw: end(raw), callback, callback, write_cb=callback))

    run(start)
    gc.collect()
    assert (kept[0].closed, dead[0]()) == (True, None)


def test_callbacks_of_sockets_servers_and_timers_are_released_at_exit(peers):
    kept, dead = [], []

    def start():
        for make in (
            lambda callback: peers.link(ignore, callback, callback),
            lambda callback: tcp_server(LOOPBACK, 0, callback, callback, connect_cb=callback),
            lambda callback: delay(callback, 60, event_cb=callback),
            lambda callback: asynctcp.interval(callback, 60),
        ):
            callback = Callback()
            dead.append(weakref.ref(callback))
            kept.append(make(callback))
        exit_event_loop()

    run(start)
    gc.collect()
    assert [reference() for reference in dead] == [None] * 4


def test_callbacks_of_a_closed_server_are_released():
    dead = []

    def start():
        callback = Callback()
        dead.append(weakref.ref(callback))
        server = tcp_server(LOOPBACK, 0, callback, callback, connect_cb=callback)
        kept.append(server)
        server.close()

    kept = []
    run(start)
    gc.collect()
    assert dead[0]() is None


def test_callbacks_of_cancelled_timers_are_released_at_once():
    def start():
        callback = Callback()
        dead = weakref.ref(callback)
        timer = delay(callback, 60)
        del callback
        timer.cancel()
        gc.collect()
        assert dead() is None

    run(start)


def test_connect_cb_is_released_after_it_ran(peers, log):
    class Connected(Callback):
        def __call__(self, ours):
            delay(lambda: (gc.collect(), log.told.append(dead()), ours.close()), 0.01)

    def start():
        nonlocal dead
        connected = Connected()
        dead = weakref.ref(connected)
        tcp_connect(*peers.address, None, connect_cb=connected)

    dead = None
    run(start)
    assert log.told == [None]


def test_posted_function_is_released_after_it_ran():
    callback = Callback()
    dead = weakref.ref(callback)
    loop = asynctcp.EventLoop()
    loop.call_soon_threadsafe(callback, 1)
    del callback
    loop.run()
    gc.collect()
    assert dead() is None


def test_ended_loop_is_collected_though_its_callbacks_hold_it():
    loop = asynctcp.EventLoop(catch_app_errors=Callback())
    dead = weakref.ref(loop)
    loop.run(lambda loop=loop: delay(loop.stats))
    del loop
    gc.collect()
    assert dead() is None


def test_loop_that_never_ran_is_collected_though_a_post_holds_it():
    loop = asynctcp.EventLoop()
    loop.call_soon_threadsafe(loop.exit)
    dead = weakref.ref(loop)
    del loop
    gc.collect()
    assert dead() is None


def test_finalizer_that_closes_a_socket_during_a_collection_is_fine(peers, log):
    class Closes:
        def __init__(self, ours):
            self.ours = ours
            self.cycle = self

        def __del__(self):
            if not self.ours.closed:
                self.ours.close()
                log.told.append("closed")

    def use(ours, raw):
        Closes(ours)
        raw.sendall(b"x")
        gc.collect()

    run(lambda: peers.link(use, ignore, ignore))
    assert log.told == ["closed"]


def test_collections_during_every_callback_break_nothing(log):
    def echo(ours, data):
        gc.collect(0)
        ours.write(data)

    def start():
        server = tcp_server(LOOPBACK, 0, echo)
        for _ in range(10):
            tcp_connect(*server.address, lambda s, d: (log.read(s, d), s.close()), data=b"x")
        when(lambda: len(log.told) == 10, server.close)

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        run(start)
    finally:
        gc.set_threshold(*threshold)
    assert log.told == [b"x"] * 10


def test_ten_thousand_writes_leave_no_objects_behind(peers, spawn):
    counts = []

    def write_cb(ours):
        if ours.bytes_written in (1000, 10_000):
            gc.collect()
            counts.append(len(gc.get_objects()))
        if ours.bytes_written == 10_000:
            ours.close()
        else:
            ours.write(b"x")

    run(lambda: peers.link(lambda ours, raw: (spawn(raw.recv, 1), ours.write(b"x")), write_cb=write_cb))
    assert counts[1] - counts[0] < 50


# --- descriptors and threads --------------------------------------------------------------------------------


def counted():
    """Return the numbers of descriptors and threads, once what earlier tests left is collected."""
    gc.collect()
    return len(descriptors()), thread_count()


def settle(before):
    """Wait until there are no more descriptors and threads than before."""
    wait_until(lambda: len(descriptors()) <= before[0] and thread_count() <= before[1], 2.0)


def test_loop_gives_back_its_descriptors_and_threads():
    before = counted()
    run(lambda: delay(ignore, 0.02))
    settle(before)


@pytest.mark.parametrize("io_threads", [1, 3])
def test_loop_with_io_threads_gives_them_back(io_threads):
    before = counted()
    asynctcp.EventLoop(io_threads=io_threads).run(lambda: delay(ignore, 0.02))
    settle(before)


def test_loop_that_raised_gives_back_its_descriptors_and_threads():
    before = counted()

    def start():
        tcp_server(LOOPBACK, 0, None)
        delay(lambda: 1 / 0, 0.01)

    with pytest.raises(ZeroDivisionError):
        run(start)
    settle(before)


def test_loop_that_exits_with_traffic_gives_back_its_descriptors_and_threads():
    before = counted()

    def start():
        server = tcp_server(LOOPBACK, 0, lambda s, data: s.write(data), ignore)
        for _ in range(20):
            tcp_connect(*server.address, lambda s, data: s.write(data), ignore, data=bytes(10_000))
        delay(exit_event_loop, 0.05)

    run(start)
    settle(before)


@pytest.mark.parametrize("keep", ["loop", "timer", "socket", "server"])
def test_object_of_an_ended_loop_holds_no_descriptor(keep, peers):
    listening = peers.address
    before, _ = counted()
    kept = []

    def start():
        objects = {
            "loop": asynctcp.current_event_loop(),
            "timer": delay(ignore, 60),
            "socket": tcp_connect(*listening, None),
            "server": tcp_server(LOOPBACK, 0, None),
        }
        kept.append(objects[keep])
        delay(exit_event_loop, 0.03)

    run(start)
    wait_until(lambda: len(descriptors()) <= before, 2.0)
    assert kept


def test_loop_that_ends_before_it_told_of_a_connection_closes_it():
    """The I/O side accepts while a callback keeps Python, if that is not for long: in one try of several."""
    kept = []
    before, _ = counted()

    def start():
        kept.append(tcp_server(LOOPBACK, 0, None, ignore))
        attempt()

    def attempt():
        unmet = len(descriptors())
        raw = socket.create_connection(kept[0].address)
        kept.append(raw)
        try:
            wait_until(lambda: len(descriptors()) >= unmet + 2, 0.2)
        except AssertionError:
            raw.close()
            delay(attempt)
        else:
            exit_event_loop()

    run(start)
    kept.pop().close()
    wait_until(lambda: len(descriptors()) <= before, 2.0)
    assert kept


def test_loop_that_idled_and_ended_holds_no_descriptor_though_it_is_kept():
    before, _ = counted()
    loop = asynctcp.EventLoop()
    loop.run(lambda: delay(ignore, 0.02))
    wait_until(lambda: len(descriptors()) <= before, 2.0)


def test_two_hundred_loops_leave_descriptors_and_threads_as_they_were():
    before = counted()
    for _ in range(200):
        asynctcp.start_event_loop(lambda: delay(ignore))
    settle(before)


def test_loops_of_threads_leave_descriptors_and_threads_as_they_were():
    before = counted()
    threads = [threading.Thread(target=run, args=(lambda: delay(ignore, 0.01),)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle(before)


def test_thousand_connections_leave_the_descriptors_as_they_were(log):
    before, _ = counted()

    def again():
        for _ in range(50):
            tcp_connect(*server.address, None, log.event, data=b"x")

    def ended():
        if len(log.told) == 1000:
            server.close()
            exit_event_loop()
        elif len(log.told) % 50 == 0:
            again()

    def start():
        nonlocal server
        server = tcp_server(LOOPBACK, 0, lambda s, _: s.close(), ignore)
        log.event = lambda _condition: (log.told.append(1), ended())
        again()

    server = None
    run(start)
    wait_until(lambda: len(descriptors()) <= before, 2.0)


def test_sockets_give_back_their_descriptor_while_the_loop_runs(peers):
    counts = []

    def start():
        listening = peers.address
        counts.append(len(descriptors()))
        many = [tcp_connect(*listening, None) for _ in range(20)]
        when(lambda: all(one.peername for one in many), lambda: [one.close() for one in many])
        when(lambda: many[0].closed and len(descriptors()) == counts[0], lambda: counts.append("given back"))

    run(start)
    assert counts[1:] == ["given back"]


def test_refused_attempts_leave_no_descriptor(peers):
    before, _ = counted()
    port = peers.free_port()
    run(lambda: [tcp_connect(LOOPBACK, port, None, ignore) for _ in range(50)])
    wait_until(lambda: len(descriptors()) <= before, 2.0)


def test_import_starts_no_thread():
    code = "import os, asynctcp; print(len(os.listdir('/proc/self/task')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"1\n"


FORCED_CLOSE = """
import resource, socket
from pathlib import Path
from asynctcp import interval, start_event_loop, tcp_connect

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def use(ours):
    before = resident()
    for _ in range(8):
        ours.write(b"x" * 8_000_000)  # not zeros: those take no memory until they are copied
    full = resident()
    assert full - before > 32_000_000, (before, full)
    ours.close(force=True)
    look = interval(lambda: resident() < full - 32_000_000 and look.cancel(), 0.001)

listener = socket.create_server(("127.0.0.1", 0))
start_event_loop(lambda: tcp_connect(*listener.getsockname(), None, connect_cb=use))
"""


def test_memory_of_a_forced_close_is_given_back():
    """In a process of its own: here it would be memory that tests of before have left."""
    subprocess.run([sys.executable, "-c", FORCED_CLOSE], check=True, timeout=DEADLINE)


def test_bytes_sent_by_reference_are_let_go_while_the_loop_idles(peers, spawn):
    data = b"x" * 100_000
    before = sys.getrefcount(data)

    def wait_and_close(ours):
        wait_until(lambda: sys.getrefcount(data) <= before)
        ours.close()

    def use(ours, _raw):
        ours.write(data)
        spawn(wait_and_close, ours)

    run(lambda: peers.link(use))


@pytest.mark.parametrize("is_kept", [False, True])
def test_bytes_lent_to_a_socket_that_is_never_connected_are_let_go_with_it(is_kept):
    def start():
        ours = asynctcp.init_tcp_socket(None)
        ours.write(data)
        if is_kept:
            kept.append(ours)

    data, kept = b"x" * 100_000, []
    before = sys.getrefcount(data)
    run(start)
    kept.clear()
    gc.collect()
    assert sys.getrefcount(data) == before
