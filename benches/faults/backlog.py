"""Who connects while Python computes is neither refused nor made to wait for a second try of its kernel.

In a network namespace of its own, where the system allows one: elsewhere the kernel's counters are
everybody's.
"""

import ctypes
import errno
import fcntl
import selectors
import socket
import struct
import time
from pathlib import Path

from common import ASYNCIO_LIKE, LOOPBACK, Server, allow_many_files, main, none_of

BLOCKED = 1.0
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def own_network():
    """Enter a new network with a loopback of its own; return whether the system allowed it."""
    if ctypes.CDLL(None).unshare(CLONE_NEWNET):
        return False
    with socket.socket() as raw:
        fcntl.ioctl(raw, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    return True


def counters():
    """Return the kernel's counters of this network."""
    lines = Path("/proc/net/netstat").read_text().splitlines()
    found = {}
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        found.update(zip(names.split(), values.split(), strict=True))
    return {name: int(found[name]) for name in ("TCPSynRetrans", "ListenOverflows", "ListenDrops")}


def connect_all(port, count, seconds):
    """Begin ``count`` connections; return the sockets, and the numbers refused and not there in time."""
    waiting = selectors.DefaultSelector()
    sockets, refused = [], 0
    for _ in range(count):
        raw = socket.socket()
        raw.setblocking(False)
        sockets.append(raw)
        if raw.connect_ex((LOOPBACK, port)) == errno.EINPROGRESS:
            waiting.register(raw, selectors.EVENT_WRITE)
    deadline = time.monotonic() + seconds
    while waiting.get_map() and time.monotonic() < deadline:
        for key, _ in waiting.select(0.05):
            waiting.unregister(key.fileobj)
            refused += key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
    return sockets, refused, len(waiting.get_map())


def echoed(sockets):
    """Count those that are served afterwards."""
    count = 0
    for raw in sockets:
        raw.setblocking(True)
        raw.settimeout(5)
        try:
            raw.sendall(b"x")
            count += raw.recv(1) == b"x"
        except OSError:
            pass
    return count


def measure(server, n):
    allow_many_files()
    alone = own_network()
    with Server(server, "blocked", BLOCKED) as child, child.connect() as first:
        first.sendall(b"x")
        child.report()
        before = counters()
        sockets, refused, late = connect_all(child.port, n, BLOCKED - 0.2)
        after = counters()
        yield none_of("backlog: refused while Python is blocked for 1 s", n, refused)
        yield none_of("backlog: not established by then", n, late)
        if alone:
            for name, value in after.items():
                yield none_of(f"backlog: {name} of the kernel", n, value - before[name])
        yield none_of("backlog: not served afterwards", n, n - echoed(sockets))
        for raw in sockets:
            raw.close()


if __name__ == "__main__":
    main(measure, quick=2000, full=2000, peers=ASYNCIO_LIKE)
