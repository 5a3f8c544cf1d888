"""Coroutine functions are no callbacks, and an awaitable is not dropped in silence (docs/contract.md, 1)."""

from __future__ import annotations

import asyncio
import functools
import gc
import signal
import warnings

import pytest

import asynctcp
from asynctcp import EventLoop, delay
from helpers import LOOPBACK, Oops, ignore, in_loop, oops, run


async def coroutine(*_):
    """What must not be given as a callback."""


async def generator(*_):
    yield


class Handler:
    async def method(self, *_):
        """Also."""

    async def __call__(self, *_):
        """Also."""

    @classmethod
    async def of_class(cls, *_):
        """Also."""


ASYNC = {
    "function": coroutine,
    "generator": generator,
    "partial": functools.partial(coroutine, 1),
    "partial of a method": functools.partial(functools.partial(Handler().method)),
    "method": Handler().method,
    "class method": Handler.of_class,
    "object": Handler(),
    "partial of an object": functools.partial(Handler()),
}

#: Every place that takes a callback, by the name of the argument.
PLACES = {
    "tcp_connect read_cb": lambda fn: asynctcp.tcp_connect(LOOPBACK, 1, fn),
    "tcp_connect event_cb": lambda fn: asynctcp.tcp_connect(LOOPBACK, 1, None, fn),
    "tcp_connect connect_cb": lambda fn: asynctcp.tcp_connect(LOOPBACK, 1, None, connect_cb=fn),
    "tcp_connect write_cb": lambda fn: asynctcp.tcp_connect(LOOPBACK, 1, None, write_cb=fn),
    "tcp_connect close_cb": lambda fn: asynctcp.tcp_connect(LOOPBACK, 1, None, close_cb=fn),
    "init_tcp_socket read_cb": asynctcp.init_tcp_socket,
    "connect_tcp_socket event_cb": lambda fn: asynctcp.connect_tcp_socket(
        asynctcp.init_tcp_socket(None), LOOPBACK, 1, event_cb=fn
    ),
    "write read_cb": lambda fn: asynctcp.init_tcp_socket(None).write(b"", read_cb=fn),
    "write write_cb": lambda fn: asynctcp.init_tcp_socket(None).write(b"", write_cb=fn),
    "write_socket_data event_cb": lambda fn: asynctcp.write_socket_data(
        asynctcp.init_tcp_socket(None), b"", event_cb=fn
    ),
    "set_callbacks close_cb": lambda fn: asynctcp.init_tcp_socket(None).set_callbacks(close_cb=fn),
    "tcp_server read_cb": lambda fn: asynctcp.tcp_server(LOOPBACK, 0, fn),
    "tcp_server event_cb": lambda fn: asynctcp.tcp_server(LOOPBACK, 0, None, fn),
    "tcp_server connect_cb": lambda fn: asynctcp.tcp_server(LOOPBACK, 0, None, connect_cb=fn),
    "tcp_server close_cb": lambda fn: asynctcp.tcp_server(LOOPBACK, 0, None, close_cb=fn),
    "delay callback": delay,
    "delay event_cb": lambda fn: delay(ignore, 1, event_cb=fn),
    "interval callback": lambda fn: asynctcp.interval(fn, 1),
    "with_delay callback": asynctcp.with_delay(1),
    "dns_lookup callback": lambda fn: asynctcp.dns_lookup("localhost", fn),
    "dns_lookup event_cb": lambda fn: asynctcp.dns_lookup("localhost", ignore, event_cb=fn),
    "reverse_dns_lookup callback": lambda fn: asynctcp.reverse_dns_lookup(LOOPBACK, fn),
    "add_event_loop_exit_callback fn": asynctcp.add_event_loop_exit_callback,
    "signal_handler callback": lambda fn: asynctcp.signal_handler(signal.SIGUSR1, fn),
    "signal_handler event_cb": lambda fn: asynctcp.signal_handler(signal.SIGUSR1, ignore, event_cb=fn),
    "poll callback": lambda fn: asynctcp.poll(0, fn),
    "poll event_cb": lambda fn: asynctcp.poll(0, ignore, event_cb=fn),
    "idle callback": asynctcp.idle,
    "idle event_cb": lambda fn: asynctcp.idle(ignore, event_cb=fn),
    "make_notifier callback": asynctcp.make_notifier,
    "make_notifier event_cb": lambda fn: asynctcp.make_notifier(ignore, event_cb=fn),
    "call_soon_threadsafe fn": lambda fn: asynctcp.current_event_loop().call_soon_threadsafe(fn),
    "set_default_event_handler fn": asynctcp.set_default_event_handler,
    "start_event_loop start_fn": asynctcp.start_event_loop,
    "run start_fn": lambda fn: EventLoop().run(fn),
    "EventLoop catch_app_errors": lambda fn: EventLoop(catch_app_errors=fn),
}


