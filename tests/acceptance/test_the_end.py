"""``close_cb``, ``close_reason``, ``TcpAppError``, and closing again."""

from __future__ import annotations

import gc
import threading

import pytest

import asynctcp
from asynctcp import (
    EventLoopError,
    SocketClosed,
    TcpAppError,
    TcpEof,
    TcpInfo,
    TcpRefused,
    TcpReset,
    TcpTimeout,
    delay,
    exit_event_loop,
    tcp_connect,
    tcp_server,
)
from helpers import LOOPBACK, Oops, ignore, oops, reset, run, when

ENDS = {
    "close": (lambda ours, _raw: ours.close(), type(None)),
    "forced close": (lambda ours, _raw: ours.close(force=True), type(None)),
    "end of stream": (lambda _ours, raw: raw.close(), TcpEof),
    "reset": (lambda _ours, raw: reset(raw), TcpReset),
    "timeout": (lambda ours, _raw: ours.set_timeouts(0.02, None), TcpTimeout),
    "exit": (lambda _ours, _raw: exit_event_loop(), EventLoopError),
}


def closings():
    told = []
    return told, lambda ours, reason: told.append((ours, reason, ours.closed, ours.close_reason))


@pytest.mark.parametrize("end", ENDS)
def test_close_cb_of_a_client_runs_once_with_its_reason(end, peers):
    act, kind = ENDS[end]
    told, close_cb = closings()
    made = []

    def start():
        made.append(
            peers.link(lambda ours, raw: delay(lambda: act(ours, raw)), ignore, ignore, close_cb=close_cb)
        )

    run(start)
    ((ours, reason, closed, shown),) = told
    assert (ours, closed, type(reason)) == (made[0], True, kind)
    assert shown is reason


@pytest.mark.parametrize("end", ENDS)
def test_close_cb_of_a_servers_socket_runs_once_with_its_reason(end, peers):
    act, kind = ENDS[end]
    told, close_cb = closings()

    def start():
        server = tcp_server(
            LOOPBACK,
            0,
            ignore,
            ignore,
            connect_cb=lambda ours: (server.close(), act(ours, raw)),
            close_cb=close_cb,
        )
        raw = peers.connect(server)

    run(start)
    assert [type(reason) for _, reason, *_ in told] == [kind]


def test_close_cb_of_a_refused_attempt_runs_with_the_condition(peers):
    told, close_cb = closings()
    run(lambda: tcp_connect(LOOPBACK, peers.free_port(), None, ignore, close_cb=close_cb))
    assert [type(reason) for _, reason, *_ in told] == [TcpRefused]


def test_close_cb_is_the_last_callback_and_runs_in_a_later_turn(peers, log):
    def read(ours, data):
        log.read(ours, data)
        ours.close()
        log.told.append("closed")

    run(
        lambda: peers.link(
            lambda _ours, raw: raw.sendall(b"x"),
            read,
            log.event,
            close_cb=lambda *_: log.told.append("close_cb"),
        )
    )
    assert log.told == [b"x", "closed", "close_cb"]


def test_close_cb_comes_after_the_event_cb_that_told_the_same(peers):
    order = []
    run(
        lambda: peers.link(
            lambda _ours, raw: raw.close(),
            None,
            order.append,
            close_cb=lambda _ours, reason: order.append(reason),
        )
    )
    assert [type(one) for one in order] == [TcpEof, TcpEof]
    assert order[0] is order[1]


def test_close_cb_that_set_callbacks_sets_runs(peers):
    told, close_cb = closings()

    def use(ours, _raw):
        ours.set_callbacks(close_cb=close_cb)
        ours.close()

    run(lambda: peers.link(use))
    assert len(told) == 1


def test_close_cb_does_not_run_for_a_socket_that_was_never_begun():
    told, close_cb = closings()
    run(lambda: asynctcp.init_tcp_socket(None, close_cb=close_cb).close())
    assert told == []


def test_close_cb_of_init_tcp_socket_runs_once_connected(peers):
    told, close_cb = closings()

    def start():
        ours = asynctcp.init_tcp_socket(None, ignore, close_cb=close_cb, connect_cb=lambda ours: ours.close())
        asynctcp.connect_tcp_socket(ours, *peers.address)

    run(start)
    assert len(told) == 1


def test_close_cb_is_told_that_an_exception_ended_the_loop(peers):
    told, close_cb = closings()

    def use(_ours, _raw):
        delay(oops)

    with pytest.raises(Oops):
        run(lambda: peers.link(use, ignore, ignore, close_cb=close_cb))
    assert [type(reason) for _, reason, *_ in told] == [EventLoopError]


def test_close_cb_of_a_close_by_another_thread_runs_in_the_loops(peers, spawn):
    threads = []

    def use(ours, _raw):
        spawn(ours.close)

    run(lambda: peers.link(use, close_cb=lambda *_: threads.append(threading.current_thread())))
    assert threads == [threading.main_thread()]


