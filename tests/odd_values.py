"""Random arguments for every public function and method: sane ones, and odd ones."""

from __future__ import annotations

import array
import collections
import decimal
import fractions
import gc
import inspect
import math
import random
import signal
import socket
import time
import warnings

import asynctcp
from helpers import DEADLINE, LOOPBACK, descriptors, opened_since


class Odd(Exception):
    """What the odd objects raise; a call may let it through."""


#: What a call may raise, and what some may raise besides.
ALLOWED = (TypeError, ValueError, asynctcp.EventLoopError, asynctcp.TcpError, Odd)
ALLOWED_BESIDES = {
    "adopt_tcp_socket": OSError,  # of a number that is no connection
    "poll": OSError,  # of a number that is no descriptor, a file, or polled already
    "signal_handler": (OSError, OverflowError),  # as signal.signal
    "AsyncIOStream.writelines": NotImplementedError,  # what iterates over memory of two dimensions raises
    # The functional forms of attributes.
    "event_errcode": AttributeError,
    "event_errmsg": AttributeError,
    "tcp_accept_error_listener": AttributeError,
    "tcp_accept_error_server": AttributeError,
    "tcp_socket": AttributeError,
}
#: Seconds that a loop goes on after the calls, so that what they began has its effects.
AFTERMATH = 0.005


def _raise(*_):
    raise Odd


class Hostile:
    """An object each of whose questions is answered by an exception."""

    __index__ = __float__ = __int__ = __bool__ = __len__ = __iter__ = __str__ = __repr__ = __eq__ = _raise
    __hash__ = object.__hash__


class Number(int):
    """An int that is not quite one."""

    __index__ = __int__ = __float__ = _raise


#: Strings that are refused, or are addresses: none is looked up in earnest.
STRINGS = [
    "",
    "\0",
    "a b",
    "h" * 300,
    "\udcff",
    "ä\n",
    "127.0.0.1",
    "::1",
    "0.0.0.0",
    "fe80::1%lo",
    "fe80::1%4294967295",
    "::ffff:127.0.0.1",
    "localhost",
]
NUMBERS = [
    *(0, 1, -1, 2, 17, 80, 65_535, 65_536, 2**31, 2**32, 2**63, 2**64, -(2**63) - 1, 10**400),
    *(1.5, -0.0, 5e-324, 1e308, math.nan, math.inf, -math.inf, 1j, True, False, Number(3)),
    *(decimal.Decimal("NaN"), fractions.Fraction(1, 3)),
]
BUFFERS = [
    b"",
    b"bytes",
    bytearray(b"bytearray"),
    memoryview(b"abcdef")[::2],
    memoryview(bytes(16)).cast("I", (2, 2)),
    array.array("d", [1.0, 2.0]),
]
OBJECTS = [None, [], {}, (), ("127.0.0.1", 0), ("127.0.0.1", 70_000), (1, 2, 3), object(), object, int]
ODD = [*STRINGS, *NUMBERS, *BUFFERS, *OBJECTS, Hostile(), Hostile, _raise, NotImplemented, ...]


def _nothing(*_):
    """Stand for a callback."""


class World:
    """Objects of the library in different states, inside a running loop."""

    def __init__(self, address):
        host, port = self.address = address
        closed = asynctcp.tcp_connect(host, port, None, _nothing)
        closed.close(force=True)
        self.sockets = [
            closed,
            asynctcp.init_tcp_socket(_nothing, _nothing),
            asynctcp.tcp_connect(host, port, _nothing, _nothing),
            asynctcp.tcp_connect(host, port, _nothing, _nothing, stream=True).socket,
        ]
        self.streams = [asynctcp.AsyncIOStream(ours) for ours in self.sockets if not ours.closed]
        self.servers = [asynctcp.tcp_server(LOOPBACK, 0, _nothing, _nothing) for _ in range(2)]
        self.servers[0].close()
        self.timers = [asynctcp.delay(_nothing, 60), asynctcp.interval(_nothing, 60)]
        self.notifiers = [asynctcp.make_notifier(_nothing) for _ in range(2)]
        self.pollers = [asynctcp.poll(end, _nothing) for end in socket.socketpair()]
        self.idlers = [asynctcp.idle(_nothing) for _ in range(2)]
        self.conditions = [asynctcp.TcpEof(closed), asynctcp.TcpError(1, "one", closed), OSError(2, "two")]
        self.loops = [asynctcp.EventLoop(), asynctcp.current_event_loop()]
        self.sane = self._sane()

    def _sane(self):
        """What parameters of a name are meant for."""
        callback = [_nothing, None]
        seconds = [None, 0, 0.001, 1, 60]
        flag = [True, False]
        anything = [*self.sockets, *self.streams]
        by_name = {
            "callback fn start_fn": [_nothing],
            "read_cb write_cb connect_cb event_cb": callback,
            "host bind_address address": ["127.0.0.1", "::1"],
            "port": [0, self.address[1]],
            "data b": [b"data", "text", bytearray(b"more")],
            "lines": [[b"one", b"two"]],
            "buffer": [bytearray(4)],
            "socket": anything,
            "socket_or_stream": anything,
            "server": self.servers,
            "timer": self.timers,
            "notifier": self.notifiers,
            "poller": self.pollers,
            "idler": self.idlers,
            "condition": self.conditions,
            "loop": self.loops,
            "time seconds read_timeout write_timeout read_sec write_sec": seconds,
            "signum": [signal.SIGUSR1, signal.SIGALRM, signal.SIGKILL],
            "local_address": [None, (LOOPBACK, 0)],
            "family": [0, socket.AF_INET, socket.AF_INET6],
            "n size start end high low idle interval count backlog max_connections errcode": [1, 2, 10, None],
            "force read write stream reuse_port allow_half_open on debug dont_drain_read_buffer": flag,
            "catch_app_errors send_errors_to_event_cb": flag,
            "io_threads": [0, 1],
        }
        return {name: values for names, values in by_name.items() for name in names.split()}


