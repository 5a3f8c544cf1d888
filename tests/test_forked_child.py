"""Contract, section 1, "Process": a forked child and its parent's loop; loops that are dropped."""

import gc
import os
import signal
import sys
import traceback
import warnings
from functools import partial

import pytest

import asynctcp
from asynctcp import EventLoop, EventLoopError
from helpers import DEADLINE, LOOPBACK, fail, ignore, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

USES = {
    "EventLoop.run": lambda kept: kept["loop"].run(),
    "EventLoop.exit": lambda kept: kept["loop"].exit(),
    "EventLoop.fileno": lambda kept: kept["loop"].fileno(),
    "EventLoop.pump": lambda kept: kept["loop"].pump(),
    "EventLoop.stats": lambda kept: kept["loop"].stats(),
    "EventLoop.set_busy_poll": lambda kept: kept["loop"].set_busy_poll(0),
    "EventLoop.call_soon_threadsafe": lambda kept: kept["loop"].call_soon_threadsafe(fail),
    "Notifier.trigger": lambda kept: kept["notifier"].trigger(),
    "Notifier.free": lambda kept: kept["notifier"].free(),
    "Notifier.ref": lambda kept: kept["notifier"].ref(),
    "Notifier.unref": lambda kept: kept["notifier"].unref(),
    "trigger_notifier": lambda kept: asynctcp.trigger_notifier(kept["notifier"]),
    "free_notifier": lambda kept: asynctcp.free_notifier(kept["notifier"]),
    "Timer.cancel": lambda kept: kept["timer"].cancel(),
    "Timer()": lambda kept: kept["timer"](),
    "Timer.ref": lambda kept: kept["timer"].ref(),
    "Timer.unref": lambda kept: kept["timer"].unref(),
    "remove_interval": lambda kept: asynctcp.remove_interval(kept["timer"]),
    "TcpServer.close": lambda kept: kept["server"].close(),
    "TcpServer.sockets": lambda kept: kept["server"].sockets,
    "close_tcp_server": lambda kept: asynctcp.close_tcp_server(kept["server"]),
    "Socket.write": lambda kept: kept["socket"].write(b"x"),
    "Socket.close": lambda kept: kept["socket"].close(),
    "Socket.c": lambda kept: kept["socket"].c,
    "Socket.write_buffer_size": lambda kept: kept["socket"].write_buffer_size,
    "Socket.set_write_buffer_limits": lambda kept: kept["socket"].set_write_buffer_limits(2, 1),
    "Socket.set_callbacks": lambda kept: kept["socket"].set_callbacks(read_cb=None),
    "Socket.disable": lambda kept: kept["socket"].disable(read=True),
    "Socket.enable": lambda kept: kept["socket"].enable(read=True),
    "Socket.set_timeouts": lambda kept: kept["socket"].set_timeouts(1, 1),
    "Socket.shutdown_write": lambda kept: kept["socket"].shutdown_write(),
    "Socket.fileno": lambda kept: kept["socket"].fileno(),
    "Socket.set_nodelay": lambda kept: kept["socket"].set_nodelay(True),
    "Socket.set_keepalive": lambda kept: kept["socket"].set_keepalive(True),
    "AsyncIOStream.write": lambda kept: kept["socket"].stream.write(b"x"),
    "AsyncIOStream.fileno": lambda kept: kept["socket"].stream.fileno(),
    "write_socket_data": lambda kept: asynctcp.write_socket_data(kept["socket"], b"x"),
    "close_socket": lambda kept: asynctcp.close_socket(kept["socket"]),
    "socket_c": lambda kept: asynctcp.socket_c(kept["socket"]),
    "enable_socket": lambda kept: asynctcp.enable_socket(kept["socket"], read=True),
    "disable_socket": lambda kept: asynctcp.disable_socket(kept["socket"], read=True),
    "set_socket_timeouts": lambda kept: asynctcp.set_socket_timeouts(kept["socket"], 1, 1),
    "connect_tcp_socket": lambda kept: asynctcp.connect_tcp_socket(kept["socket"], LOOPBACK, 1),
    "tcp_connect": lambda _: asynctcp.tcp_connect(LOOPBACK, 1, None),
    "init_tcp_socket": lambda _: asynctcp.init_tcp_socket(None),
    "tcp_server": lambda _: asynctcp.tcp_server(LOOPBACK, 0, None),
    "dns_lookup": lambda _: asynctcp.dns_lookup(LOOPBACK, fail),
    "reverse_dns_lookup": lambda _: asynctcp.reverse_dns_lookup(LOOPBACK, fail),
    "delay": lambda _: asynctcp.delay(fail),
    "interval": lambda _: asynctcp.interval(fail, 1),
    "make_notifier": lambda _: asynctcp.make_notifier(fail),
    "signal_handler": lambda _: asynctcp.signal_handler(signal.SIGUSR1, fail),
    "free_signal_handler": lambda _: asynctcp.free_signal_handler(signal.SIGUSR1),
    "clear_signal_handlers": lambda _: asynctcp.clear_signal_handlers(),
    "add_event_loop_exit_callback": lambda _: asynctcp.add_event_loop_exit_callback(fail),
    "current_event_loop": lambda _: asynctcp.current_event_loop(),
    "exit_event_loop": lambda _: asynctcp.exit_event_loop(),
    "stats": lambda _: asynctcp.stats(),
}