# --- the app's errors -------------------------------------------------------------------------------------


def app_error_of(peers, **callbacks):
    told, reasons = [], []
    made = []

    def start():
        made.append(
            peers.link(
                lambda _ours, raw: raw.sendall(b"x"),
                callbacks.get("read_cb", ignore),
                told.append,
                close_cb=lambda _ours, reason: reasons.append(reason),
            )
        )

    run(start, catch_app_errors=True)
    return made[0], told, reasons


def failing_read(_ours, _data):
    raise Oops("in read")


def test_app_error_comes_as_a_condition_with_socket_callback_and_cause(peers):
    ours, told, _ = app_error_of(peers, read_cb=failing_read)
    (condition,) = told
    assert isinstance(condition, TcpAppError)
    assert isinstance(condition, TcpInfo)
    assert (condition.socket, condition.callback) == (ours, "read_cb")
    assert isinstance(condition.__cause__, Oops)


def test_close_cb_is_told_the_app_error(peers):
    _, told, reasons = app_error_of(peers, read_cb=failing_read)
    assert reasons == told


def test_app_error_of_a_timer_has_no_socket():
    told = []
    run(lambda: delay(oops, event_cb=told.append), catch_app_errors=True)
    assert (told[0].socket, type(told[0].__cause__)) == (None, Oops)
    assert isinstance(told[0].callback, str)


def test_log_line_of_an_app_error_names_peer_callback_and_function(peers, caplog):
    run(
        lambda: peers.link(lambda _ours, raw: raw.sendall(b"x"), failing_read),
        catch_app_errors=True,
        send_errors_to_event_cb=False,
    )
    text = " ".join(record.getMessage() for record in caplog.records)
    assert "read_cb" in text
    assert "failing_read" in text
    assert f"{peers.address[0]}:{peers.address[1]}" in text


# --- start_fn ---------------------------------------------------------------------------------------------


def test_exception_of_start_fn_comes_out_although_app_errors_are_caught():
    with pytest.raises(Oops):
        asynctcp.start_event_loop(oops, catch_app_errors=True)


def test_exception_of_start_fn_closes_what_it_had_started():
    made = []

    def start():
        made.append(tcp_server(LOOPBACK, 0, None))
        raise Oops

    with pytest.raises(Oops):
        asynctcp.start_event_loop(start, catch_app_errors=True)
    assert made[0].closed


def test_exception_of_start_fn_goes_to_the_function_for_app_errors():
    told = []
    asynctcp.start_event_loop(oops, catch_app_errors=told.append)
    assert [type(one) for one in told] == [Oops]


def test_process_whose_start_fn_failed_ends_with_1():
    import subprocess
    import sys

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import asynctcp; asynctcp.start_event_loop(lambda: 1 / 0, catch_app_errors=True)",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


# --- closing again ----------------------------------------------------------------------------------------


def test_closing_a_closed_socket_does_nothing_and_the_function_raises(peers):
    def use(ours, _raw):
        ours.close()
        assert ours.close() is None
        assert ours.close(force=True) is None
        with pytest.raises(SocketClosed):
            asynctcp.close_socket(ours)

    run(lambda: peers.link(use))


def test_close_reason_is_none_while_open_and_after_close(peers):
    seen = []

    def use(ours, _raw):
        seen.append(ours.close_reason)
        ours.close()
        seen.append(ours.close_reason)

    run(lambda: peers.link(use))
    assert seen == [None, None]


def test_close_reason_stays(peers):
    made = []
    run(lambda: made.append(peers.link(lambda _ours, raw: raw.close(), None, ignore)))
    gc.collect()
    assert isinstance(made[0].close_reason, TcpEof)


def test_event_cb_does_not_start_after_another_threads_close_returned(peers, spawn):
    """The race that is told in words: many tries of it."""
    late, closed = [], {}

    def close(ours):
        ours.close()
        closed[ours] = True

    def event(condition):
        if closed.get(condition.socket):
            late.append(condition)

    def use(ours, raw):
        raw.close()
        spawn(close, ours)

    def start():
        for _ in range(30):
            peers.link(use, None, event)

    run(start)
    assert late == []


def test_chat_server_keeps_no_guest_whose_callback_raised(peers):
    """One place to forget a connection."""
    guests = set()

    def read(_ours, _data):
        raise Oops

    def start():
        server = tcp_server(
            LOOPBACK,
            0,
            read,
            ignore,
            connect_cb=guests.add,
            close_cb=lambda ours, _reason: (guests.discard(ours), server.close()),
        )
        peers.connect(server).sendall(b"x")
        when(lambda: server.closed, ignore)

    run(start, catch_app_errors=True)
    assert guests == set()
