"""Writes of one turn each have one callback each, in their order."""

import socket
import threading
import time
from functools import partial
from itertools import pairwise

from common import LOOPBACK, below, main, none_of


def drain(listener):
    """Read and drop all that comes on one connection."""
    raw, _ = listener.accept()
    with raw:
        while raw.recv(1 << 20):
            pass


def measure(_server, n):
    import asynctcp

    told = []

    def write(ours, number):
        """Write the next one, and the one after it in the next turn."""
        if number == n:
            ours.close()
            return
        ours.write(b"x", write_cb=lambda _socket: told.append(number))
        asynctcp.delay(partial(write, ours, number + 1))

    with socket.create_server((LOOPBACK, 0)) as listener:
        sink = threading.Thread(target=drain, args=(listener,))
        sink.start()
        begun = time.monotonic()
        address = listener.getsockname()
        asynctcp.start_event_loop(
            lambda: asynctcp.tcp_connect(*address, None, connect_cb=lambda ours: write(ours, 0))
        )
        seconds = time.monotonic() - begun
        sink.join()
    yield none_of("write callbacks: missing", n, n - len(set(told)))
    yield none_of("write callbacks: more than once", n, len(told) - len(set(told)))
    yield none_of("write callbacks: out of order", n, sum(a >= b for a, b in pairwise(told)))
    yield below("write callbacks: time of each", n, 1e6 * seconds / n, 200, " µs")


if __name__ == "__main__":
    main(measure, quick=20_000, full=500_000)