def in_child(work):
    """Fork, do ``work()`` in the child, and return its exit status."""
    child = os.fork()
    if not child:
        status = 1
        try:
            status = work() or 0
        except BaseException:  # noqa: BLE001 (the child must not go on with the tests)
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(status)
    ended = []

    def has_ended():
        ended[:] = os.waitpid(child, os.WNOHANG)
        return ended[0]

    try:
        wait_until(has_ended)
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    return os.waitstatus_to_exitcode(ended[1])


@pytest.fixture
def kept():
    """Things of a pumped loop."""
    loop = EventLoop()
    kept = {"loop": loop}

    def start():
        kept["server"] = asynctcp.tcp_server(LOOPBACK, 0, None)
        kept["notifier"] = asynctcp.make_notifier(fail)
        kept["timer"] = asynctcp.delay(fail, 3600)
        stream = asynctcp.tcp_connect(
            *kept["server"].address, None, stream=True, connect_cb=lambda _: kept.update(ready=True)
        )
        kept["socket"] = stream.socket

    loop.call_soon_threadsafe(start)
    while "ready" not in kept:
        loop.pump(DEADLINE)
    yield kept
    loop.exit()


@pytest.mark.parametrize("use", USES)
def test_it_raises_in_a_forked_child(use, kept):
    def child():
        try:
            USES[use](kept)
        except EventLoopError:
            return 0
        return 2

    assert in_child(child) == 0


def test_all_of_it_can_be_shown_and_dropped_in_a_forked_child(kept):
    def child():
        shown = [repr(each) for each in kept.values()]
        kept.clear()
        gc.collect()
        return len(shown) != 6

    assert in_child(child) == 0


def test_forked_child_that_drops_a_pumped_loop_goes_on():
    loop = EventLoop()
    loop.pump()

    def child():
        nonlocal loop
        del loop
        gc.collect()

    assert in_child(child) == 0
    loop.exit()


def test_signal_for_the_parents_loop_is_ignored_in_a_forked_child():
    told = []

    def child():
        os.kill(os.getpid(), signal.SIGUSR1)

    def start():
        asynctcp.signal_handler(signal.SIGUSR1, fail)
        told.append(in_child(child))
        asynctcp.exit_event_loop()

    asynctcp.start_event_loop(start)
    assert told == [0]


@pytest.mark.parametrize("held_by", ["cycle", "timer", "post"])
def test_dropped_pumped_loop_that_holds_itself_is_closed_with_a_warning(held_by):
    loop = EventLoop()
    kept = []

    def start():
        kept.append(asynctcp.tcp_server(LOOPBACK, 0, None))
        if held_by == "timer":
            asynctcp.delay(partial(ignore, asynctcp.current_event_loop()), 3600)

    if held_by == "cycle":
        loop.me = loop
    loop.call_soon_threadsafe(start)
    while not kept:
        loop.pump(DEADLINE)
    if held_by == "post":
        loop.call_soon_threadsafe(ignore, loop)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del loop, start
        gc.collect()
    told = [warning.category for warning in caught]
    # A warning holds the loop, and that itself.
    caught.clear()
    gc.collect()
    assert told == [ResourceWarning]
    assert kept[0].closed
