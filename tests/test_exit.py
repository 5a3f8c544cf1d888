"""``exit_event_loop()``, exit callbacks, and what an ended loop leaves (docs/contract.md, section 1)."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

import asynctcp
from asynctcp import EventLoop, EventLoopError, delay, exit_event_loop
from helpers import (
    MUCH,
    SOON,
    Oops,
    fail,
    ignore,
    oops,
    run,
)

# --- exit_event_loop ----------------------------------------------------------------------------------------


def test_exit_runs_no_further_callback_but_ends_the_running_one():
    told = []

    def start():
        delay(fail)
        delay(fail, 0.01)
        exit_event_loop()
        told.append("end of start")

    run(start)
    assert told == ["end of start"]


def test_exit_in_a_timer_voids_the_others_of_the_same_turn():
    told = []

    def start():
        delay(lambda: (told.append("first"), exit_event_loop()))
        delay(fail)

    run(start)
    assert told == ["first"]


def test_exit_closes_sockets_and_servers_at_once(peers):
    closed = []

    def use(ours, _raw):
        exit_event_loop()
        closed.extend([ours.closed, server.closed])

    def start():
        nonlocal server
        server = asynctcp.tcp_server("127.0.0.1", 0, None)
        peers.link(use)

    server = None
    run(start)
    assert closed == [True, True]


def test_exit_cancels_armed_timers():
    def start():
        timers.append(asynctcp.delay(fail, 10))
        timers.append(asynctcp.delay(asynctcp.exit_event_loop))

    timers = []
    run(start)
    assert [timer.cancelled for timer in timers] == [True, False]


def test_exit_drops_what_was_not_sent(peers, log):
    def use(ours, raw):
        log.raw = raw
        ours.write(bytes(MUCH))
        exit_event_loop()

    run(lambda: peers.link(use))
    received = 0
    with contextlib.suppress(ConnectionResetError):
        while piece := log.raw.recv(1 << 20):
            received += len(piece)
    assert received < MUCH


def test_listener_of_an_ended_loop_is_gone_though_the_server_object_is_kept(peers):
    kept = []

    def start():
        kept.append(asynctcp.tcp_server("127.0.0.1", 0, None))
        exit_event_loop()

    run(start)
    with pytest.raises(ConnectionRefusedError):
        peers.connect(kept[0])


@pytest.mark.parametrize("io_threads", [1, 2])
def test_listener_is_gone_when_a_loop_with_io_threads_returns(io_threads, peers):
    for _ in range(20):
        kept = []
        loop = EventLoop(io_threads=io_threads)
        loop.run(
            lambda kept=kept: (kept.append(asynctcp.tcp_server("127.0.0.1", 0, None)), exit_event_loop())
        )
        with pytest.raises(ConnectionRefusedError):
            peers.connect(kept[0])


def test_sockets_of_an_ended_loop_answer_socket_closed(peers):
    kept = []
    run(lambda: peers.link(lambda ours, _raw: (kept.append(ours), exit_event_loop())))
    with pytest.raises(asynctcp.SocketClosed):
        kept[0].write(b"late")


def test_socket_opened_after_exit_in_the_same_callback_is_closed(peers):
    kept = []

    def start():
        exit_event_loop()
        kept.append(asynctcp.tcp_connect(*peers.address, fail, fail, connect_cb=fail))
        kept.append(asynctcp.tcp_server("127.0.0.1", 0, fail))

    run(start)
    assert [one.closed for one in kept] == [True, True]


def test_server_opened_after_exit_does_not_listen_afterwards(peers):
    kept = []
    run(lambda: (exit_event_loop(), kept.append(asynctcp.tcp_server("127.0.0.1", 0, None))))
    with pytest.raises(ConnectionRefusedError):
        peers.connect(kept[0])


def test_exit_from_another_thread_ends_an_idle_loop(spawn):
    loop = EventLoop()

    def start():
        asynctcp.tcp_server("127.0.0.1", 0, None)
        delay(lambda: spawn(loop.exit), 0.01)

    loop.run(start)


def test_peer_sees_the_end_when_the_loop_exits(peers, log):
    run(lambda: peers.link(lambda _ours, raw: (log.told.append(raw), exit_event_loop())))
    (raw,) = log.told
    with contextlib.suppress(ConnectionResetError):
        assert raw.recv(10) == b""


# --- exit callbacks -----------------------------------------------------------------------------------------


def test_exit_callbacks_run_in_order_in_the_loops_thread():
    told = []

    def start():
        for name in "ab":
            asynctcp.add_event_loop_exit_callback(
                lambda name=name: told.append((name, threading.get_ident()))
            )

    run(start)
    assert told == [("a", threading.get_ident()), ("b", threading.get_ident())]


@pytest.mark.parametrize("ending", [exit_event_loop, ignore], ids=["exit", "nothing alive"])
def test_exit_callback_runs_however_the_loop_ends(ending):
    told = []
    run(lambda: (asynctcp.add_event_loop_exit_callback(lambda: told.append("ran")), ending()))
    assert told == ["ran"]


@pytest.mark.parametrize("error", [Oops, KeyboardInterrupt, SystemExit])
def test_exit_callback_runs_when_a_callback_raises(error):
    told = []

    def start():
        asynctcp.add_event_loop_exit_callback(lambda: told.append("ran"))
        raise error

    with pytest.raises(error):
        run(start)
    assert told == ["ran"]


def test_exit_callback_runs_after_everything_is_closed(peers):
    told = []

    def use(ours, _raw):
        asynctcp.add_event_loop_exit_callback(lambda: told.append(ours.closed))
        exit_event_loop()

    run(lambda: peers.link(use))
    assert told == [True]


def test_exit_callback_that_raises_does_not_keep_the_next_from_running(caplog):
    told = []

    def start():
        asynctcp.add_event_loop_exit_callback(oops)
        asynctcp.add_event_loop_exit_callback(lambda: told.append("second"))

    run(start)
    assert told == ["second"]
    assert "Oops" in caplog.text


def test_exit_callback_added_in_a_block_runs():
    told = []
    with asynctcp.event_loop():
        asynctcp.add_event_loop_exit_callback(lambda: told.append("ran"))
    assert told == ["ran"]


# --- what an ended loop leaves ------------------------------------------------------------------------------

USES = {
    "write": lambda ours: ours.write(b"x"),
    "shutdown_write": lambda ours: ours.shutdown_write(),
    "set_timeouts": lambda ours: ours.set_timeouts(1, 1),
    "enable": lambda ours: ours.enable(read=True),
    "disable": lambda ours: ours.disable(read=True),
    "fileno": lambda ours: ours.fileno(),
}


@pytest.mark.parametrize("use", list(USES.values()), ids=list(USES))
def test_never_connected_socket_of_an_ended_loop_answers_socket_closed(use):
    kept = []
    run(lambda: kept.append(asynctcp.init_tcp_socket(None)))
    assert kept[0].closed
    with pytest.raises(asynctcp.SocketClosed):
        use(kept[0])


def test_exit_in_an_exit_callback_is_an_error():
    raised = []

    def leave():
        with pytest.raises(EventLoopError) as caught:
            exit_event_loop()
        raised.append(caught.value)

    run(lambda: asynctcp.add_event_loop_exit_callback(leave))
    assert len(raised) == 1


@pytest.mark.parametrize("where", ["connect_cb", "read_cb", "write_cb", "event_cb", "lookup", "notifier"])
def test_exit_in_any_callback_ends_the_loop_at_once(where, peers):
    after = []

    def leave(*_):
        exit_event_loop()
        delay(lambda: after.append("timer"))

    def use(ours, raw):
        {"read_cb": lambda: raw.sendall(b"x"), "event_cb": raw.close}.get(where, ignore)()
        if where == "connect_cb":
            leave()
        if where == "write_cb":
            ours.write(b"x", write_cb=leave)

    def start():
        if where == "lookup":
            asynctcp.dns_lookup("127.0.0.1", leave)
        elif where == "notifier":
            asynctcp.make_notifier(leave).trigger()
        else:
            peers.link(use, leave if where == "read_cb" else None, leave if where == "event_cb" else None)

    begun = time.monotonic()
    run(start)
    assert (after, time.monotonic() - begun < SOON) == ([], True)
