"""How a ``pump()`` ends: by an exception, an exit, a fork, a signal (docs/contract.md, section 1)."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import warnings

import pytest

import asynctcp
from asynctcp import EventLoop, EventLoopError, tcp_server
from foreign import drain, echo_server, is_readable, pump_until, setup
from helpers import DEADLINE, LOOPBACK, Oops, fail, ignore, oops, wait_until
from idle import wait_until_main_sleeps

# --- exceptions ---------------------------------------------------------------------------------------------


def test_exception_comes_out_of_pump_and_the_rest_follows(loop):
    drain(loop)
    told = []
    for call in (lambda: told.append(1), oops, lambda: told.append(2), lambda: told.append(3)):
        loop.call_soon_threadsafe(call)
    with pytest.raises(Oops):
        loop.pump()
    assert told == [1]
    assert is_readable(loop)
    loop.pump()
    assert told == [1, 2, 3]


def test_read_cb_that_raises_loses_no_event_of_others(loop, peers):
    told = []
    count = 20

    def read(_socket, data):
        told.append(data)
        raise Oops

    server = setup(loop, lambda: tcp_server(LOOPBACK, 0, read))
    raws = [peers.connect(server) for _ in range(count)]
    pump_until(loop, lambda: server.connections == count)
    for number, raw in enumerate(raws):
        raw.sendall(b"%d" % number)
    errors = 0
    deadline = time.monotonic() + DEADLINE
    while len(told) < count:
        assert time.monotonic() < deadline
        if is_readable(loop, 1.0):
            try:
                loop.pump()
            except Oops:
                errors += 1
    assert sorted(map(int, told)) == list(range(count))
    assert errors == count


def test_exception_while_held_data_is_delivered_loses_none(loop, peers):
    sockets, told = [], []

    def read(_socket, data):
        told.append(data)
        if len(told) == 1:
            raise Oops

    server = setup(loop, lambda: tcp_server(LOOPBACK, 0, read, connect_cb=sockets.append))
    raw = peers.connect(server)
    pump_until(loop, lambda: sockets)
    sockets[0].disable(read=True)
    for piece in (b"a", b"b"):
        before = sockets[0].bytes_read
        raw.sendall(piece)
        # Enabled for the one moment in which the bytes come and are not yet delivered.
        sockets[0].enable(read=True)
        wait_until(lambda before=before: sockets[0].bytes_read > before)
        sockets[0].disable(read=True)
        drain(loop)
    sockets[0].enable(read=True)
    with pytest.raises(Oops):
        pump_until(loop, lambda: len(told) == 2)
    pump_until(loop, lambda: b"".join(told) == b"ab")


def test_connection_whose_stream_cannot_be_made_is_closed(loop, peers, monkeypatch):
    server = echo_server(loop, stream=True)
    drain(loop)
    monkeypatch.setattr(asynctcp.AsyncIOStream, "__init__", oops)
    raw = peers.connect(server)
    with pytest.raises(Oops):
        pump_until(loop, lambda: False)
    with pytest.raises(ConnectionResetError):
        raw.recv(1)


def test_caught_exception_does_not_come_out_of_pump():
    loop = EventLoop(catch_app_errors=True)
    told = []

    def tell(error):
        # Its traceback would hold the frame of this test, and that the loop.
        told.append(type(error))

    loop.call_soon_threadsafe(lambda: asynctcp.delay(oops, event_cb=tell))
    pump_until(loop, lambda: told)
    loop.exit()
    assert told == [asynctcp.TcpAppError]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_keyboard_interrupt_of_a_callback_ends_the_loop(error):
    loop = EventLoop()

    def stop():
        raise error

    loop.call_soon_threadsafe(stop)
    with pytest.raises(error):
        pump_until(loop, lambda: False)
    with pytest.raises(EventLoopError):
        loop.pump()


def test_ctrl_c_ends_a_waiting_pump(spawn):
    loop = EventLoop()
    drain(loop)
    main = threading.main_thread().ident

    def pump():
        waits.append(True)
        loop.pump(DEADLINE)

    waits = []

    def interrupt():
        wait_until(lambda: waits)
        wait_until_main_sleeps()
        signal.pthread_kill(main, signal.SIGINT)

    spawn(interrupt)
    with pytest.raises(KeyboardInterrupt):
        pump()


# --- the end ------------------------------------------------------------------------------------------------


def test_exit_in_a_callback_ends_the_loop():
    loop, told = EventLoop(), []

    def start():
        told.append(tcp_server(LOOPBACK, 0, None))
        asynctcp.add_event_loop_exit_callback(lambda: told.append("exit callback"))
        asynctcp.delay(fail)
        asynctcp.exit_event_loop()

    loop.call_soon_threadsafe(start)
    loop.pump()
    assert told[1:] == ["exit callback"]
    assert told[0].closed


def test_exit_outside_of_pump_ends_the_loop_at_once(peers):
    loop = EventLoop()
    server = echo_server(loop)
    loop.exit()
    assert server.closed
    with pytest.raises(OSError, match="refused"):
        peers.connect(server)


def test_exit_by_another_thread_ends_the_loop_in_the_next_pump(spawn):
    loop = EventLoop()
    server = echo_server(loop)
    drain(loop)
    spawn(loop.exit).join(DEADLINE)
    assert is_readable(loop, DEADLINE)
    loop.pump()
    assert server.closed


@pytest.mark.parametrize("use", [EventLoop.pump, lambda loop: loop.call_soon_threadsafe(ignore)])
def test_ended_loop_refuses(use):
    loop = EventLoop()
    loop.pump()
    loop.exit()
    with pytest.raises(EventLoopError):
        use(loop)


def test_exit_twice_and_a_late_pump_run_the_exit_callbacks_once():
    loop, told = EventLoop(), []
    loop.call_soon_threadsafe(lambda: asynctcp.add_event_loop_exit_callback(lambda: told.append("exit")))
    loop.pump()
    loop.exit()
    loop.exit()
    with pytest.raises(EventLoopError, match="ended"):
        loop.pump()
    assert told == ["exit"]


def test_descriptor_can_be_asked_for_in_a_callback_and_after_the_end():
    loop = EventLoop()
    number = loop.fileno()
    assert setup(loop, loop.fileno) == number
    loop.exit()
    assert loop.fileno() == number
    assert not is_readable(loop)


def test_fork_in_a_pumped_callback_sends_what_was_written_once(loop, peers):
    sockets = []
    server = setup(loop, lambda: tcp_server(LOOPBACK, 0, None, connect_cb=sockets.append))
    raw = peers.connect(server)
    pump_until(loop, lambda: sockets)

    def fork():
        sockets[0].write(b"once")
        return os.fork()

    children = []
    loop.call_soon_threadsafe(lambda: children.append(fork()))
    try:
        pump_until(loop, lambda: children)
    except EventLoopError:
        os._exit(0)  # the child, which is told that the loop is the parent's
    assert os.waitpid(children[0], 0)[1] == 0
    loop.call_soon_threadsafe(sockets[0].close)
    pump_until(loop, lambda: server.connections == 0)
    assert b"".join(iter(lambda: raw.recv(100), b"")) == b"once"


def test_forgotten_loop_is_closed_with_a_warning():
    loop = EventLoop()
    server = echo_server(loop)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del loop
        gc.collect()
    assert [warning.category for warning in caught] == [ResourceWarning]
    assert server.closed


# --- signals ------------------------------------------------------------------------------------------------


def test_signal_handler_runs_in_a_pumped_loop(loop):
    told = []
    setup(loop, lambda: asynctcp.signal_handler(signal.SIGUSR1, told.append))
    os.kill(os.getpid(), signal.SIGUSR1)
    pump_until(loop, lambda: told)
    setup(loop, asynctcp.clear_signal_handlers)
    assert told == [signal.SIGUSR1]


@pytest.fixture
def signal_later(spawn):
    """``signal_later(handler)`` runs it in this thread, in a signal's handler, once it waits."""
    before = signal.getsignal(signal.SIGUSR1)
    main = threading.main_thread().ident

    def later(handler):
        signal.signal(signal.SIGUSR1, lambda *_: handler())
        spawn(lambda: (wait_until_main_sleeps(), signal.pthread_kill(main, signal.SIGUSR1)))

    yield later
    signal.signal(signal.SIGUSR1, before)


