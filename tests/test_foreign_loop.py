"""``EventLoop.fileno()`` and ``pump()``: a foreign loop drives ours (docs/contract.md, section 1)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import signal
import socket
import threading
import time
import warnings

import pytest

import asynctcp
from asynctcp import EventLoop, EventLoopError, tcp_server
from helpers import DEADLINE, LOOPBACK, SOON, DeadlineMissed, fail, ignore, wait_until


@pytest.fixture
def loop():
    """A loop that is pumped and ended."""
    loop = EventLoop()
    yield loop
    loop.exit()


def is_readable(loop, timeout=0.0):
    return select.select([loop.fileno()], [], [], timeout)[0] != []


def pump_until(loop, condition):
    """What a foreign loop does: pump whenever the descriptor is readable, until ``condition()``."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise DeadlineMissed
        if is_readable(loop, 1.0):
            loop.pump()


def drain(loop):
    """Pump until the descriptor is silent."""
    pump_until(loop, lambda: not is_readable(loop))


def setup(loop, function):
    """Run ``function()`` in the loop; return what it returned."""
    results = []
    loop.call_soon_threadsafe(lambda: results.append(function()))
    pump_until(loop, lambda: results)
    return results[0]


def echo(socket, data):
    socket.write(data)


def echo_server(loop, **keywords):
    return setup(loop, lambda: tcp_server(LOOPBACK, 0, echo, **keywords))


def exchange(loop, raw, data):
    """Send ``data`` and pump until as much came back."""
    raw.sendall(data)
    raw.setblocking(False)
    got = bytearray()

    def come():
        with contextlib.suppress(BlockingIOError):
            got.extend(raw.recv(1 << 16))
        return len(got) == len(data)

    pump_until(loop, come)
    return bytes(got)


# --- readable when events wait ------------------------------------------------------------------------------


def test_descriptor_is_the_same_each_time(loop):
    assert loop.fileno() == loop.fileno()


def test_posted_call_makes_the_descriptor_readable(loop):
    drain(loop)
    loop.call_soon_threadsafe(ignore)
    assert is_readable(loop, DEADLINE)


def test_call_posted_before_the_first_fileno_makes_it_readable(loop):
    loop.call_soon_threadsafe(ignore)
    assert is_readable(loop, DEADLINE)


def test_pump_makes_a_quiet_loop_silent(loop):
    setup(loop, ignore)
    drain(loop)
    assert not is_readable(loop)


def test_connection_makes_the_descriptor_readable(loop, peers):
    server = echo_server(loop)
    drain(loop)
    peers.connect(server)
    assert is_readable(loop, DEADLINE)


def test_due_timer_makes_the_descriptor_readable(loop):
    told = []
    setup(loop, lambda: asynctcp.delay(lambda: told.append("timer"), 0.03))
    pump_until(loop, lambda: told)
    assert told == ["timer"]


def test_interval_beats_go_on(loop):
    told = []
    setup(loop, lambda: asynctcp.interval(lambda: told.append("beat"), 0.005))
    pump_until(loop, lambda: len(told) == 5)


def test_timer_earlier_than_the_one_before_is_on_time(loop):
    told = []

    def start():
        asynctcp.delay(ignore, 60)
        loop.call_soon_threadsafe(lambda: asynctcp.delay(lambda: told.append("early"), 0.01))

    setup(loop, start)
    pump_until(loop, lambda: told)


# --- what pump does -----------------------------------------------------------------------------------------


def test_echo_through_pump(loop, peers):
    server = echo_server(loop)
    assert exchange(loop, peers.connect(server), b"hello") == b"hello"


def test_large_echo_through_pump(loop, peers, spawn):
    data, got = os.urandom(1 << 20), bytearray()
    raw = peers.connect(echo_server(loop))

    def read():
        while len(got) < len(data):
            got.extend(raw.recv(1 << 16))

    spawn(raw.sendall, data)
    reader = spawn(read)
    pump_until(loop, lambda: not reader.is_alive())
    assert bytes(got) == data


def test_what_a_callback_wrote_is_sent_when_pump_returns(loop, peers):
    server = echo_server(loop)
    raw = peers.connect(server)
    raw.sendall(b"x")
    read = []
    pump_until(loop, lambda: read or select.select([raw], [], [], 0)[0] != [])
    assert raw.recv(10) == b"x"


def test_write_from_outside_of_pump_is_sent(loop, peers):
    sockets = []
    server = setup(loop, lambda: tcp_server(LOOPBACK, 0, None, connect_cb=sockets.append))
    raw = peers.connect(server)
    pump_until(loop, lambda: sockets)
    sockets[0].write(b"from outside")
    pump_until(loop, lambda: select.select([raw], [], [], 0)[0] != [])
    assert raw.recv(100) == b"from outside"


