"""Eight threads write to a socket each, and all to one: every byte arrives, in each thread's order.

Neither a writer nor the loop stands still for a second; also with a switch interval of a microsecond.
"""

import collections
import socket
import struct
import sys
import threading
import time

from common import LOOPBACK, below, main, none_of

THREADS = 8
#: What a writer writes: its number and that of the write.
RECORD = struct.Struct("<II")
#: Each so many writes go to the socket that all share.
SHARED = 10
PATIENCE = 300.0


class Sink:
    """Reads one connection to its end in a thread, and checks each writer's order."""

    def __init__(self, raw):
        self.raw = raw
        self.counts = collections.Counter()
        self.wrong = 0
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        rest = b""
        while data := self.raw.recv(1 << 20):
            data = rest + data
            whole = len(data) - len(data) % RECORD.size
            for writer, number in RECORD.iter_unpack(data[:whole]):
                self.wrong += number != self.counts[writer]
                self.counts[writer] += 1
            rest = data[whole:]
        self.wrong += bool(rest)
        self.raw.close()


class Writer:
    """Writes its numbers, the more often to a socket of its own, and remembers its longest pause."""

    def __init__(self, number, own, shared, count):
        self.number, self.own, self.shared, self.count = number, own, shared, count
        self.longest = 0.0
        self.thread = threading.Thread(target=self.write)

    def write(self):
        sent = [0, 0]
        last = time.monotonic()
        for turn in range(self.count):
            shared = turn % SHARED == 0
            (self.shared if shared else self.own).write(RECORD.pack(self.number, sent[shared]))
            sent[shared] += 1
            now = time.monotonic()
            self.longest = max(self.longest, now - last)
            last = now


def hammer(asynctcp, count):
    """Return records that arrived, those wrong, the longest pause of a writer and of the loop, the seconds."""
    sockets, writers = [], []
    beats = [time.monotonic()]
    pauses = []

    def beat():
        now = time.monotonic()
        pauses.append(now - beats[0])
        beats[0] = now
        if all(not writer.thread.is_alive() for writer in writers):
            timer.cancel()
            for ours in sockets:
                ours.close()

    def connected(ours):
        nonlocal timer
        sockets.append(ours)
        if len(sockets) == THREADS + 1:
            writers.extend(
                Writer(number, sockets[number], sockets[THREADS], count) for number in range(THREADS)
            )
            beats[0] = time.monotonic()
            for writer in writers:
                writer.thread.start()
            timer = asynctcp.interval(beat, 0.01)

    timer = None
    sinks = []
    begun = time.monotonic()
    with socket.create_server((LOOPBACK, 0)) as listener:

        def accept():
            sinks.extend(Sink(listener.accept()[0]) for _ in range(THREADS + 1))

        acceptor = threading.Thread(target=accept)
        acceptor.start()

        def start():
            asynctcp.delay(asynctcp.exit_event_loop, PATIENCE).unref()
            for _ in range(THREADS + 1):
                asynctcp.tcp_connect(*listener.getsockname(), None, connect_cb=connected)

        asynctcp.start_event_loop(start)
        acceptor.join()
    for sink in sinks:
        sink.thread.join()
    arrived = sum(sum(sink.counts.values()) for sink in sinks)
    return (
        arrived,
        sum(sink.wrong for sink in sinks),
        max(w.longest for w in writers),
        max(pauses),
        time.monotonic() - begun,
    )


def measure(_server, n):
    import asynctcp

    for interval in (sys.getswitchinterval(), 1e-6):
        sys.setswitchinterval(interval)
        arrived, wrong, writer, loop, seconds = hammer(asynctcp, n)
        name = f"{THREADS} threads, switch interval {1000 * interval:g} ms"
        yield none_of(f"{name}: writes lost ({seconds:.0f} s)", THREADS * n, THREADS * n - arrived)
        yield none_of(f"{name}: writes out of order", THREADS * n, wrong)
        yield below(f"{name}: longest pause of a writer", THREADS * n, writer, 1, " s")
        yield below(f"{name}: longest pause of the loop", THREADS * n, loop, 1, " s")


if __name__ == "__main__":
    main(measure, quick=5_000, full=100_000)