def test_call_posted_by_a_signals_handler_ends_the_wait(loop, signal_later):
    drain(loop)
    told = []
    signal_later(lambda: loop.call_soon_threadsafe(told.append, 1))
    while not told:
        loop.pump(None)
    assert told == [1]


def test_exit_by_a_signals_handler_ends_the_wait(signal_later):
    loop = EventLoop()
    drain(loop)
    signal_later(loop.exit)
    loop.pump(None)
    with pytest.raises(EventLoopError, match="ended"):
        loop.pump()


def test_write_by_a_signals_handler_is_sent_while_pump_waits(loop, peers, signal_later):
    sockets = []
    server = setup(loop, lambda: tcp_server(LOOPBACK, 0, None, connect_cb=sockets.append))
    raw = peers.connect(server)
    pump_until(loop, lambda: sockets)
    drain(loop)
    signal_later(lambda: sockets[0].write(b"x"))
    loop.pump(DEADLINE)
    assert raw.recv(1) == b"x"


def test_timer_made_by_a_signals_handler_ends_the_wait(loop, signal_later):
    drain(loop)
    told = []
    signal_later(lambda: asynctcp.delay(lambda: told.append(1), 0.01))
    while not told:
        loop.pump(None)
    assert told == [1]


def test_call_posted_before_a_signals_handler_raised_is_not_forgotten(loop, signal_later):
    drain(loop)
    told = []

    def handler():
        loop.call_soon_threadsafe(told.append, 1)
        raise Oops

    signal_later(handler)
    with pytest.raises(Oops):
        loop.pump(None)
    pump_until(loop, lambda: told)
