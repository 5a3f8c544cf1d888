"""Contract, section 1, "Process": a forked child and its parent's loop; loops that are dropped."""

import errno
import gc
import os
import signal
import socket
import sys
import traceback
import warnings
from functools import partial

import pytest

import asynctcp
from asynctcp import EventLoop, EventLoopError
from helpers import DEADLINE, LOOPBACK, Oops, fail, ignore, oops, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def send():
    with pytest.deprecated_call():
        asynctcp.tcp_send(LOOPBACK, 1, None)


#: What a forked child cannot do with things of its parent's loop.
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
    "Poller.free": lambda kept: kept["poller"].free(),
    "Poller.__exit__": lambda kept: kept["poller"].__exit__(None, None, None),
    "free_poller": lambda kept: asynctcp.free_poller(kept["poller"]),
    "poll": lambda _: asynctcp.poll(0, fail),
    "Idler.free": lambda kept: kept["idler"].free(),
    "Idler.__exit__": lambda kept: kept["idler"].__exit__(None, None, None),
    "free_idler": lambda kept: asynctcp.free_idler(kept["idler"]),
    "idle": lambda _: asynctcp.idle(fail),
    "Timer.cancel": lambda kept: kept["timer"].cancel(),
    "Timer()": lambda kept: kept["timer"](),
    "Timer.ref": lambda kept: kept["timer"].ref(),
    "Timer.unref": lambda kept: kept["timer"].unref(),
    "remove_interval": lambda kept: asynctcp.remove_interval(kept["timer"]),
    "TcpServer.close": lambda kept: kept["server"].close(),
    "TcpServer.__exit__": lambda kept: kept["server"].__exit__(None, None, None),
    "TcpServer.reload_tls": lambda kept: kept["server"].reload_tls(None),
    "TcpServer.sockets": lambda kept: kept["server"].sockets,
    "close_tcp_server": lambda kept: asynctcp.close_tcp_server(kept["server"]),
    "Socket.write": lambda kept: kept["socket"].write(b"x"),
    "Socket.close": lambda kept: kept["socket"].close(),
    "Socket.c": lambda kept: kept["socket"].c,
    "Socket.write_buffer_size": lambda kept: kept["socket"].write_buffer_size,
    "Socket.set_write_buffer_limits": lambda kept: kept["socket"].set_write_buffer_limits(2, 1),
    "Socket.set_callbacks": lambda kept: kept["socket"].set_callbacks(read_cb=None),
    "Socket.start_tls": lambda kept: kept["socket"].start_tls(None),
    "Socket.detach": lambda kept: kept["socket"].detach(),
    "Socket.disable": lambda kept: kept["socket"].disable(read=True),
    "Socket.enable": lambda kept: kept["socket"].enable(read=True),
    "Socket.set_timeouts": lambda kept: kept["socket"].set_timeouts(1, 1),
    "Socket.shutdown_write": lambda kept: kept["socket"].shutdown_write(),
    "Socket.fileno": lambda kept: kept["socket"].fileno(),
    "Socket.set_nodelay": lambda kept: kept["socket"].set_nodelay(True),
    "Socket.set_keepalive": lambda kept: kept["socket"].set_keepalive(True),
    "AsyncIOStream": lambda kept: asynctcp.AsyncIOStream(kept["socket"]),
    "AsyncIOStream.write": lambda kept: kept["stream"].write(b"x"),
    "AsyncIOStream.writelines": lambda kept: kept["stream"].writelines([b"x"]),
    "AsyncIOStream.fileno": lambda kept: kept["stream"].fileno(),
    "AsyncIOStream.close": lambda kept: kept["stream"].close(),
    "Notifier": lambda kept: asynctcp.Notifier(kept["loop"], fail),
    "write_socket_data": lambda kept: asynctcp.write_socket_data(kept["socket"], b"x"),
    "close_socket": lambda kept: asynctcp.close_socket(kept["socket"]),
    "socket_c": lambda kept: asynctcp.socket_c(kept["socket"]),
    "enable_socket": lambda kept: asynctcp.enable_socket(kept["socket"], read=True),
    "disable_socket": lambda kept: asynctcp.disable_socket(kept["socket"], read=True),
    "set_socket_timeouts": lambda kept: asynctcp.set_socket_timeouts(kept["socket"], 1, 1),
    "connect_tcp_socket": lambda kept: asynctcp.connect_tcp_socket(kept["socket"], LOOPBACK, 1),
    "tcp_connect": lambda _: asynctcp.tcp_connect(LOOPBACK, 1, None),
    "tcp_send": lambda _: send(),
    "adopt_tcp_socket": lambda _: asynctcp.adopt_tcp_socket(socket.socketpair()[0], None),
    "init_tcp_socket": lambda _: asynctcp.init_tcp_socket(None),
    "init_pipe_socket": lambda _: asynctcp.init_pipe_socket(None),
    "pipe_connect": lambda _: asynctcp.pipe_connect("/", None),
    "pipe_server": lambda _: asynctcp.pipe_server("/", None),
    "connect_pipe_socket": lambda kept: asynctcp.connect_pipe_socket(kept["socket"], "/"),
    "tcp_server": lambda _: asynctcp.tcp_server(LOOPBACK, 0, None),
    "dns_lookup": lambda _: asynctcp.dns_lookup(LOOPBACK, fail),
    "reverse_dns_lookup": lambda _: asynctcp.reverse_dns_lookup(LOOPBACK, fail),
    "delay": lambda _: asynctcp.delay(fail),
    "with_delay": lambda _: asynctcp.with_delay()(fail),
    "interval": lambda _: asynctcp.interval(fail, 1),
    "with_interval": lambda _: asynctcp.with_interval(1)(fail),
    "make_notifier": lambda _: asynctcp.make_notifier(fail),
    "signal_handler": lambda _: asynctcp.signal_handler(signal.SIGUSR1, fail),
    "free_signal_handler": lambda _: asynctcp.free_signal_handler(signal.SIGUSR1),
    "clear_signal_handlers": lambda _: asynctcp.clear_signal_handlers(),
    "add_event_loop_exit_callback": lambda _: asynctcp.add_event_loop_exit_callback(fail),
    "current_event_loop": lambda _: asynctcp.current_event_loop(),
    "exit_event_loop": lambda _: asynctcp.exit_event_loop(),
    "stats": lambda _: asynctcp.stats(),
}

