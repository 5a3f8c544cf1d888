"""What the tests share: a loop with a deadline, a log of callbacks, raw sockets as peers.

Peers are plain blocking sockets on loopback with a timeout. A small exchange needs no thread: the kernel
completes the handshake and keeps the bytes, so a test connects or sends first and lets the loop find it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
import time
from pathlib import Path

import asynctcp

#: Seconds after which anything that a test waits for has failed.
DEADLINE = 10.0
#: Seconds within which what ends at once has ended, on a busy machine too; a clock would take longer.
SOON = 5.0
#: Seconds in which nothing must happen, where a test is about that.
QUIET = 0.05
#: More than the kernel takes from a sender whose peer does not read.
MUCH = 8 << 20

LOOPBACK = "127.0.0.1"


class DeadlineMissed(BaseException):
    """What the test waited for did not come. No ``Exception``: ``catch_app_errors`` lets it through."""


def ignore(*_):
    """Stand for a callback that does nothing."""


def fail(*arguments):
    """Stand for a callback that must not run."""
    raise AssertionError(f"called with {arguments}")


def run(start, *, timeout=DEADLINE, loop=None, **options):
    """``start_event_loop(start)``, ended by `DeadlineMissed` after ``timeout`` seconds.

    ``loop``: an `asynctcp.EventLoop` to run it in instead.
    """

    def expire():
        raise DeadlineMissed

    def watched():
        asynctcp.delay(expire, timeout).unref()
        start()

    if loop is None:
        asynctcp.start_event_loop(watched, **options)
    else:
        loop.run(watched)


def when(condition, action):
    """Call ``action()`` in the loop as soon as ``condition()`` holds. The deadline is that of `run`."""

    def look():
        if condition():
            timer.cancel()
            action()

    timer = asynctcp.interval(look, 0.001)


def after_quiet(action, seconds=QUIET):
    """Call ``action()`` after a time in which the loop could have done what it must not do."""
    asynctcp.delay(action, seconds)


def wait_until(condition, timeout=DEADLINE):
    """Wait, outside of a loop or in its thread, until ``condition()`` holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


def wait_until_queued(count):
    """Wait, in a callback, until the I/O side has queued so many events for the callbacks that follow."""
    wait_until(lambda: asynctcp.stats()["queued_events"] >= count)


def is_within(seconds, measure, tries=5):
    """Whether ``measure()`` gives less than so many seconds: load holds up one of the tries, but not all."""
    return any(measure() < seconds for _ in range(tries))


class Log:
    """Callbacks that write down their name; `told` has them in order."""

    def __init__(self):
        self.told = []
        self.conditions = []

    def connect(self, _socket):
        self.told.append("connect")

    def read(self, _socket, data):
        self.told.append(data)

    def write(self, _socket):
        self.told.append("write")

    def event(self, condition):
        self.told.append(type(condition).__name__)
        self.conditions.append(condition)

    def callbacks(self):
        """All of them, as keywords of `asynctcp.tcp_connect`."""
        return {
            "read_cb": self.read,
            "event_cb": self.event,
            "connect_cb": self.connect,
            "write_cb": self.write,
        }

    def joined(self):
        """What was read, as one; for a test that does not care in how many pieces it came."""
        return b"".join(entry for entry in self.told if isinstance(entry, bytes))

    def order(self):
        """What was told, neighbouring pieces of data joined."""
        order = []
        for entry in self.told:
            if isinstance(entry, bytes) and order and isinstance(order[-1], bytes):
                order[-1] += entry
            else:
                order.append(entry)
        return order