@pytest.mark.parametrize("place", PLACES)
def test_coroutine_function_is_refused_at_the_call(place):
    def look():
        with pytest.raises(TypeError, match=rf"^{place.split()[-1]} must be .*use asynctcp\.aio") as caught:
            PLACES[place](coroutine)
        assert "coroutine at 0x" in str(caught.value)
        return True

    assert in_loop(look)


@pytest.mark.parametrize("function", ASYNC.values(), ids=ASYNC)
def test_coroutine_function_is_refused_in_every_disguise(function):
    def look():
        with pytest.raises(TypeError, match=r"use asynctcp\.aio"):
            asynctcp.tcp_server(LOOPBACK, 0, function)
        return asynctcp.stats()["servers"] == 0

    assert in_loop(look)


class Plain:
    def __call__(self, *_):
        """A callback."""

    def method(self, *_):
        """A callback."""


@pytest.mark.parametrize(
    "function", [ignore, Plain(), Plain().method, functools.partial(ignore), print, Plain]
)
def test_plain_callable_is_taken(function):
    assert in_loop(lambda: asynctcp.tcp_server(LOOPBACK, 0, function))


class Later:
    """An awaitable that is no coroutine."""

    def __await__(self):
        yield


class Returning:
    def method(self, *_):
        return coroutine()

    def __call__(self, *_):
        return coroutine()


def returning(*_):
    return coroutine()


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (returning, "test_coroutines.returning"),
        (functools.partial(returning, 1), "test_coroutines.returning"),
        (Returning().method, "test_coroutines.Returning.method"),
        (Returning(), "test_coroutines.Returning"),
    ],
    ids=["function", "partial", "method", "object"],
)
def test_callback_that_returns_a_coroutine_is_told_of_once_and_python_warns_of_nothing(
    function, name, peers, caplog
):
    def use(ours, raw):
        ours.set_callbacks(read_cb=function)
        raw.sendall(b"x")
        delay(lambda: raw.sendall(b"y"), 0.01)
        delay(ours.close, 0.05)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(lambda: peers.link(use))
        gc.collect()
    (record,) = caplog.records
    assert record.name == "asynctcp"
    assert f"read_cb {name} returned a coroutine" in record.getMessage()
    assert "asynctcp.aio" in record.getMessage()


def test_each_function_that_returns_an_awaitable_is_told_of(caplog):
    def first():
        return Later()

    def second():
        return Later()

    run(lambda: (delay(first), delay(second), delay(first)))
    names = [record.getMessage().split()[1].split(".")[-1] for record in caplog.records]
    assert names == ["first", "second"]


def test_closures_of_one_function_are_told_of_once(caplog):
    def make(number):
        return lambda: number and Later()

    run(lambda: [delay(make(number)) for number in (1, 2, 3)])
    assert len(caplog.records) == 1


