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
PATIENCE = 60.0


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


class Hammer:
    """A loop with a socket for each writer and one for all, and a heartbeat."""

    def __init__(self, asynctcp, count):
        self.asynctcp, self.count = asynctcp, count
        self.sockets, self.writers, self.sinks = [], [], []
        self.longest = 0.0

    def run(self):
        with socket.create_server((LOOPBACK, 0)) as listener:
            acceptor = threading.Thread(target=self.accept, args=(listener,))
            acceptor.start()
            self.asynctcp.start_event_loop(lambda: self.start(listener.getsockname()))
            acceptor.join()
        for sink in self.sinks:
            sink.thread.join()
        return self

    def accept(self, listener):
        self.sinks.extend(Sink(listener.accept()[0]) for _ in range(THREADS + 1))

    def start(self, address):
        self.asynctcp.delay(self.asynctcp.exit_event_loop, PATIENCE).unref()
        for _ in range(THREADS + 1):
            self.asynctcp.tcp_connect(*address, None, connect_cb=self.connected)

    def connected(self, ours):
        self.sockets.append(ours)
        if len(self.sockets) <= THREADS:
            return
        *own, shared = self.sockets
        self.writers = [Writer(number, each, shared, self.count) for number, each in enumerate(own)]
        self.last = time.monotonic()
        for writer in self.writers:
            writer.thread.start()
        self.timer = self.asynctcp.interval(self.beat, 0.01)

    def beat(self):
        now = time.monotonic()
        self.longest = max(self.longest, now - self.last)
        self.last = now
        if all(not writer.thread.is_alive() for writer in self.writers):
            self.timer.cancel()
            for ours in self.sockets:
                ours.close()

    def arrived(self):
        """Count the records that came to the other ends."""
        return sum(sum(sink.counts.values()) for sink in self.sinks)


def measure(_server, n):
    import asynctcp

    for interval in (sys.getswitchinterval(), 1e-6):
        sys.setswitchinterval(interval)
        run = Hammer(asynctcp, n).run()
        name = f"{THREADS} threads, switch interval {1000 * interval:g} ms"
        total = THREADS * n
        pause = max(writer.longest for writer in run.writers)
        yield none_of(f"{name}: writes lost", total, total - run.arrived())
        yield none_of(f"{name}: writes out of order", total, sum(sink.wrong for sink in run.sinks))
        yield below(f"{name}: longest pause of a writer", total, pause, 1, " s")
        yield below(f"{name}: longest pause of the loop", total, run.longest, 1, " s")


if __name__ == "__main__":
    main(measure, quick=5_000, full=100_000)