def functions():
    """Every public function and class by name, but those that end the loop that we are in."""
    ending = {"exit_event_loop", "default_event_handler"}
    return {
        name: getattr(asynctcp, name)
        for name in asynctcp.__all__
        if callable(getattr(asynctcp, name)) and name not in ending
    }


def methods():
    """Every public method, by ``Class.name``; the loop's own `exit` is left out."""
    classes = ("Socket", "TcpServer", "Timer", "AsyncIOStream", "Notifier", "Poller", "Idler", "EventLoop")
    return {
        f"{owner}.{name}": getattr(getattr(asynctcp, owner), name)
        for owner in classes
        for name in vars(getattr(asynctcp, owner))
        if not name.startswith("_") and callable(getattr(getattr(asynctcp, owner), name)) and name != "exit"
    }


class Fuzzer:
    """Random calls, the same for each seed."""

    def __init__(self, seed, peers):
        self.dice = random.Random(seed)
        self.address = peers.address  # the listener is open from now on

    def value(self, world, name):
        if name in world.sane and self.dice.random() < 0.6:
            return self.dice.choice(world.sane[name])
        if self.dice.random() < 0.1:
            return self.dice.choice(world.sockets + world.streams + world.servers + world.timers)
        return self.dice.choice(ODD)

    def arguments(self, world, function):
        """Values for some of the parameters, and now and then one too many."""
        try:
            parameters = inspect.signature(function).parameters.values()
        except ValueError:
            parameters = ()
        positional, keywords = [], {}
        for parameter in parameters:
            required = parameter.default is parameter.empty
            value = self.value(world, parameter.name)
            if parameter.name == "self":
                continue
            if parameter.kind is parameter.KEYWORD_ONLY:
                if required or self.dice.random() < 0.3:
                    keywords[parameter.name] = value
            elif len(positional) + 1 and (required or self.dice.random() < 0.3):
                positional.append(value)
            else:
                break
        if self.dice.random() < 0.02:
            positional.append(self.dice.choice(ODD))
        if self.dice.random() < 0.02:
            keywords["no_such_keyword"] = 1
        return positional, keywords

    def owner(self, world, name):
        """An object whose method ``name`` is."""
        owners = {
            "Socket": world.sockets,
            "TcpServer": world.servers,
            "Timer": world.timers,
            "AsyncIOStream": world.streams,
            "Notifier": world.notifiers,
            "Poller": world.pollers,
            "Idler": world.idlers,
            "EventLoop": world.loops,
        }
        return self.dice.choice(owners[name])

    def call(self, world, name, function):
        """One call. Return None, or the exception's type if no page promises it, with the arguments."""
        positional, keywords = self.arguments(world, function)
        owner, dot, _ = name.partition(".")
        if dot:
            positional.insert(0, self.owner(world, owner))
        try:
            function(*positional, **keywords)
        except ALLOWED:
            return None
        except BaseException as error:  # noqa: BLE001 (a panic is none that Exception has)
            if isinstance(error, ALLOWED_BESIDES.get(name, ())):
                return None
            return type(error).__name__, str(error), _shown(positional), _shown(keywords)
        return None

    def run(self, name, function, count):
        """So many calls in a loop of their own; return what should not have happened, by its kind."""
        wrong = collections.Counter()
        before = descriptors()

        def start():
            world = World(self.address)
            for _ in range(count):
                if found := self.call(world, name, function):
                    wrong[found] += 1
            asynctcp.delay(asynctcp.exit_event_loop, AFTERMATH)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # What a callback raises is the callback's own affair.
            asynctcp.start_event_loop(start, catch_app_errors=_nothing)
            asynctcp.set_default_event_handler(None)
            gc.collect()
        # A lookup's thread ends after the loop, and with it what the system's resolver has open.
        deadline = time.monotonic() + DEADLINE
        while (left := opened_since(before)) and time.monotonic() < deadline:
            time.sleep(0.001)
        return wrong, left


def _shown(values):
    try:
        return repr(values)[:200]
    except Odd:
        return "hostile"