#: What is answered there all the same: it is read from memory, or under locks that are taken with the
#: interpreter's alone, so no thread of the parent's can have held them.
ANSWERS = {
    "Socket.closed": lambda kept: kept["socket"].closed,
    "Socket.close_reason": lambda kept: kept["socket"].close_reason,
    "Socket.data": lambda kept: kept["socket"].data,
    "Socket.server": lambda kept: kept["accepted"].server is kept["server"],
    "Socket.stream": lambda kept: kept["socket"].stream is kept["stream"],
    "Socket.peername": lambda kept: kept["socket"].peername,
    "Socket.sockname": lambda kept: kept["socket"].sockname,
    "Socket.transport_peername": lambda kept: kept["socket"].transport_peername,
    "Socket.proxy": lambda kept: kept["socket"].proxy,
    "Socket.peercred": lambda kept: kept["socket"].peercred,
    "Socket.tls": lambda kept: kept["socket"].tls,
    "Socket.bytes_read": lambda kept: kept["socket"].bytes_read,
    "Socket.bytes_written": lambda kept: kept["socket"].bytes_written,
    "socket_closed_p": lambda kept: asynctcp.socket_closed_p(kept["socket"]),
    "socket_data": lambda kept: asynctcp.socket_data(kept["socket"]),
    "TcpServer.closed": lambda kept: kept["server"].closed,
    "TcpServer.address": lambda kept: kept["server"].address,
    "TcpServer.addresses": lambda kept: kept["server"].addresses,
    "TcpServer.host": lambda kept: kept["server"].host,
    "TcpServer.port": lambda kept: kept["server"].port,
    "TcpServer.connections": lambda kept: kept["server"].connections,
    "Timer.cancelled": lambda kept: kept["timer"].cancelled,
    "Poller.freed": lambda kept: kept["poller"].freed,
    "Poller.closed": lambda kept: kept["poller"].closed,
    "Poller.fd": lambda kept: kept["poller"].fd,
    "Poller.poll_for": lambda kept: kept["poller"].poll_for,
    "Poller.timeout": lambda kept: kept["poller"].timeout,
    "Poller.callback": lambda kept: kept["poller"].callback is fail,
    "Poller.event_cb": lambda kept: kept["poller"].event_cb,
    "Idler.freed": lambda kept: kept["idler"].freed,
    "Idler.closed": lambda kept: kept["idler"].closed,
    "Idler.callback": lambda kept: kept["idler"].callback is ignore,
    "Idler.event_cb": lambda kept: kept["idler"].event_cb,
    "Notifier.freed": lambda kept: kept["notifier"].freed,
    "AsyncIOStream.socket": lambda kept: kept["stream"].socket is kept["socket"],
    "AsyncIOStream.closed": lambda kept: kept["stream"].closed,
    "AsyncIOStream.buffered": lambda kept: kept["stream"].buffered,
    "AsyncIOStream.readable": lambda kept: kept["stream"].readable(),
    "AsyncIOStream.writable": lambda kept: kept["stream"].writable(),
    "AsyncIOStream.flush": lambda kept: kept["stream"].flush(),
    "AsyncIOStream.peek": lambda kept: kept["stream"].peek(1),
    # What is taken is taken from this process's copy.
    "AsyncIOStream.read": lambda kept: kept["stream"].read(1),
    "AsyncIOStream.readinto": lambda kept: kept["stream"].readinto(bytearray(1)),
    "AsyncIOStream.readline": lambda kept: kept["stream"].readline(),
    "AsyncIOStream.readall": lambda kept: kept["stream"].readall(),
    "event_errcode": lambda kept: asynctcp.event_errcode(kept["condition"]),
    "event_errmsg": lambda kept: asynctcp.event_errmsg(kept["condition"]),
    "tcp_socket": lambda kept: asynctcp.tcp_socket(kept["condition"]) is kept["socket"],
    "tcp_accept_error_server": lambda kept: asynctcp.tcp_accept_error_server(kept["accept_error"]),
    "tcp_accept_error_listener": lambda kept: asynctcp.tcp_accept_error_listener(kept["accept_error"]),
    "default_event_handler": lambda kept: asynctcp.default_event_handler(kept["condition"]),
}