class Peers:
    """Raw sockets at the other end, all closed when the test ends."""

    def __init__(self):
        self._open = []
        self._listener = None
        self._accepted = {}

    def keep(self, raw):
        """Give ``raw`` a timeout, and close it at the end."""
        raw.settimeout(DEADLINE)
        self._open.append(raw)
        return raw

    @property
    def address(self):
        """Host and port of a raw listener."""
        if self._listener is None:
            self._listener = self.keep(socket.create_server((LOOPBACK, 0)))
        return self._listener.getsockname()

    @property
    def name(self):
        """What conditions call it."""
        return "{}:{}".format(*self.address)

    def accept(self, ours=None):
        """Accept the next connection to `address`, or that of the socket ``ours``."""
        while ours is None or ours.sockname not in self._accepted:
            raw = self.keep(self._listener.accept()[0])
            if ours is None:
                return raw
            self._accepted[raw.getpeername()] = raw
        return self._accepted.pop(ours.sockname)

    def connect(self, server):
        """Connect to a `asynctcp.TcpServer`, to IPv4 where it listens on any address."""
        host, port = server.address[:2]
        return self.keep(socket.create_connection((LOOPBACK if host == "::" else host, port), DEADLINE))

    def link(self, use, read_cb=None, event_cb=None, **keywords):
        """``tcp_connect`` to a raw peer; ``use(socket, raw)`` has both ends, as the ``connect_cb``."""
        return asynctcp.tcp_connect(
            *self.address,
            read_cb,
            event_cb,
            connect_cb=lambda ours: use(ours, self.accept(ours)),
            **keywords,
        )

    def free_port(self):
        """Return a port on which nobody listens."""
        with socket.create_server((LOOPBACK, 0)) as listener:
            return listener.getsockname()[1]

    def black_hole(self):
        """Return an address whose kernel does not answer: its queue of connections is full."""
        listener = self.keep(socket.create_server((LOOPBACK, 0), backlog=0))
        for _ in range(4):
            raw = self.keep(socket.socket())
            raw.setblocking(False)
            raw.connect_ex(listener.getsockname())
        return listener.getsockname()

    def close(self):
        for raw in self._open:
            raw.close()


def receive_all(raw):
    """All that comes until the end of the stream."""
    return b"".join(iter(lambda: raw.recv(1 << 20), b""))


def receive_exactly(raw, count):
    """So many bytes, which must come before the end of the stream."""
    got = bytearray()
    while len(got) < count:
        piece = raw.recv(min(count - len(got), 1 << 20))
        assert piece, f"the stream ended after {len(got)} of {count} bytes"
        got += piece
    return bytes(got)


def reset(raw):
    """Close ``raw`` with an RST, whatever is spoken over it."""
    raw = getattr(raw, "raw", raw)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def all_acknowledged(raw):
    """Whether the other end's kernel has all that ``raw`` sent."""
    return struct.unpack("i", fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0] == 0


def data_segments_sent(descriptor):
    """How many segments with data the kernel sent on a connection (``tcpi_data_segs_out``)."""
    with socket.socket(fileno=os.dup(descriptor)) as twin:
        return struct.unpack_from("I", twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192), 156)[0]


def descriptors():
    """The open descriptors of this process, by number, with what they are."""
    found = {}
    # Twice for each of thousands of tests: paths as objects took a tenth of their time.
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
        except FileNotFoundError:  # the one that lists them
            continue
    return found


def opened_since(before):
    """The descriptors that are not as `descriptors` told ``before``."""
    return {number: what for number, what in descriptors().items() if before.get(number) != what}


def thread_count():
    """Return how many threads the kernel sees in this process."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


class Oops(Exception):
    """What the callbacks of these tests raise."""


def oops(*_):
    """Raise an `Oops`, whatever the callback is given."""
    raise Oops


def echo(ours, data):
    ours.write(data)


class Reserved:
    """Stands for the `asynctcp._core.Reservation` of a stream's buffer."""

    def __init__(self):
        self.held = 0
        self.told = []

    def grow(self, count):
        self.held += count

    def shrink(self, count):
        self.held -= count

    def pause(self):
        self.told.append("pause")

    def resume(self):
        self.told.append("resume")


class Serving:
    """A server in this loop, and what its connections told."""

    def __init__(self, log, address=LOOPBACK, **keywords):
        self.sockets = []
        self.log = log
        keywords = {"event_cb": log.event, "connect_cb": self.welcome, **keywords}
        self.server = asynctcp.tcp_server(address, 0, log.read, **keywords)

    def welcome(self, ours):
        self.sockets.append(ours)
        self.log.connect(ours)

    def end(self):
        """Close the server and all its connections."""
        self.server.close()
        for ours in self.sockets:
            if not ours.closed:
                ours.close()


def in_loop(look):
    """What ``look()`` returns in a loop that ends right afterwards."""
    seen = []
    run(lambda: (seen.append(look()), asynctcp.exit_event_loop()))
    return seen[0]
