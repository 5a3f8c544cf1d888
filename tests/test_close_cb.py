"""The end, once: `close_cb`, `close_reason` and `set_callbacks` (docs/contract.md, section 2)."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

import asynctcp
from asynctcp import EventLoop, EventLoopError, TcpAppError, TcpEof, delay, exit_event_loop, tcp_connect
from helpers import LOOPBACK, Oops, Serving, after_quiet, fail, ignore, oops, reset, run, wait_until, when

#: What each test runs over, unless it is about TCP itself.
WIRES = ("tcp", "tls", "unix")


class Ends:
    """A `close_cb` that writes down what it is given."""

    def __init__(self):
        self.told = []

    def __call__(self, socket, reason):
        assert socket.closed
        assert socket.close_reason is reason
        self.told.append(reason)

    def kinds(self):
        return [type(reason) for reason in self.told]


@pytest.fixture
def ends():
    return Ends()


def close(ours, _raw):
    ours.close()


def end_of_stream(_ours, raw):
    raw.close()


def reset_by_peer(_ours, raw):
    reset(raw)


def time_out(ours, _raw):
    ours.set_timeouts(0.01, None)


def leave(_ours, _raw):
    exit_event_loop()


REASONS = {
    close: type(None),
    end_of_stream: TcpEof,
    reset_by_peer: asynctcp.TcpReset,
    time_out: asynctcp.TcpTimeout,
    leave: EventLoopError,
}


@pytest.mark.parametrize(("end", "kind"), REASONS.items())
@pytest.mark.tcp_only
def test_close_cb_of_a_client_is_told_the_reason_once(end, kind, peers, ends):
    run(lambda: peers.link(end, None, ignore, close_cb=ends))
    assert ends.kinds() == [kind]


@pytest.mark.parametrize(("end", "kind"), REASONS.items())
def test_close_cb_of_an_accepted_socket_is_told_the_reason_once(end, kind, peers, log, ends):
    def welcome(ours):
        serving.server.close()
        end(ours, raw)

    def start():
        nonlocal serving, raw
        serving = Serving(log, connect_cb=welcome, close_cb=ends)
        raw = peers.connect(serving.server)

    serving = raw = None
    run(start)
    assert ends.kinds() == [kind]


def test_close_cb_of_an_attempt_that_failed_is_told_the_condition(peers, log, ends):
    run(lambda: tcp_connect(LOOPBACK, peers.free_port(), None, log.event, close_cb=ends))
    assert ends.told == log.conditions
    assert ends.kinds() == [asynctcp.TcpRefused]


def test_close_cb_of_an_attempt_that_was_closed_runs(peers, ends):
    run(lambda: tcp_connect(*peers.black_hole(), None, fail, close_cb=ends).close())
    assert ends.told == [None]


def test_close_cb_of_a_socket_that_was_never_connected_does_not_run(ends):
    def start():
        asynctcp.init_tcp_socket(None, close_cb=ends).close()
        kept.append(asynctcp.init_tcp_socket(None, close_cb=ends))

    kept = []
    run(start)
    assert ends.told == []
    assert isinstance(kept[0].close_reason, EventLoopError)


def test_close_cb_of_init_tcp_socket_runs_once_connected_and_closed(peers, ends):
    def start():
        ours = asynctcp.init_tcp_socket(None, close_cb=ends, connect_cb=lambda ours: ours.close())
        asynctcp.connect_tcp_socket(ours, *peers.address)

    run(start)
    assert ends.told == [None]


def test_close_cb_is_the_last_callback_and_comes_in_a_later_turn(peers, log):
    def event(condition):
        log.event(condition)
        delay(lambda: log.told.append("next turn"))

    run(
        lambda: peers.link(
            lambda ours, raw: (log.connect(ours), raw.sendall(b"x"), raw.close()),
            log.read,
            event,
            close_cb=lambda *_: log.told.append("close"),
        )
    )
    assert log.told == ["connect", b"x", "TcpEof", "close", "next turn"]


def test_close_cb_does_not_run_inside_of_close(peers, log):
    def use(ours, _raw):
        ours.close()
        log.told.append("closed")

    run(lambda: peers.link(use, close_cb=lambda *_: log.told.append("close_cb")))
    assert log.told == ["closed", "close_cb"]


@pytest.mark.parametrize("send_errors_to_event_cb", [True, False])
@pytest.mark.parametrize("kind", ["connect_cb", "read_cb", "write_cb"])
def test_close_cb_is_told_the_app_error_of_its_sockets_callback(kind, send_errors_to_event_cb, peers, ends):
    def use(ours, raw):
        raw.sendall(b"x")
        if kind == "connect_cb":
            raise Oops
        if kind == "write_cb":
            ours.set_callbacks(read_cb=None, write_cb=oops)
            ours.write(b"x")

    seen = []
    run(
        lambda: peers.link(use, oops, seen.append, close_cb=ends),
        catch_app_errors=True,
        send_errors_to_event_cb=send_errors_to_event_cb,
    )
    assert seen == (ends.told if send_errors_to_event_cb else [])
    assert [(type(error), error.callback, type(error.__cause__)) for error in ends.told] == [
        (TcpAppError, kind, Oops)
    ]


def test_close_cb_is_told_the_app_error_that_a_function_handled(peers, ends):
    seen = []
    run(lambda: peers.link(oops, None, fail, close_cb=ends), catch_app_errors=seen.append)
    assert [error.__cause__ for error in ends.told] == seen


def test_close_cb_is_told_the_condition_though_its_event_cb_closed_the_socket(peers, ends):
    run(lambda: peers.link(end_of_stream, None, lambda condition: condition.socket.close(), close_cb=ends))
    assert ends.kinds() == [TcpEof]


def test_close_cb_is_told_the_condition_though_its_event_cb_raised(peers, ends):
    run(lambda: peers.link(end_of_stream, None, oops, close_cb=ends), catch_app_errors=True)
    assert ends.kinds() == [TcpEof]


def test_half_open_socket_that_the_app_closes_has_no_reason(peers, ends):
    def event(condition):
        assert condition.socket.close_reason is None
        condition.socket.close()

    run(lambda: peers.link(end_of_stream, None, event, close_cb=ends, allow_half_open=True))
    assert ends.told == [None]


def test_closing_again_after_an_end_changes_no_reason(peers, ends):
    kept = []
    run(lambda: kept.append(peers.link(end_of_stream, close_cb=ends)))
    kept[0].close()
    assert isinstance(kept[0].close_reason, TcpEof)


@pytest.mark.parametrize("error", [Oops, KeyboardInterrupt, SystemExit])
def test_close_cb_is_told_that_an_exception_ended_the_loop(error, peers, ends):
    def use(_ours, _raw):
        raise error

    with pytest.raises(error):
        run(lambda: peers.link(use, close_cb=ends))
    assert ends.kinds() == [EventLoopError]


def test_close_callbacks_run_before_the_exit_callbacks_and_outside_of_a_loop(peers, log):
    def closed(_ours, _reason):
        with pytest.raises(EventLoopError):
            delay(fail)
        with pytest.raises(EventLoopError):
            asynctcp.current_event_loop()
        log.told.append("close")

    def start():
        asynctcp.add_event_loop_exit_callback(lambda: log.told.append("exit"))
        peers.link(leave, close_cb=closed)

    run(start)
    assert log.told == ["close", "exit"]


def test_close_cb_of_a_socket_closed_just_before_the_loops_end_runs(peers, ends):
    run(lambda: peers.link(lambda ours, _raw: (ours.close(), exit_event_loop()), close_cb=ends))
    assert ends.told == [None]


@pytest.mark.parametrize("error", [Oops, KeyboardInterrupt])
def test_exception_of_a_close_cb_at_the_loops_end_drops_no_other(error, peers, ends, caplog):
    def closed(*_):
        ends.told.append("raises")
        raise error

    def start():
        asynctcp.add_event_loop_exit_callback(lambda: ends.told.append("exit"))
        for _ in range(3):
            peers.link(ignore, close_cb=closed)
        when(lambda: asynctcp.stats()["outgoing_tcp_connections"] == 3, exit_event_loop)

    if error is Oops:
        run(start)
        assert caplog.text.count("close_cb test_close_cb.") == 3
    else:
        with pytest.raises(KeyboardInterrupt):
            run(start)
    assert ends.told == ["raises"] * 3 + ["exit"]


def test_exception_of_a_close_cb_ends_a_loop_that_catches_nothing(peers):
    with pytest.raises(Oops):
        run(lambda: peers.link(close, close_cb=oops))


def test_caught_exception_of_a_close_cb_is_logged_and_goes_to_no_event_cb(peers, caplog):
    run(lambda: peers.link(close, None, fail, close_cb=oops), catch_app_errors=True)
    (record,) = caplog.records
    assert record.getMessage().startswith("close_cb helpers.oops raised Oops")


def test_caught_exception_of_a_close_cb_goes_to_the_function_for_app_errors(peers):
    seen = []
    run(lambda: peers.link(close, None, fail, close_cb=oops), catch_app_errors=seen.append)
    assert [type(error) for error in seen] == [Oops]


def test_close_from_a_thread_runs_the_close_cb_in_the_loop(peers):
    def use(ours, _raw):
        threads.append(threading.Thread(target=ours.close))
        threads[0].start()

    threads, seen = [], []
    run(lambda: peers.link(use, close_cb=lambda *_: seen.append(threading.current_thread())))
    threads[0].join()
    assert seen == [threading.current_thread()]


def test_pumped_loop_runs_close_callbacks(peers, ends):
    loop = EventLoop()
    loop.call_soon_threadsafe(lambda: peers.link(close, close_cb=ends))
    wait_until(lambda: loop.pump(0.01) >= 0 and ends.told)
    loop.call_soon_threadsafe(lambda: peers.link(ignore, close_cb=ends))
    wait_until(lambda: loop.pump(0.01) >= 0 and loop.stats()["outgoing_tcp_connections"])
    loop.exit()
    assert ends.kinds() == [type(None), EventLoopError]


# --- set_callbacks ------------------------------------------------------------------------------------------


def test_set_callbacks_replaces_those_that_are_given(peers, log):
    def use(ours, raw):
        ours.set_callbacks(read_cb=log.read, close_cb=lambda *_: log.told.append("close"))
        raw.sendall(b"x")
        raw.close()

    run(lambda: peers.link(use, fail, log.event))
    assert log.told == [b"x", "TcpEof", "close"]


def test_set_callbacks_with_none_takes_away(peers, log):
    def use(ours, raw):
        ours.set_callbacks(read_cb=None, write_cb=None, event_cb=None, close_cb=None)
        ours.write(b"x")
        raw.sendall(b"x")
        raw.close()

    run(lambda: peers.link(use, fail, fail, write_cb=fail, close_cb=fail))
    assert log.told == []


def test_set_callbacks_sets_connect_and_write_callbacks_before_the_connection(peers, log):
    def start():
        ours = tcp_connect(*peers.address, None, data=b"x")
        ours.set_callbacks(connect_cb=log.connect, write_cb=lambda ours: (log.write(ours), ours.close()))

    run(start)
    assert log.told == ["connect", "write"]


@pytest.mark.parametrize("name", ["read_cb", "write_cb", "event_cb", "connect_cb", "close_cb"])
def test_set_callbacks_refuses_what_is_not_callable(name, peers):
    def use(ours, _raw):
        with pytest.raises(TypeError, match=rf"{name} must be callable or None, not int: 5"):
            ours.set_callbacks(**{name: 5})
        ours.close()
        done.append(True)

    done = []
    run(lambda: peers.link(use))
    assert done


# --- garbage ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [close, end_of_stream, reset_by_peer])
def test_closed_socket_and_its_reason_die_without_the_collector(end, peers):
    def closed(ours, reason):
        dead.extend([weakref.ref(ours), weakref.ref(ours)])
        del ours, reason
        after_quiet(lambda: alive.append([reference() for reference in dead]))

    dead, alive = [], []
    gc.collect()
    gc.disable()
    try:
        run(lambda: peers.link(end, None, ignore, close_cb=closed) and None)
        assert [reference() for reference in dead] == [None, None]
    finally:
        gc.enable()


def test_close_cb_is_released_once_it_has_run(peers):
    dead, kept = [], []

    def start():
        ends = Ends()
        dead.append(weakref.ref(ends))
        kept.append(peers.link(close, close_cb=ends))

    run(start)
    assert dead[0]() is None
