"""Who never finishes a handshake holds up nobody, and costs nothing that stays.

100 connections over TLS have 64 bytes echoed every 10 ms, first alone, then beside so many that send garbage,
a hello a byte at a time, a hello and nothing more, or a hello and a reset. Of p99 the median of some runs
counts: there are three busy processes, and seldom as many cores.
"""

import collections
import gc
import multiprocessing
import random
import selectors
import socket
import ssl
import statistics
import struct
import time

import psutil
from common import (
    DEADLINE,
    LOOPBACK,
    MIB,
    NOTHING,
    OURS,
    Certified,
    Row,
    Server,
    all_of,
    allow_many_files,
    below,
    main,
    percentile,
    wait_until,
)

import asynctcp

RUNS = 3
FRIENDS, PERIOD, SIZE = 100, 0.01, 64
#: Attacks in a second, and seconds that the server gives each.
RATE, PATIENCE = 500, 2.0
#: Seconds in which the friends are alone.
CALM = 3.0
#: Seconds between two bytes of a slow hello, and between two looks at the server's memory.
STEP, LOOK = 0.1, 0.05


def client_hello():
    outgoing = ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()


class Attack:
    """So many of them, and what became of them."""

    def __init__(self, port, server, count):
        self.port, self.server, self.count = port, server, count
        self.hello, self.chance = client_hello(), random.Random(1)
        self.selector = selectors.DefaultSelector()
        self.slow = collections.deque()
        self.begun = self.ended = self.highest = 0

    def run(self):
        """Return how many the server has ended, and the most memory that it had."""
        start = look = time.monotonic()
        while self.ended < self.count:
            now = time.monotonic()
            if now > start + self.count / RATE + DEADLINE:
                break
            if now >= look:
                self.highest = max(self.highest, self.server.memory_info().rss)
                look += LOOK
            while self.begun < min(self.count, (now - start) * RATE):
                self.begin()
            while self.slow and self.slow[0][0] <= now:
                self.trickle(*self.slow.popleft())
            for key, _ in self.selector.select(0.001):
                self.receive(key.fileobj)
        return self.ended, self.highest

    def begin(self):
        raw = socket.create_connection((LOOPBACK, self.port), DEADLINE)
        raw.setblocking(False)
        kind = self.begun % 4
        self.begun += 1
        self.selector.register(raw, selectors.EVENT_READ)
        if kind == 0:
            self.say(raw, self.chance.randbytes(self.chance.randrange(1, 4096)))
        elif kind == 1:
            self.slow.append((time.monotonic(), raw, 0))
        else:
            self.say(raw, self.hello)
            if kind == 3:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.end(raw)

    def say(self, raw, data):
        try:
            raw.send(data)
        except OSError:
            self.end(raw)

    def trickle(self, _due, raw, sent):
        if raw.fileno() >= 0:
            self.slow.append((time.monotonic() + STEP, raw, sent + 1))
            self.say(raw, self.hello[sent : sent + 1])

    def receive(self, raw):
        try:
            if raw.recv(1 << 16):
                return
        except OSError:
            pass
        self.end(raw)

    def end(self, raw):
        self.ended += 1
        self.selector.unregister(raw)
        raw.close()


def attack(port, server, count, pipe):
    attacking = Attack(port, psutil.Process(server), count)
    pipe.recv()
    pipe.send(attacking.run())


class Friends:
    """Connections that have something echoed, in this process's loop, and how long that takes."""

    def __init__(self, port, trusted, pipe):
        self.port, self.pipe = port, pipe
        self.config = asynctcp.TlsConfig.client(ca_data=trusted)
        self.times, self.alone = [], []
        self.connected = 0
        self.result = None

    def run(self):
        asynctcp.start_event_loop(self.start)

    def start(self):
        for number in range(FRIENDS):
            asynctcp.tcp_connect(
                LOOPBACK, self.port, self.read, self.lost, connect_cb=self.welcome, tls=self.config
            ).data = (number, collections.deque())

    def lost(self, condition):
        raise condition

    def welcome(self, ours):
        self.connected += 1
        if self.connected == FRIENDS:
            asynctcp.delay(self.drop, 0.5)
            asynctcp.delay(self.begin, CALM + 0.5)
            asynctcp.interval(self.look, 0.1)
        number = ours.data[0]
        asynctcp.delay(
            lambda: asynctcp.interval(lambda: self.ask(ours), PERIOD), 0.3 + number * PERIOD / FRIENDS
        )

    def ask(self, ours):
        ours.data[1].append(time.perf_counter())
        ours.write(bytes(SIZE))

    def read(self, ours, data):
        now = time.perf_counter()
        asked = ours.data[1]
        for _ in range(len(data) // SIZE):
            self.times.append(1e3 * (now - asked.popleft()))

    def drop(self):
        """What came before has its own costs: connecting."""
        self.times = []

    def begin(self):
        self.alone, self.times = self.times, []
        self.pipe.send("begin")

    def look(self):
        if self.pipe.poll():
            self.result = self.pipe.recv()
            asynctcp.exit_event_loop()


def once(n):
    """Return the friends, what the memory grew by meanwhile, and what of that stayed, in MiB."""
    context = multiprocessing.get_context("fork")
    with (
        Certified() as certified,
        Server(OURS, "secured", PATIENCE, environment=certified.environment) as child,
    ):
        ours, theirs = context.Pipe()
        attacking = context.Process(
            target=attack, args=(child.port, child.process.pid, n, theirs), daemon=True
        )
        attacking.start()
        friends = Friends(child.port, certified.trusted, ours)
        before = []
        friends.begin = lambda begin=friends.begin: (before.append(child.memory()), begin())
        friends.run()
        attacking.join()
        kept = lambda: (child.memory() - before[0]) / MIB  # noqa: E731
        wait_until(lambda: kept() < 4, 5)
        return friends, (friends.result[1] - before[0]) / MIB, kept()


def measure(_server, n):
    allow_many_files()
    gc.disable()
    runs = [once(n) for _ in range(RUNS)]
    alone = statistics.median(percentile(friends.alone, 99) for friends, *_ in runs)
    beside = statistics.median(percentile(friends.times, 99) for friends, *_ in runs)
    what = "hostile handshakes"
    yield Row(f"{what}: p99 of an echo without them", n, f"{alone:.3g} ms", NOTHING, None)
    # On a busy machine it is the machine's.
    limit = max(2, round(2 * alone, 1))
    yield below(f"{what}: p99 of an echo beside them, median of {RUNS} runs", n, beside, limit, " ms")
    yield all_of(f"{what}: ended by the server", n, min(friends.result[0] for friends, *_ in runs))
    yield below(f"{what}: memory while they last", n, max(most for _, most, _ in runs), 48, " MiB")
    yield below(f"{what}: memory kept 5 s afterwards", n, max(kept for *_, kept in runs), 4, " MiB")


if __name__ == "__main__":
    main(measure, quick=1000, full=10_000)