def test_write_cb_runs_in_a_pump(loop, peers):
    told = []
    setup(
        loop,
        lambda: asynctcp.tcp_connect(
            *peers.address, None, data=b"x", write_cb=lambda socket: told.append(socket.write_buffer_size)
        ),
    )
    pump_until(loop, lambda: told)
    assert told == [0]


def test_pump_counts_what_it_dispatched(loop):
    drain(loop)
    for _ in range(3):
        loop.call_soon_threadsafe(ignore)
    assert loop.pump() == 3


def test_pump_with_nothing_to_do_counts_none(loop):
    drain(loop)
    assert loop.pump() == 0


def test_pump_does_not_wait_by_default(loop):
    drain(loop)
    began = time.monotonic()
    loop.pump()
    assert time.monotonic() - began < SOON


def test_pump_waits_for_its_timeout(loop):
    drain(loop)
    began = time.monotonic()
    assert loop.pump(0.05) == 0
    assert time.monotonic() - began >= 0.05


@pytest.mark.parametrize("timeout", [None, DEADLINE, float("inf")])
def test_pump_waits_until_something_is_to_be_done(timeout, loop, spawn):
    drain(loop)
    told = []
    spawn(loop.call_soon_threadsafe, told.append, 1)
    while not told:
        loop.pump(timeout)
    assert told == [1]


@pytest.mark.parametrize(
    ("timeout", "error"), [("1", TypeError), (True, TypeError), (float("nan"), ValueError), (-1, ValueError)]
)
def test_pump_refuses_a_bad_timeout(timeout, error, loop):
    with pytest.raises(error, match="timeout"):
        loop.pump(timeout)


def test_quiet_loop_goes_on(loop):
    drain(loop)
    assert setup(loop, lambda: "still there") == "still there"


# --- the current loop ---------------------------------------------------------------------------------------


def test_loop_is_current_inside_pump_only(loop):
    assert setup(loop, asynctcp.current_event_loop) is loop
    with pytest.raises(EventLoopError):
        asynctcp.current_event_loop()


def test_native_functions_find_no_loop_outside_of_pump(loop):
    setup(loop, ignore)
    with pytest.raises(EventLoopError):
        asynctcp.delay(ignore)


def test_two_loops_are_pumped_in_one_thread(loop, peers):
    other = EventLoop()
    one, two = echo_server(loop), echo_server(other)
    assert exchange(loop, peers.connect(one), b"one") == b"one"
    assert exchange(other, peers.connect(two), b"two") == b"two"
    other.exit()


def test_pump_in_a_callback_of_its_own_is_an_error(loop):
    def nested():
        with pytest.raises(EventLoopError):
            loop.pump()
        return asynctcp.current_event_loop()

    assert setup(loop, nested) is loop


def test_pump_inside_of_another_loop_is_an_error(loop):
    def start():
        outer = asynctcp.current_event_loop()
        with pytest.raises(EventLoopError):
            loop.pump()
        assert asynctcp.current_event_loop() is outer

    asynctcp.start_event_loop(start)


def test_start_event_loop_in_a_pumped_callback_is_an_error(loop):
    def nested():
        with pytest.raises(EventLoopError):
            asynctcp.start_event_loop(fail)
        return "refused"

    assert setup(loop, nested) == "refused"


def test_pump_in_a_second_thread_is_an_error(loop, spawn):
    setup(loop, ignore)

    def elsewhere():
        with pytest.raises(EventLoopError):
            loop.pump()

    spawn(elsewhere).join(DEADLINE)


def test_loop_may_be_pumped_in_another_thread_than_that_of_fileno(loop, spawn):
    loop.fileno()
    told = []
    loop.call_soon_threadsafe(lambda: told.append(threading.get_ident()))
    ended = []

    def elsewhere():
        loop.pump()
        loop.exit()
        ended.append(threading.get_ident())

    spawn(elsewhere).join(DEADLINE)
    assert told == ended


def test_run_of_a_pumped_loop_is_an_error(loop):
    loop.fileno()
    with pytest.raises(EventLoopError):
        loop.run(fail)


@pytest.mark.parametrize("use", [EventLoop.fileno, EventLoop.pump])
def test_fileno_and_pump_of_a_running_loop_are_errors(use):
    loop = EventLoop()

    def start():
        with pytest.raises(EventLoopError):
            use(loop)

    loop.run(start)


# --- exceptions ---------------------------------------------------------------------------------------------


class Oops(Exception):
    pass


def raise_oops(*_):
    raise Oops


def test_exception_comes_out_of_pump_and_the_rest_follows(loop):
    drain(loop)
    told = []
    for call in (lambda: told.append(1), raise_oops, lambda: told.append(2), lambda: told.append(3)):
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