def test_functions_beyond_a_thousand_are_told_of_no_more(caplog):
    namespace = {"Later": Later}
    source = "functions = [{}]".format(",\n".join(["lambda: Later()"] * 1100))
    exec(source, namespace)
    run(lambda: [delay(function) for function in namespace["functions"]])
    assert len(caplog.records) == 1000


@pytest.mark.parametrize("result", [True, "text", b"", Plain(), [], iter(())])
def test_callback_that_returns_anything_else_is_fine(result, caplog):
    run(lambda: delay(lambda: result))
    assert caplog.records == []


def test_coroutine_that_runs_already_is_left_alone(caplog):
    """One that somebody else awaits is not closed."""

    @functools.cache
    def task():
        async def wait():
            await asyncio.sleep(0)
            return "done"

        made = wait()
        made.send(None)
        return made

    run(lambda: delay(task))
    assert len(caplog.records) == 1
    with pytest.raises(StopIteration) as stopped:
        task().send(None)
    assert stopped.value.value == "done"


def test_awaitable_of_each_callback_is_told_of(peers, caplog):
    def event(_condition):
        return Later()

    def closed(_ours, _reason):
        return Later()

    def last(_ours, _reason):
        return Later()

    def start():
        peers.link(lambda ours, _raw: oops(ours), None, event, close_cb=closed)
        peers.link(ignore, close_cb=last)
        delay(asynctcp.exit_event_loop, 0.05)

    run(start, catch_app_errors=True)
    told = [record.getMessage().split()[0] for record in caplog.records]
    assert told == ["event_cb", "close_cb", "close_cb"]


def later(*_):
    return Later()


def notify():
    notifier = asynctcp.make_notifier(later)
    notifier.trigger()
    delay(notifier.free, 0.05)


def signalled():
    asynctcp.signal_handler(signal.SIGUSR1, later)
    signal.raise_signal(signal.SIGUSR1)
    delay(lambda: asynctcp.free_signal_handler(signal.SIGUSR1), 0.05)


#: What runs a callback without a socket, and what the log calls it.
SOURCES = {
    "exit callback": lambda: asynctcp.add_event_loop_exit_callback(later),
    "delay": lambda: delay(later),
    "interval": lambda: delay(asynctcp.interval(later, 0.001), 0.05),
    "dns_lookup": lambda: asynctcp.dns_lookup(LOOPBACK, later),
    "reverse_dns_lookup": lambda: asynctcp.reverse_dns_lookup(LOOPBACK, later),
    "callback": lambda: asynctcp.current_event_loop().call_soon_threadsafe(later),
    "callback of a notifier": notify,
    "callback of a signal": signalled,
    "event_cb": lambda: asynctcp.dns_lookup("host.invalid", ignore, event_cb=later),
}


@pytest.mark.parametrize("source", SOURCES)
def test_awaitable_of_what_no_socket_runs_is_told_of(source, caplog):
    run(SOURCES[source])
    (record,) = caplog.records
    name = source.split(" of a ")[0]
    assert record.getMessage().startswith(f"{name} test_coroutines.later returned a Later")


def test_awaitable_of_the_default_event_handler_is_told_of(caplog):
    asynctcp.set_default_event_handler(later)
    try:
        run(lambda: asynctcp.dns_lookup("host.invalid", ignore))
    finally:
        asynctcp.set_default_event_handler(None)
    (record,) = caplog.records
    assert record.getMessage().startswith("event_cb test_coroutines.later returned a Later")


def test_awaitable_of_the_function_for_app_errors_is_told_of(caplog):
    def caught(_error):
        return Later()

    run(lambda: delay(oops), catch_app_errors=caught)
    (record,) = caplog.records
    assert "catch_app_errors test_coroutines." in record.getMessage()


def test_exception_beside_a_coroutine_is_not_lost(caplog):
    with pytest.raises(Oops):
        run(lambda: (delay(returning), delay(oops)))
    assert len(caplog.records) == 1