#: What is of no loop, or makes one.
OF_NO_LOOP = {
    "EventLoop",
    "ProxyHeader",
    "ProxyInfo",
    "condition_from_errno",
    "event_loop",
    "set_default_event_handler",
    "start_event_loop",
}
#: Made by the library only.
NOT_MADE = {"Idler", "Poller", "Server", "Socket", "TcpServer", "Timer", "TlsConfig", "TlsInfo"}
#: No names of their own.
SLOTS = {"Timer()", "TcpServer.__exit__", "Poller.__exit__", "Idler.__exit__"}


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
    read, write = os.pipe()
    kept = {"loop": loop, "pipe": read}

    def accepted(ours):
        kept["accepted"] = ours
        ours.write(b"a\nb\n")

    def start():
        kept["server"] = asynctcp.tcp_server(LOOPBACK, 0, None, connect_cb=accepted)
        kept["notifier"] = asynctcp.make_notifier(fail)
        kept["timer"] = asynctcp.delay(fail, 3600)
        kept["poller"] = asynctcp.poll(kept["pipe"], fail, timeout=3600)
        kept["idler"] = asynctcp.idle(ignore)
        stream = asynctcp.tcp_connect(
            *kept["server"].address, lambda _, stream: kept.update(ready=stream.buffered), stream=True
        )
        kept["socket"], kept["stream"] = stream.socket, stream
        kept["condition"] = asynctcp.TcpError(errno.EPIPE, "broken", stream.socket)
        kept["accept_error"] = asynctcp.TcpAcceptError(errno.EMFILE, "none left", server=kept["server"])

    loop.call_soon_threadsafe(start)
    while kept.get("ready") != 4:
        loop.pump(DEADLINE)
    del kept["ready"]
    yield kept
    loop.exit()
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("use", USES)
def test_it_raises_in_a_forked_child(use, kept):
    def child():
        try:
            USES[use](kept)
        except EventLoopError:
            return 0
        return 2

    assert in_child(child) == 0


@pytest.mark.parametrize("use", ANSWERS)
def test_it_answers_in_a_forked_child_as_in_the_parent(use, kept):
    # The parent last: what is read from a stream is gone.
    read, write = os.pipe()

    def child():
        os.write(write, repr(ANSWERS[use](kept)).encode())

    assert in_child(child) == 0
    os.close(write)
    answered = os.read(read, 1000)
    os.close(read)
    assert answered == repr(ANSWERS[use](kept)).encode()


def test_everything_public_either_raises_or_answers_in_a_forked_child():
    functions = {name: getattr(asynctcp, name) for name in asynctcp.__all__}
    everything = {
        name
        for name, function in functions.items()
        if callable(function) and not (isinstance(function, type) and issubclass(function, Exception))
    }
    for kind in (
        asynctcp.Socket,
        asynctcp.TcpServer,
        asynctcp.Timer,
        asynctcp.Notifier,
        asynctcp.Poller,
        asynctcp.Idler,
        asynctcp.AsyncIOStream,
    ):
        everything |= {f"{kind.__name__}.{name}" for name in vars(kind) if not name.startswith("_")}
    for kind in EventLoop.__mro__[:2]:
        everything |= {f"EventLoop.{name}" for name in vars(kind) if not name.startswith("_")}
    assert everything - OF_NO_LOOP - NOT_MADE == {use for use in {**USES, **ANSWERS} if use not in SLOTS}


def test_all_of_it_can_be_shown_and_dropped_in_a_forked_child(kept):
    def child():
        shown = [repr(each) for each in kept.values()]
        kept.clear()
        gc.collect()
        return len(shown) != 12

    assert in_child(child) == 0


def test_block_of_a_server_that_raised_goes_on_raising_in_a_forked_child(kept):
    def child():
        try:
            with kept["server"]:
                oops()
        except Oops:
            return 0

    assert in_child(child) == 0


def test_stream_that_could_not_be_closed_in_a_forked_child_is_open(kept):
    def child():
        try:
            kept["stream"].close()
        except EventLoopError:
            return kept["stream"].read() != b"a\nb\n"

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