def test_caught_exception_does_not_come_out_of_pump():
    loop = EventLoop(catch_app_errors=True)
    told = []

    def tell(error):
        # Its traceback would hold the frame of this test, and that the loop.
        told.append(type(error))

    loop.call_soon_threadsafe(lambda: asynctcp.delay(raise_oops, event_cb=tell))
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
    spawn(lambda: (wait_until(lambda: waits), time.sleep(0.05), signal.pthread_kill(main, signal.SIGINT)))
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


def test_write_cb_that_writes_again_and_again_starves_nobody(loop, peers):
    told = []

    def again(socket):
        socket.write(b"x", write_cb=again)

    def start():
        server = tcp_server(LOOPBACK, 0, lambda _socket, data: told.append(data))
        asynctcp.tcp_connect(*peers.address, None, data=b"x", write_cb=again)
        return server

    server = setup(loop, start)
    reader = peers.accept()
    peers.connect(server).sendall(b"heard")
    reader.settimeout(0)

    def heard():
        with contextlib.suppress(BlockingIOError):
            reader.recv(1 << 20)
        return told

    pump_until(loop, heard)
    assert told == [b"heard"]


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


def test_many_short_timers_beside_a_long_one_leave_nothing_behind(loop):
    setup(loop, lambda: asynctcp.delay(ignore, 3600))
    for _ in range(50):
        told = []
        setup(loop, lambda told=told: asynctcp.delay(lambda: told.append(1), 0.001))
        pump_until(loop, lambda told=told: told)


def test_forgotten_loop_is_closed_with_a_warning():
    loop = EventLoop()
    server = echo_server(loop)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del loop
        gc.collect()
    assert [warning.category for warning in caught] == [ResourceWarning]
    assert server.closed


# --- under asyncio ------------------------------------------------------------------------------------------


def test_asyncio_drives_an_echo_server():
    async def main():
        ours = EventLoop()
        asyncio.get_running_loop().add_reader(ours.fileno(), ours.pump)
        ready = asyncio.get_running_loop().create_future()
        ours.call_soon_threadsafe(lambda: ready.set_result(tcp_server(LOOPBACK, 0, echo)))
        server = await ready
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"through asyncio")
        got = await reader.readexactly(15)
        writer.close()
        await writer.wait_closed()
        asyncio.get_running_loop().remove_reader(ours.fileno())
        ours.exit()
        return got

    assert asyncio.run(asyncio.wait_for(main(), DEADLINE)) == b"through asyncio"


def test_asyncio_goes_on_after_the_loop_ended_itself():
    async def main():
        ours = EventLoop()
        loop = asyncio.get_running_loop()
        loop.add_reader(ours.fileno(), ours.pump)
        ended = loop.create_future()

        def start():
            asynctcp.add_event_loop_exit_callback(lambda: ended.set_result(None))
            asynctcp.exit_event_loop()

        ours.call_soon_threadsafe(start)
        await ended
        loop.remove_reader(ours.fileno())
        near, far = socket.socketpair()
        with far:
            reader, writer = await asyncio.open_connection(sock=near)
            far.sendall(b"hi")
            got = await reader.readexactly(2)
            writer.close()
            await writer.wait_closed()
        return got

    assert asyncio.run(asyncio.wait_for(main(), DEADLINE)) == b"hi"


def test_signal_handler_runs_in_a_pumped_loop(loop):
    told = []
    setup(loop, lambda: asynctcp.signal_handler(signal.SIGUSR1, told.append))
    os.kill(os.getpid(), signal.SIGUSR1)
    pump_until(loop, lambda: told)
    setup(loop, asynctcp.clear_signal_handlers)
    assert told == [signal.SIGUSR1]


def test_blackholed_raw_listener_is_no_busy_loop(loop, peers):
    """A loop that waits for a connection attempt keeps its descriptor silent."""
    setup(loop, lambda: asynctcp.tcp_connect(*peers.black_hole(), None))
    drain(loop)
    assert not is_readable(loop, 0.05)


# --- what a signal's handler leaves while pump() waits ------------------------------------------------------


@pytest.fixture
def signal_later(spawn):
    """``signal_later(handler)`` runs it in this thread, in a signal's handler, a little later."""
    before = signal.getsignal(signal.SIGUSR1)
    main = threading.main_thread().ident

    def later(handler):
        signal.signal(signal.SIGUSR1, lambda *_: handler())
        spawn(lambda: (time.sleep(0.02), signal.pthread_kill(main, signal.SIGUSR1)))

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


def test_connection_whose_stream_cannot_be_made_is_closed(loop, peers, monkeypatch):
    server = echo_server(loop, stream=True)
    drain(loop)
    monkeypatch.setattr(asynctcp.AsyncIOStream, "__init__", raise_oops)
    raw = peers.connect(server)
    with pytest.raises(Oops):
        pump_until(loop, lambda: False)
    with pytest.raises(ConnectionResetError):
        raw.recv(1)
